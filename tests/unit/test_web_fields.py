import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oose.errors import BadInput, TooLarge, WrongType
from oose.web.fields import JSON_LIMIT, Fields, json_body, parse_object

HASH = "a03f181dc7dedcfb577511149b8844711efdb04f"


def run(coroutine: Any) -> Any:
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    return stopped.value.value


def fields(value: object) -> Fields:
    made = Fields()
    made.feed(json.dumps(value).encode())
    run(made.finish())
    return made


class Request:
    def __init__(self, content_type: str | None) -> None:
        self.content_type = content_type

    def header(self, name: bytes) -> str | None:
        return self.content_type


def test_an_empty_body_is_an_empty_object() -> None:
    made = Fields()
    made.feed(b"  ")
    run(made.finish())
    assert made.get("x") is None


def test_json_over_the_limit_is_refused_while_it_arrives() -> None:
    made = Fields(limit=10)
    made.feed(b"1" * 10)
    with pytest.raises(TooLarge):
        made.feed(b"1")
    run(made.abandon())


@pytest.mark.parametrize(
    "text",
    [
        b"[1]",
        b"1",
        b"nonsense",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b"\xff\xfe",
        b'{"a":' * 100_000,
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b'{"a": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}',
        b'{"a": "\x00"}',
    ],
)
def test_what_is_not_a_moderate_json_object_is_refused(text: bytes) -> None:
    with pytest.raises(BadInput):
        parse_object(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b'{"a": ' + b"7" * 5_000 + b"}", "A number in the JSON is too long"),
        (b'{"a": "\xe4"}', "The body is not JSON: it is not UTF-8"),
        (b'{"a": NaN}', "The body is not JSON: NaN is no number there"),
        (b"null", "The body must be a JSON object, not null"),
        (b"true", "The body must be a JSON object, not true"),
        (b"", "The body is not JSON: Expecting value: line 1 column 1 (char 0)"),
    ],
)
def test_what_is_wrong_with_json_is_said_in_its_own_words(text: bytes, words: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_object(text)
    assert refused.value.message == words


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(text: bytes) -> None:
    with suppress(BadInput):
        assert isinstance(parse_object(text), dict)


def test_text_has_to_be_there_to_be_text_and_of_moderate_length() -> None:
    made = fields({"a": "x", "n": 5, "long": "x" * 2000})
    assert made.text("a") == "x"
    for name, words in (("b", "missing"), ("n", "must be text"), ("long", "longer")):
        with pytest.raises(BadInput, match=words):
            made.text(name)


@pytest.mark.parametrize("value", [7, 7.0, "7"])
def test_a_number_may_come_as_text(value: object) -> None:
    assert fields({"n": value}).number("n", least=1, most=10) == 7


def test_a_truth_is_said_or_left_to_what_is_usual_and_null_is_neither() -> None:
    made = fields({"yes": True, "no": False, "null": None, "word": "no"})
    assert made.truth("yes", default=False) is made.truth("away", default=True) is True
    assert made.truth("no", default=True) is made.truth("away", default=False) is False
    for name in ("null", "word"):
        with pytest.raises(BadInput, match="must be true or false"):
            made.truth(name, default=True)


def test_a_number_that_is_not_there_is_none() -> None:
    assert fields({}).number("n", least=1, most=10) is None


@pytest.mark.parametrize(
    "value", [0, 11, -1, "-1", "x", "", "1e3", "9" * 30, 1.5, True, [], {}, 1e300, "\u0667"]
)
def test_what_is_not_a_number_within_bounds_is_refused(value: object) -> None:
    with pytest.raises(BadInput, match="whole number from 1 to 10"):
        fields({"n": value}).number("n", least=1, most=10)


def test_a_hash_may_come_as_hash_or_sha1_in_either_case() -> None:
    assert fields({"hash": HASH.upper()}).hash() == HASH
    assert fields({"sha1": HASH}).hashes() == HASH


def test_in_bulk_each_hash_is_asked_for_once() -> None:
    assert fields({"hash": [HASH, HASH.upper()]}).hashes() == [HASH]


@pytest.mark.parametrize("value", [{}, {"hash": None}])
def test_a_missing_hash_is_named(value: object) -> None:
    with pytest.raises(BadInput, match="'hash' is missing"):
        fields(value).hash()


@pytest.mark.parametrize("value", ["", HASH[:6], HASH + "0", 5, [HASH, "x"], [[HASH]], {"a": 1}])
def test_what_is_not_a_hash_is_refused(value: object) -> None:
    with pytest.raises(BadInput, match="hash"):
        fields({"hash": value}).hashes()


@pytest.mark.parametrize("kind", [None, "", "application/json; charset=utf-8", "text/json"])
def test_json_is_taken_by_its_type(kind: str | None) -> None:
    assert isinstance(run(json_body(None, Request(kind), 5, {})), Fields)


def test_another_type_is_refused_unless_nothing_comes() -> None:
    with pytest.raises(WrongType):
        json_body(None, Request("text/plain"), 5, {}).send(None)
    assert run(json_body(None, Request("text/plain"), 0, {}))


def test_json_declared_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(TooLarge):
        json_body(None, Request(None), JSON_LIMIT + 1, {}).send(None)

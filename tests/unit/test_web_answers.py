import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oose.errors import (
    BadInput,
    Conflict,
    NotAuthenticated,
    OoseError,
    RangeNotSatisfiable,
    TooManyAttempts,
    WrongMethod,
)
from oose.web.answers import JSON, Answer, as_json, error_answer, error_bytes, json_answer, reason

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
)


@given(values)
def test_any_value_is_utf_8_json(value: object) -> None:
    assert json.loads(as_json(value).decode("utf-8")) == value


def test_letters_stay_as_they_are_unless_utf_8_cannot_hold_them() -> None:
    assert as_json({"a": "\u00fc"}) == '{"a": "\u00fc"}'.encode()
    assert as_json("\ud800") == b'"\\ud800"'


def test_an_answer_is_json_with_its_status() -> None:
    expected = Answer(200, b'{"pong": "pong"}', ((b"Content-Type", JSON),))
    assert json_answer({"pong": "pong"}) == expected
    assert json_answer({}, 201).status == 201


def headers(error: OoseError) -> dict[bytes, bytes]:
    """The headers of an error's answer beside its type."""
    found = dict(error_answer(error).headers)
    assert found.pop(b"Content-Type") == JSON
    return found


def test_an_error_is_its_message_with_its_status() -> None:
    answer = error_answer(Conflict("There is another"))
    assert (answer.status, answer.body) == (409, b'{"error": "There is another"}')
    assert headers(Conflict("There is another")) == {}


@pytest.mark.parametrize(
    ("error", "name", "value"),
    [
        (TooManyAttempts("later", retry_after=5), b"Retry-After", b"5"),
        (NotAuthenticated("who?"), b"WWW-Authenticate", b'Basic realm="oose", charset="UTF-8"'),
        (WrongMethod("no", ("GET", "HEAD")), b"Allow", b"GET, HEAD"),
        (RangeNotSatisfiable(10), b"Content-Range", b"bytes */10"),
    ],
)
def test_an_error_has_the_header_it_calls_for(error: OoseError, name: bytes, value: bytes) -> None:
    assert headers(error) == {name: value}


def test_what_never_became_a_request_is_answered_whole() -> None:
    assert error_bytes(BadInput("no")) == (
        b"HTTP/1.1 400 Bad Request\r\n"
        b"Content-Type: application/json; charset=utf-8\r\n"
        b"Content-Length: 15\r\n"
        b"Connection: close\r\n"
        b"\r\n"
        b'{"error": "no"}'
    )


def test_a_status_has_its_reason() -> None:
    assert reason(507) == b"Insufficient Storage"

import string
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oose.address import (
    HASH_TYPES,
    extension_of,
    hash_type_of,
    old_relative_path,
    parse_content_name,
    parse_extension,
    parse_hash,
    parse_hash_type,
    parse_relative_path,
    parse_token,
    relative_path,
    shown,
)
from oose.errors import BadInput, NotFound

SHA1 = "a03f181dc7dedcfb577511149b8844711efdb04f"
HEX = "0123456789abcdef"
EXTENSION_LETTERS = string.ascii_lowercase + string.digits

hashes = st.sampled_from(sorted(HASH_TYPES.values())).flatmap(
    lambda length: st.text(HEX, min_size=length, max_size=length)
)
extensions = st.builds(
    lambda first, rest: first + rest,
    st.sampled_from(EXTENSION_LETTERS),
    st.text(EXTENSION_LETTERS + "-_", max_size=15),
)
anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.binary(), st.lists(st.text()), st.text()
)


# Hashes.


@given(hashes)
def test_a_hash_of_any_type_is_taken_in_either_case(content_hash: str) -> None:
    assert parse_hash(content_hash) == content_hash
    assert parse_hash(content_hash.upper()) == content_hash


@given(hashes)
def test_the_length_of_a_hash_tells_its_type(content_hash: str) -> None:
    assert HASH_TYPES[hash_type_of(content_hash)] == len(content_hash)


@given(hashes, st.data())
def test_a_part_of_a_hash_names_nothing(content_hash: str, data: st.DataObject) -> None:
    lengths = [n for n in range(len(content_hash)) if n not in HASH_TYPES.values()]
    with pytest.raises(BadInput, match="is not a hash"):
        parse_hash(content_hash[: data.draw(st.sampled_from(lengths))])


@pytest.mark.parametrize(
    "value",
    ["", "../" * 13 + "a", SHA1 + "\n", "\n" + SHA1[1:], "g" * 40, "\uff11" * 40, 1, None, [SHA1]],
)
def test_what_is_no_hash_is_refused(value: object) -> None:
    with pytest.raises(BadInput, match="is not a hash: expected 32, 40, 56, 64, 96 or 128 hex"):
        parse_hash(value)


@given(anything)
def test_whatever_is_taken_for_a_hash_is_one(value: object) -> None:
    try:
        content_hash = parse_hash(value)
    except BadInput:
        return
    assert set(content_hash) <= set(HEX)
    assert len(content_hash) in HASH_TYPES.values()


@pytest.mark.parametrize("name", list(HASH_TYPES))
def test_a_known_hash_type_is_taken(name: str) -> None:
    assert parse_hash_type(name) == name


@pytest.mark.parametrize("value", ["SHA1", "sha3", "", None, 1, ["sha1"], {"a": 1}])
def test_an_unknown_hash_type_is_refused_and_the_known_ones_are_named(value: object) -> None:
    with pytest.raises(BadInput, match="is not a hash type: use one of sha512, sha384,"):
        parse_hash_type(value)


# Extensions.


@given(extensions)
def test_an_extension_is_taken_in_either_case_with_or_without_its_dot(ext: str) -> None:
    assert parse_extension(ext) == ext
    assert parse_extension("." + ext.upper()) == ext


@pytest.mark.parametrize(
    "value",
    ["", ".", "..", "../x", "a/b", "a\\b", "a.b", "a\0", "a\n", "-a", "a" * 17, "\u212a", 3, None],
)
def test_what_is_no_extension_is_refused(value: object) -> None:
    with pytest.raises(BadInput, match="is not a file extension"):
        parse_extension(value)


@given(st.text(), extensions)
def test_the_extension_of_a_file_is_that_of_its_name(stem: str, ext: str) -> None:
    assert extension_of(f"{stem}.{ext.upper()}", "video/mp4") == ext


@pytest.mark.parametrize(
    ("filename", "media_type", "ext"),
    [
        ("film", "video/mp4", "mp4"),
        ("mp4", "image/png", "png"),
        ("film.", "text/plain; charset=utf-8", "txt"),
        ("film.m p 4", "VIDEO/WEBM", "webm"),
        ("film.\u212a", "video/quicktime", "mov"),
        ("film", "application/x-nobody-knows", "bin"),
        ("film", "", "bin"),
        ("", "nonsense", "bin"),
    ],
)
def test_the_extension_comes_from_the_type_where_the_name_has_none(
    filename: str, media_type: str, ext: str
) -> None:
    assert extension_of(filename, media_type) == ext


@given(st.text(), st.text())
def test_there_is_always_an_extension_that_can_be_parsed(filename: str, media_type: str) -> None:
    ext = extension_of(filename, media_type)
    assert parse_extension(ext) == ext


# Paths.


def test_content_lies_two_folders_deep() -> None:
    assert relative_path(SHA1, "txt") == f"a0/3f/{SHA1}.txt"


def test_version_2_had_a_folder_for_every_two_digits() -> None:
    path = old_relative_path(SHA1, "txt")
    assert path == "a0/3f/18/1d/c7/de/dc/fb/57/75/11/14/9b/88/44/71/1e/fd/b0/4f.txt"


@given(st.sampled_from([relative_path, old_relative_path]), hashes, extensions)
def test_a_path_of_either_form_is_read_back(
    form: Callable[[str, str], str], content_hash: str, ext: str
) -> None:
    assert parse_relative_path(form(content_hash, ext)) == (content_hash, ext)


def accepted(text: str) -> bool:
    """Whether `text` is a path; what is one is exactly as it would be made."""
    try:
        content_hash, ext = parse_relative_path(text)
    except NotFound:
        return False
    assert text in {relative_path(content_hash, ext), old_relative_path(content_hash, ext)}
    return True


@given(st.text(HEX + "./", max_size=60))
def test_nothing_but_the_two_forms_is_a_path(text: str) -> None:
    accepted(text)


@given(
    st.sampled_from([relative_path, old_relative_path]),
    hashes,
    extensions,
    st.data(),
    st.sampled_from(["/", "//", "/.", "../", "..", ".", "\0", "\n", "\\", "%2e", "A", "\uff0e"]),
)
def test_no_path_with_anything_put_into_it_gets_through(
    form: Callable[[str, str], str], content_hash: str, ext: str, data: st.DataObject, evil: str
) -> None:
    path = form(content_hash, ext)
    place = data.draw(st.integers(0, len(path)))
    assert not accepted(path[:place] + evil + path[place:])


@given(hashes, extensions, st.data())
def test_no_path_with_a_letter_missing_gets_through(
    content_hash: str, ext: str, data: st.DataObject
) -> None:
    path = relative_path(content_hash, ext)
    place = data.draw(st.integers(0, len(path) - len(ext) - 1))
    assert not accepted(path[:place] + path[place + 1 :])


@pytest.mark.parametrize(
    "text",
    ["", ".", "/", "..", "../../etc/passwd", f"{SHA1}.txt", f"3f/a0/{SHA1}.txt", f"a0/3f/{SHA1}"],
)
def test_other_paths_lead_nowhere(text: str) -> None:
    with pytest.raises(NotFound, match="nothing at this path"):
        parse_relative_path(text)


# Names and tokens.


@given(hashes, extensions)
def test_a_content_name_is_a_hash_and_an_extension(content_hash: str, ext: str) -> None:
    assert parse_content_name(f"{content_hash.upper()}.{ext}") == (content_hash, ext)


@pytest.mark.parametrize("text", ["", SHA1, f"{SHA1}.", f"{SHA1}.a.b", f"{SHA1[1:]}.txt", ".txt"])
def test_what_is_no_content_name_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="is not a"):
        parse_content_name(text)


@given(st.text(string.ascii_letters + string.digits, min_size=64, max_size=64))
def test_a_token_is_taken_as_it_is(token: str) -> None:
    assert parse_token(token) == token


@pytest.mark.parametrize("value", ["", "a" * 63, "a" * 65, "a" * 63 + "\n", "é" * 64, None, 5])
def test_what_is_no_token_is_refused_and_not_repeated(value: object) -> None:
    with pytest.raises(BadInput) as refused:
        parse_token(value)
    assert refused.value.message == "This is not a token: expected 64 letters and digits"


# Values in messages.


def test_a_short_value_is_shown_whole_and_a_long_one_cut() -> None:
    assert shown("abc") == "'abc'"
    assert shown("x" * 58) == repr("x" * 58)
    assert shown("x" * 59) == "'" + "x" * 56 + "..."


@pytest.mark.parametrize(
    ("value", "text"), [(None, "null"), (True, "true"), ([1, {"ä": False}], '[1, {"ä": false}]')]
)
def test_what_a_client_sent_is_shown_as_json(value: object, text: str) -> None:
    assert shown(value) == text


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("value", [nested(100_000), 10**5000], ids=["nested", "endless"])
def test_a_value_that_cannot_be_written_out_is_shown_by_its_type(value: object) -> None:
    assert shown(value) == f"a value of type {type(value).__name__}"

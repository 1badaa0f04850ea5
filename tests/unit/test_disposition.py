import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oose.disposition import LONGEST, content_disposition, safe_name

HEADER = re.compile(r'attachment; filename="([ !#-\[\]-~]+)"(?:; filename\*=UTF-8\'\'([!#-~]+))?')


def test_content_is_shown_in_place_unless_it_is_to_be_saved() -> None:
    assert content_disposition(None, "film.mp4") == "inline"


@pytest.mark.parametrize(
    ("attach", "filename", "name"),
    [
        ("my film.mp4", "x.mp4", "my film.mp4"),
        ("", "x.mp4", "x.mp4"),
        (" . ", "x.mp4", "x.mp4"),
        ("", "", "download"),
        ("../../etc/passwd", "", "_.._etc_passwd"),
        ('a"; filename="b', "", "a_; filename=_b"),
        ("a\r\nX-Evil: 1", "", "a__X-Evil: 1"),
        ("a\\b%2fc\0", "", "a_b_2fc_"),
    ],
)
def test_it_is_saved_under_a_name_that_is_safe(attach: str, filename: str, name: str) -> None:
    assert content_disposition(attach, filename) == f'attachment; filename="{name}"'


def test_a_name_that_is_not_ascii_is_given_in_both_forms() -> None:
    header = content_disposition("b\u00fccher?.pdf", "")
    expected = "attachment; filename=\"b_cher_.pdf\"; filename*=UTF-8''b%C3%BCcher%3F.pdf"
    assert header == expected


@given(st.text(), st.text())
def test_no_name_breaks_the_header(attach: str, filename: str) -> None:
    match = HEADER.fullmatch(content_disposition(attach, filename))
    assert match is not None
    if match[2] is not None:
        assert safe_name(unquote(match[2])) == unquote(match[2])


@given(st.text(max_size=600))
def test_a_safe_name_fits_any_file_system_and_leads_into_no_folder(name: str) -> None:
    safe = safe_name(name)
    assert len(safe.encode("utf-8")) <= LONGEST
    assert not {"/", "\\", '"', "%", "\0"} & set(safe)
    assert safe.isprintable()
    assert safe not in {".", ".."}


@given(st.integers(1, 400), st.sampled_from(["a", "\u00e9", "\U0001f3ac"]))
def test_a_long_name_keeps_its_extension(length: int, letter: str) -> None:
    safe = safe_name(letter * length + ".mp4")
    assert safe.endswith(letter + ".mp4")
    assert safe.removesuffix(".mp4") == letter * len(safe.removesuffix(".mp4"))


def test_what_is_too_long_for_an_extension_is_cut_with_the_rest() -> None:
    assert safe_name("a." + "b" * 400) == "a." + "b" * (LONGEST - 2)
    assert safe_name("a" * 400) == "a" * LONGEST
    assert safe_name("a\ud800.txt") == "a_.txt"

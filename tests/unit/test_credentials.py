from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oose.credentials import Credentials, basic

OWN = Credentials("prism", "correct horse")


def header(username: str, password: str, scheme: str = "Basic") -> str:
    return f"{scheme} {b64encode(f'{username}:{password}'.encode()).decode('ascii')}"


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_the_right_credentials_match(scheme: str) -> None:
    assert OWN.match(header("prism", "correct horse", scheme))


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("prism", "wrong"),
        ("store", "correct horse"),
        ("prism", ""),
        ("", ""),
        ("prism", "correct horse "),
        ("prism:correct horse", ""),
    ],
)
def test_others_do_not(username: str, password: str) -> None:
    assert not OWN.match(header(username, password))


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic \u00fc",
        "Basic cHJpc20=",
        "Bearer " + header("prism", "correct horse").split()[1],
        header("prism", "correct horse").replace(" ", ""),
    ],
)
def test_what_is_no_basic_authentication_carries_no_credentials(value: str | None) -> None:
    assert basic(value) is None
    assert not OWN.match(value)


@given(st.text(), st.text(st.characters(exclude_characters=":", exclude_categories=["Cs"])))
def test_any_header_is_judged(text: str, username: str) -> None:
    assert not OWN.match(text)
    assert not OWN.match("Basic " + text)
    assert basic(header(username, "a:b")) == (username.encode(), b"a:b")


def test_credentials_in_other_letters_match_too() -> None:
    assert Credentials("b\u00fccher", "p\u00e4ss").match(header("b\u00fccher", "p\u00e4ss"))


def test_a_password_is_not_shown() -> None:
    assert "horse" not in repr(OWN)

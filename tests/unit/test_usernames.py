import pytest

from oose.errors import BadInput
from oose.usernames import check_password, check_username, is_username


@pytest.mark.parametrize("name", ["a", "_", "7", "@", "+x", ".", "a-b", "A" * 64])
def test_names_may_be_like_addresses(name: str) -> None:
    check_username(name)
    assert is_username(name)


@pytest.mark.parametrize("name", ["", "-a", "a" * 65, "a b", "a:b", "ä", "a\n"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(BadInput, match="user's name"):
        check_username(name)


def test_passwords_have_a_least_and_a_most() -> None:
    check_password("8 letter")
    check_password("x" * 1024)
    for password in ("7 lette", "x" * 1025, "é" * 513):
        with pytest.raises(BadInput, match="password"):
            check_password(password)

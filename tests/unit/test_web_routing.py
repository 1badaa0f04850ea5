"""Request targets as clients write them."""

import pytest

from oose.web.routing import origin_form


@pytest.mark.parametrize(
    ("target", "origin"),
    [
        (b"/a?b", b"/a?b"),
        (b"//x/a", b"//x/a"),
        (b"http://x/a?b=http://y/", b"/a?b=http://y/"),
        (b"HTTP://x:80", b"/"),
        (b"https://x?a", b"/?a"),
        (b"*", b"*"),
        (b"ftp://x/a", b"ftp://x/a"),
    ],
)
def test_a_target_is_what_follows_scheme_and_host(target: bytes, origin: bytes) -> None:
    assert origin_form(target) == origin

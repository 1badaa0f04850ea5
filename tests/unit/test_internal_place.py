"""What nginx is told of where a file is, and from where on it is wanted."""

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oose.deliver.internal import Internal, internal_place

FILM = "aa/bb/aabb.mp4"


@pytest.mark.parametrize(
    ("path", "start"),
    [
        (FILM, "12"),
        (FILM, "12.5"),
        (FILM, "0.001"),
        ("aa/bb/aabb.m4v", "1"),
        ("aa/bb/aabb.flv", "123456"),
    ],
)
def test_a_film_is_cut_where_its_kind_can_be(path: str, start: str) -> None:
    assert internal_place("/in", path, start) == Internal(f"/in/{path}?start={start}", is_cut=True)


@pytest.mark.parametrize(
    ("path", "start"),
    [
        (FILM, ""),
        (FILM, "0"),
        (FILM, "0.0"),
        (FILM, "-1"),
        (FILM, "1e3"),
        (FILM, "nan"),
        (FILM, "1&x=/etc"),
        (FILM, "1\r\nX-Evil: yes"),
        (FILM, "١"),
        ("aa/bb/aabb.flv", "12.5"),
        ("aa/bb/aabb.webm", "12"),
    ],
)
def test_of_all_else_it_is_the_whole_file(path: str, start: str) -> None:
    assert internal_place("/in", path, start) == Internal(f"/in/{path}")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_path_is_quoted_so_that_nginx_finds_it(path: str) -> None:
    uri = internal_place("/in", path, "").uri
    assert uri.isascii()
    parts = urlsplit(uri)
    assert (unquote(parts.path), parts.query) == (f"/in/{path}", "")

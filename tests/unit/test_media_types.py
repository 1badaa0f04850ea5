import mimetypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oose.address import parse_extension
from oose.media_types import (
    FILMS_AND_SOUND,
    UNKNOWN,
    essence,
    extension_for,
    is_video,
    known_types,
    media_type_of,
    parse_media_type,
)


@pytest.mark.parametrize(
    ("extension", "media_type"),
    [
        ("mp4", "video/mp4"),
        ("mov", "video/quicktime"),
        ("mkv", "video/x-matroska"),
        ("ts", "video/mp2t"),
        ("m3u8", "application/vnd.apple.mpegurl"),
        ("mp3", "audio/mpeg"),
        ("wav", "audio/wav"),
        ("vtt", "text/vtt"),
        ("txt", "text/plain"),
        ("jpg", "image/jpeg"),
        ("json", "application/json"),
        ("nobody-knows", UNKNOWN),
        ("gz", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_an_extension_has_a_media_type(extension: str, media_type: str) -> None:
    assert media_type_of(extension) == media_type


@pytest.mark.parametrize(
    ("media_type", "extension"),
    [
        ("video/mp4", "mp4"),
        ("VIDEO/MP4; codecs=avc1", "mp4"),
        ("text/plain; charset=utf-8", "txt"),
        ("image/jpeg", "jpg"),
        ("audio/ogg", "ogg"),
        ("video/mp2t", "ts"),
        ("application/pdf", "pdf"),
        (UNKNOWN, None),
        ("application/x-nobody-knows", None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_a_media_type_has_an_extension_where_one_is_known(
    media_type: str, extension: str | None
) -> None:
    assert extension_for(media_type) == extension


@pytest.mark.parametrize(
    "kind", sorted(set(mimetypes.MimeTypes().types_map[True].values()) - {UNKNOWN})
)
def test_the_extension_of_every_known_type_can_be_an_address(kind: str) -> None:
    extension = extension_for(kind)
    assert extension is None or parse_extension(extension) == extension


def test_a_type_without_a_usable_extension_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    table = mimetypes.MimeTypes()
    table.add_type("application/x-odd", ".so odd")
    monkeypatch.setattr("oose.media_types._OTHERS", table)
    assert extension_for("application/x-odd") is None


@given(st.text(), st.text())
def test_whatever_a_client_says_a_media_type_comes_out(value: str, extension: str) -> None:
    kind = parse_media_type(value, extension)
    first, slash, second = kind.partition("/")
    assert all((first, slash, second))
    assert all("!" <= letter <= "~" for letter in kind)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("Image/PNG", "image/png"),
        ("text/vtt; charset=utf-8", "text/vtt"),
        ("application/vnd.something+json", "application/vnd.something+json"),
        (UNKNOWN, "video/mp4"),
        ("", "video/mp4"),
        ("video", "video/mp4"),
        ("video/", "video/mp4"),
        ("video/mp4\r\nX-Evil: 1", "video/mp4"),
        ("a" * 128 + "/b", "video/mp4"),
    ],
)
def test_the_type_a_client_gives_counts_unless_it_says_nothing(value: str, kind: str) -> None:
    assert parse_media_type(value, "mp4") == kind


def test_the_essence_of_a_type_has_no_parameters() -> None:
    assert essence(' Text/HTML ; charset="utf-8"') == "text/html"


def test_all_that_have_a_type_are_known() -> None:
    known = known_types()
    assert known["mp4"] == "video/mp4"
    assert known["txt"] == "text/plain"
    assert known["tgz"] == "application/x-tar"
    assert "bin" not in known
    assert all(media_type_of(ext) == kind for ext, kind in known.items())


def test_films_are_told_from_what_is_none() -> None:
    assert is_video("mp4")
    assert is_video("ogv")
    assert not is_video("mp3")
    assert not is_video("srt")


def test_films_and_sound_must_be_purchased_and_nothing_else() -> None:
    assert {"mp4", "mov", "mkv", "webm", "ts", "mp3", "flac", "wav", "opus"} <= FILMS_AND_SOUND
    assert not {"txt", "jpg", "png", "vtt", "m3u8", "bin"} & FILMS_AND_SOUND
    assert all(parse_extension(extension) == extension for extension in FILMS_AND_SOUND)
    kinds = {media_type_of(extension).partition("/")[0] for extension in FILMS_AND_SOUND}
    assert kinds == {"video", "audio"}

"""Films are played from the middle on, as nginx can cut them; real films, real nginx."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.site import Site, nginx_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with nginx_site(tmp_path_factory.mktemp("nginx")) as site:
        yield site


def ffmpeg(target: Path, *more: str) -> bytes:
    """A film of ten seconds with a picture to begin at in each."""
    source = "testsrc=duration=10:size=64x64:rate=10"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-g", "10", *more, str(target)]
    subprocess.run(command, check=True)
    return target.read_bytes()


def duration(data: bytes, folder: Path) -> float:
    """Seconds, as a player would tell them."""
    file = folder / "got"
    file.write_bytes(data)
    shown = ["-show_entries", "format=duration", "-of", "csv=p=0"]
    run = subprocess.run(
        ["ffprobe", "-v", "error", *shown, str(file)], check=True, capture_output=True, text=True
    )
    return float(run.stdout)


def test_an_mp4_is_played_from_a_second_on(site: Site, tmp_path: Path) -> None:
    film = ffmpeg(tmp_path / "film.mp4")
    content_hash = site.keep("real.mp4", film)
    token = site.sell(content_hash, "mp4")
    whole = site.play(token)  # to which the prism adds start=0
    assert whole.body == film
    assert whole.headers["etag"] == f'"{content_hash}"'
    assert whole.headers["content-type"] == "video/mp4"
    assert 9.5 < duration(whole.body, tmp_path) < 10.5
    later = site.play(token, "?start=5")
    assert later.status == 200
    assert len(later.body) < len(film)
    assert 4.5 < duration(later.body, tmp_path) < 5.6
    assert "etag" not in later.headers
    assert later.headers["content-type"] == "video/mp4"
    assert later.headers["cache-control"] == "private"
    assert later.headers["x-content-type-options"] == "nosniff"
    known = {"If-None-Match": f'"{content_hash}"'}
    assert site.play(token, "?start=5", headers=known).status == 200
    part = site.play(token, "?start=5", headers={"Range": "bytes=10-19"})
    assert (part.status, part.body) == (206, later.body[10:20])
    assert site.nginx.logged("store1", f"/play/{token[:6]}.../a.txt")["hash"] == content_hash


def test_what_cannot_be_cut_comes_whole(site: Site, tmp_path: Path) -> None:
    film = ffmpeg(tmp_path / "film.mp4", "-metadata", "title=another")
    content_hash = site.keep("another.mp4", film)
    token = site.sell(content_hash, "mp4")
    for start in ("99", "-1", "0.0", "5s", "1%0d%0aX-Evil:%20yes"):
        answer = site.play(token, f"?start={start}")
        assert (answer.status, answer.body) == (200, film), start
        assert answer.headers["etag"] == f'"{content_hash}"'
    nonsense = site.sell(site.keep("nonsense.mp4", b"no film at all"), "mp4")
    assert site.play(nonsense, "?start=5").body == b"no film at all"


def test_an_flv_is_played_from_a_byte_on(site: Site, tmp_path: Path) -> None:
    film = ffmpeg(tmp_path / "film.flv")
    token = site.sell(site.keep("film.flv", film), "flv")
    assert site.play(token).body == film
    later = site.play(token, "?start=5000")
    assert later.body[:3] == b"FLV"
    assert later.body.endswith(film[5000:])
    assert "etag" not in later.headers
    part = site.play(token, headers={"Range": "bytes=5-9"})
    assert (part.status, part.body) == (206, film[5:10])

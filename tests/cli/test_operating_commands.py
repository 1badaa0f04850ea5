"""status, cache, and how the command itself behaves."""

import json
import runpy
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from oose import __version__
from oose.cli import connection
from oose.cli.desk import Desk
from oose.cli.profile import Profile
from tests.cli.asking import Asking
from tests.cli.canned import answer, canned
from tests.process.twistd import Place, started


def test_status_tells_version_and_counters(oose: Asking, place: Place) -> None:
    said = oose("status")
    assert said.code == 0
    assert __version__ in said.out
    assert oose("--json", "status").json()["url"] == f"http://127.0.0.1:{place.ports[0]}"


def test_caches_are_shown_and_emptied_with_the_prisms_own_credentials(oose: Asking) -> None:
    assert "requests" in oose("--json", "cache", "detail", "all").out or oose("status").code == 0
    assert oose("cache", "detail").code == 0
    assert oose("cache", "flush", "stats").out.endswith("entries removed\n")
    bad = oose("cache", "flush", "everything")
    assert bad.code == 1
    assert "everything" in bad.err


def test_without_them_the_command_says_what_is_missing(
    oose: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OOSE_PROFILE")
    said = oose("cache", "detail")
    assert said.code == 3
    assert "prism_username" in said.err


@pytest.mark.parametrize(
    ("sent", "code", "words"),
    [
        (answer(b"<html>"), 5, "not one of a prism"),
        (answer(b"[]"), 5, "not one of a prism"),
        (answer(b"<html>", "502 Bad Gateway"), 5, "502 Bad Gateway"),
        (answer(b'{"error": "no"}', "400 Bad Request"), 1, "no"),
        (answer(b'{"error": "no"}', "404 Not Found"), 4, "no"),
        (answer(b"{", length=99), 5, "not one of a prism"),
        (b"nonsense\r\n\r\n", 5, "cannot be reached"),
        (b"", 5, "cannot be reached"),
    ],
)
def test_what_is_no_prism_is_told_so(oose: Asking, sent: bytes, code: int, words: str) -> None:
    with canned([sent]) as url:
        said = oose("--url", url, "--json", "status")
    assert said.code == code
    assert words in json.loads(said.err)["error"]


def test_the_help_names_the_exit_codes(oose: Asking) -> None:
    assert "130 interrupted" in " ".join(oose("--help").out.split())
    assert oose("--version").out == f"oose, version {__version__}\n"
    assert oose("nonsense").code == 2


def test_an_interrupted_command_says_so(oose: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(desk: Desk) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Desk, "prism", interrupted)
    said = oose("status")
    assert (said.code, said.err) == (130, "oose: interrupted\n")


def test_it_runs_as_a_module_and_as_a_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["oose", "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("oose", run_name="__main__")
    assert ended.value.code == 0
    script = Path(sys.executable).with_name("oose")
    run = subprocess.run([script, "--version"], capture_output=True, text=True, check=False)
    assert run.stdout == f"oose, version {__version__}\n"


def test_tls_is_verified_unless_told_otherwise(
    oose: Asking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OOSE_PROFILE")
    (tmp_path / "place").mkdir()
    place = Place.make(tmp_path / "place", more="ssl = {'pem': 'auto'}")
    with started(place):
        url = f"https://127.0.0.1:{place.ports[0]}"
        refused = oose("--url", url, "status")
        assert refused.code == 5
        assert "--ca" in refused.err
        assert oose("--url", url, "--insecure", "status").code == 0
        assert oose("--url", url, "--ca", str(place.root / "self-signed.pem"), "status").code == 0
        film = tmp_path / "film.mp4"
        film.write_bytes(bytes(range(256)) * 20_000)
        profile = str(place.root / "login.toml")
        sent = oose("--profile", profile, "upload", str(film))
        assert sent.code == 0, sent.err
        content_hash = sent.out.split()[0]
        assert oose("--profile", profile, "download", content_hash).code == 0
        monkeypatch.setenv("OOSE_TOKEN", "no-such-session")
        refused = oose("--profile", profile, "upload", str(film))
        assert refused.code == 3
    bad = oose("--url", url, "--ca", str(film), "status")
    assert bad.code == 1
    assert str(film) in bad.err


def test_other_tls_errors_are_told_too(oose: Asking, place: Place) -> None:
    said = oose("--url", f"https://127.0.0.1:{place.ports[0]}", "status")
    assert said.code == 5
    assert "cannot be reached" in said.err


def test_an_error_without_words_is_named_by_its_kind() -> None:
    assert "TimeoutError" in connection.unreachable(Profile(), TimeoutError())
    assert isinstance(connection.tls_context(Profile(insecure=True)), ssl.SSLContext)

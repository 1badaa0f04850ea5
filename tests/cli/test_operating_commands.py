"""status, cache, and how the command itself behaves."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from oose import __version__
from oose.cli.desk import Desk
from tests.cli.asking import Asking
from tests.cli.canned import answer, canned
from tests.process.twistd import Place, started


def test_status_tells_version_and_counters(oose: Asking, place: Place) -> None:
    said = oose("status")
    assert said.code == 0
    assert __version__ in said.out
    assert oose("--json", "status").json()["url"] == f"http://127.0.0.1:{place.ports[0]}"


def test_caches_are_shown_and_emptied_with_the_prisms_own_credentials(oose: Asking) -> None:
    oose("detail", "0" * 40)
    found = oose("--json", "cache", "detail", "all").json()
    assert found["exists"]["0" * 40] == 0
    assert "stats.detail:200" in oose("cache", "detail").out
    assert oose("cache", "flush", "stats").out.endswith("entries removed\n")
    bad = oose("cache", "flush", "everything")
    assert bad.code == 1
    assert "everything" in bad.err


def test_what_is_hottest_is_shown_by_name(oose: Asking) -> None:
    assert oose("cache", "detail", "hottest").out.split() == ["hash", "a", "minute", "clones"]
    hot = {"hottest": {"aa": {"perMinute": 700.5, "clones": 2}}}
    with canned([answer(json.dumps(hot).encode())] * 2) as url:
        said = oose("--url", url, "cache", "detail", "hottest")
        as_json = oose("--url", url, "--json", "cache", "detail", "hottest")
    assert said.out.splitlines()[1].split() == ["aa", "700.5", "2"]
    assert as_json.json() == hot


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


def test_a_profile_that_others_can_read_is_warned_of(
    oose: Asking, place: Place, tmp_path: Path
) -> None:
    profile = tmp_path / "open.toml"
    profile.write_text((place.root / "login.toml").read_text())
    profile.chmod(0o644)
    said = oose("--profile", str(profile), "status")
    assert said.code == 0
    assert said.err == (
        f"oose: others can read {profile}, which holds a password: chmod 600 {profile}\n"
    )
    assert "warning" in json.loads(oose("--json", "--profile", str(profile), "status").err)


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
    assert json.loads(oose("--json", "status").err) == {"error": "interrupted"}


def test_so_does_one_that_is_interrupted_while_it_logs_out(
    oose: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(desk: Desk) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Desk, "close", interrupted)
    assert oose("status").code == 130


def test_wrong_usage_is_told_as_json_too(oose: Asking) -> None:
    for arguments in (("nonsense",), ("detail", "aaf4c6"), ("purchase",)):
        said = oose("--json", *arguments)
        assert (said.code, said.out) == (2, "")
        assert json.loads(said.err)["error"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device"), "oose: No space left on device\n"),
        (PermissionError(13, "Permission denied", "/x"), "oose: /x: Permission denied\n"),
        (OSError("in no words of the system"), "oose: in no words of the system\n"),
    ],
)
def test_what_the_system_refuses_is_told_without_a_trace(
    oose: Asking, monkeypatch: pytest.MonkeyPatch, error: OSError, words: str
) -> None:
    def refused(desk: Desk, value: object, text: str) -> None:
        raise error

    monkeypatch.setattr(Desk, "result", refused)
    said = oose("path", "0" * 40)
    assert (said.code, said.err) == (1, words)


def test_a_reader_that_has_seen_enough_is_no_error_to_tell(
    oose: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    def enough(desk: Desk, value: object, text: str) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(Desk, "result", enough)
    said = oose("path", "0" * 40)
    assert (said.code, said.err) == (1, "")


def test_it_runs_as_a_module_and_as_a_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["oose", "--version"])
    monkeypatch.delitem(sys.modules, "oose.__main__", raising=False)
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
        assert oose("--url", url, "--ca", str(place.root / "self-signed.crt"), "status").code == 0
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

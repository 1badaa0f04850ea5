"""Where the login comes from, and which wins."""

from pathlib import Path

import pytest

from oose.cli.exits import CommandFailed
from oose.cli.profile import DEFAULT_URL, Profile, check_url, home, load_profile, read_profile


def write(path: Path, text: str, mode: int = 0o600) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_without_anything_it_is_a_prism_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_profile(None, {}, tmp_path) == (Profile(), None)
    assert Profile().url == DEFAULT_URL


def test_the_first_profile_there_is_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "data" / "login.toml", 'username = "first-start"')
    assert load_profile(None, {}, tmp_path)[0].username == "first-start"
    write(tmp_path / ".config" / "oose" / "login.toml", 'username = "home"')
    assert load_profile(None, {}, tmp_path)[0].username == "home"
    named = write(tmp_path / "x.toml", 'username = "environment"')
    assert load_profile(None, {"OOSE_PROFILE": named}, tmp_path)[0].username == "environment"
    given = write(tmp_path / "y.toml", 'username = "given"')
    assert load_profile(given, {"OOSE_PROFILE": named}, tmp_path)[0].username == "given"


def test_the_environment_wins_and_mixes_no_logins(tmp_path: Path) -> None:
    path = write(tmp_path / "x.toml", 'url = "http://a"\nusername = "a"\npassword = "b"\nca = "c"')
    profile, _ = load_profile(path, {"OOSE_TOKEN": "t", "OOSE_PRISM": "https://b:1"}, tmp_path)
    assert profile == Profile(url="https://b:1", token="t", ca="c")
    profile, _ = load_profile(path, {"OOSE_USERNAME": "x", "OOSE_PASSWORD": "y"}, tmp_path)
    assert (profile.username, profile.password, profile.url) == ("x", "y", "http://a")
    profile, _ = load_profile(path, {"OOSE_PASSWORD": "y"}, tmp_path)
    assert (profile.username, profile.password) == ("a", "y")


def test_a_profile_that_others_can_read_is_warned_of(tmp_path: Path) -> None:
    path = write(tmp_path / "x.toml", 'password = "b"', 0o644)
    _, warning = load_profile(path, {}, tmp_path)
    assert warning is not None
    assert f"chmod 600 {path}" in warning


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("=", "not a TOML file"),
        ("colour = 1", "no name 'colour'"),
        ("username = 1", "username must be str"),
        ('insecure = "yes"', "insecure must be bool"),
        ('url = "ftp://x"', "no URL of a prism"),
        ('url = "http://[x"', "no URL of a prism"),
        ('url = "http://x:99999"', "no URL of a prism"),
        ('url = "http://x:0"', "no URL of a prism"),
        ('url = "http://x/?a=b"', "no URL of a prism"),
        ('token = "a\\nb"', "token holds characters"),
        ('token = "é"', "token holds characters"),
    ],
)
def test_a_bad_profile_is_wrong_usage(tmp_path: Path, text: str, words: str) -> None:
    path = write(tmp_path / "x.toml", text)
    with pytest.raises(CommandFailed, match=words) as failed:
        load_profile(path, {}, tmp_path)
    assert failed.value.code == 2
    assert path in failed.value.message


def test_a_url_with_a_login_is_refused_and_not_shown() -> None:
    with pytest.raises(CommandFailed) as failed:
        check_url("http://anna:secret@x", "--url")
    assert failed.value.code == 2
    assert "secret" not in failed.value.message


def test_a_profile_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="No such file"):
        read_profile(tmp_path / "none.toml")


def test_somebody_without_a_home_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert home() == Path("/somewhere")
    monkeypatch.delenv("HOME")
    assert home() == Path("/")

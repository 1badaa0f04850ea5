"""user, config, hash and path: on this machine, without a prism."""

import hashlib
import io
import json
import os
from pathlib import Path

import pytest

from oose.cli import secret, users
from oose.cli.configuration import read_configuration
from oose.cli.exits import CommandFailed
from oose.cli.users import day
from tests.cli.asking import Asking

HELLO = hashlib.sha1(b"hello").hexdigest()
PASSWORD = "a good password"


@pytest.fixture
def config(tmp_path: Path, oose: Asking, monkeypatch: pytest.MonkeyPatch) -> str:
    path = tmp_path / "local.py"
    path.write_text(
        f"root = {str(tmp_path / 'data')!r}\nstore = {{'enabled': True, 'password': 'x' * 20,"
        " 'username': 'me'}\n"
    )
    monkeypatch.setenv("OOSE_CONFIG", str(path))
    return str(path)


def test_users_are_added_changed_and_removed(oose: Asking, config: str) -> None:
    added = oose("user", "add", "anna", "--password-stdin", "--config", config, stdin=PASSWORD)
    assert (added.code, added.out) == (0, "User anna added\n")
    again = oose("user", "add", "anna", "--password-stdin", stdin=PASSWORD)
    assert again.code == 1
    assert "anna" in again.err
    assert [user["username"] for user in oose("--json", "user", "list").json()] == ["anna"]
    assert oose("user", "password", "anna", "--password-stdin", stdin=PASSWORD + "!\n").code == 0
    assert oose("user", "disable", "anna").code == 0
    assert "no" in oose("user", "list").out.splitlines()[1]
    assert oose("user", "enable", "anna").code == 0
    assert "yes" in oose("user", "list").out.splitlines()[1]
    assert oose("user", "remove", "anna").code == 0
    gone = oose("user", "remove", "anna")
    assert gone.code == 4
    assert "anna" in gone.err


def test_a_bad_password_or_name_is_refused(oose: Asking, config: str) -> None:
    assert oose("user", "add", "anna", "--password-stdin", stdin="short").code == 1
    assert oose("user", "add", "a b", "--password-stdin", stdin=PASSWORD).code == 1
    assert oose("--json", "user", "list").json() == []


def test_a_password_that_is_no_text_is_refused(oose: Asking, config: str) -> None:
    said = oose("user", "add", "anna", "--password-stdin", stdin=b"\xff\xfe password")
    assert (said.code, said.err) == (1, "oose: The password on stdin is not UTF-8\n")


def test_only_adding_a_user_makes_a_place_for_users(
    oose: Asking, config: str, tmp_path: Path
) -> None:
    for arguments in (("list",), ("disable", "anna"), ("remove", "anna")):
        said = oose("user", *arguments)
        assert said.code == 4
        assert "no users are kept here yet" in said.err
    assert not (tmp_path / "data").exists()


def test_a_place_that_cannot_be_made_is_named(oose: Asking, config: str, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    said = oose("user", "add", "anna", "--password-stdin", stdin=PASSWORD)
    assert said.code == 1
    assert str(tmp_path / "data") in said.err


def test_a_password_is_asked_for_twice_on_a_terminal(
    oose: Asking, config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = oose("user", "add", "anna")
    assert without.code == 2
    assert "--password-stdin" in without.err

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(secret.sys, "stdin", Terminal())  # type: ignore[attr-defined] # its import
    asked: list[dict[str, object]] = []

    def prompt(text: str, **options: object) -> str:
        asked.append(options)
        return PASSWORD

    monkeypatch.setattr(secret.click, "prompt", prompt)  # type: ignore[attr-defined] # its import
    assert secret.asked_password(from_stdin=False) == PASSWORD
    assert asked == [{"hide_input": True, "confirmation_prompt": True, "err": True}]


def test_an_unexpected_error_is_not_hidden() -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        users.run_now(broken())


def test_a_good_configuration_is_called_so(oose: Asking, config: str) -> None:
    assert oose("config", "check").out == f"{config}: good\n"
    assert oose("config", "check", config).code == 0
    shown = oose("config", "show")
    assert "xxxx" not in shown.out


def test_the_defaults_are_good(oose: Asking) -> None:
    assert oose("config", "check").out == "the defaults: good\n"


def test_every_problem_of_a_configuration_is_named(oose: Asking, tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text("colour = 1\nprism = {'port': 'x', 'enabled': True}\n")
    said = oose("config", "check", str(path))
    assert said.code == 78
    assert "colour" in said.err
    assert "prism.port" in said.err
    assert oose("config", "show", str(tmp_path / "none.py")).code == 78
    with pytest.raises(CommandFailed):
        read_configuration(str(path))


def test_as_json_a_configuration_is_an_object_and_what_is_found_in_it_a_list(
    oose: Asking, tmp_path: Path
) -> None:
    path = tmp_path / "odd.py"
    path.write_text(
        "store = {'enabled': True, 'username': 'u', 'password': 'hunter2'}\n"
        "inventory = {'driver': 'unix'}\nheartbeat = {'retries': 3}\n"
    )
    shown = oose("config", "show", str(path), "--json").json()
    assert shown["store"][0]["name"] == "store1"
    assert (shown["inventory"]["driver"], shown["ssl"]) == ("unix", None)
    assert "hunter2" not in str(shown)
    said = oose("--json", "config", "check", str(path))
    assert said.json() == [{"warning": "heartbeat.retries: has no effect without a cluster"}]
    assert (said.code, said.err) == (0, "")
    path.write_text("colour = 1")
    said = oose("--json", "config", "check", str(path))
    assert said.code == 78
    assert any("colour" in each["problem"] for each in said.json())
    assert "The configuration is not usable" in json.loads(said.err)["error"]


def test_json_may_be_asked_for_behind_any_command(oose: Asking, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"hello")
    assert oose("hash", "--json", "a.txt").json()["hash"] == HELLO
    assert oose("hash", "a.txt", "--json").json()["hash"] == HELLO
    assert json.loads(oose("path", "--json").err)["error"].startswith("Missing argument")
    assert oose("--json", "hash", "a.txt", "--json").json()["hash"] == HELLO


def test_what_is_insecure_is_warned_of(oose: Asking, tmp_path: Path) -> None:
    path = tmp_path / "open.py"
    path.write_text("insecure = True\nprism = {'enabled': True, 'listen': '0.0.0.0'}\n")
    said = oose("config", "check", str(path))
    assert said.code == 0
    assert "prism.listen" in said.err


def test_a_hash_is_that_of_the_bytes(oose: Asking, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"hello")
    assert oose("hash", "a.txt").out == f"{HELLO}  a.txt\n"
    assert oose("--json", "hash", "a.txt", "--type", "md5").json()["hashType"] == "md5"
    assert oose("hash", "-", stdin=b"hello").out == f"{HELLO}  -\n"
    missing = oose("hash", "none")
    assert (missing.code, missing.err) == (1, "oose: none: No such file or directory\n")


def test_a_name_that_is_no_text_is_told_as_it_is(oose: Asking, tmp_path: Path) -> None:
    name = os.fsdecode(b"a\xff.txt")
    (tmp_path / name).write_bytes(b"hello")
    assert oose("hash", name).raw == f"{HELLO}  ".encode() + b"a\xff.txt\n"
    assert oose("--json", "hash", name).json()["file"] == name


def test_a_path_is_where_content_lies(oose: Asking) -> None:
    assert oose("path", HELLO).out == f"aa/f4/{HELLO}.bin\n"
    assert oose("path", HELLO, "--ext", "txt", "--old").out.startswith("aa/f4/c6/1d/")


def test_a_user_that_others_have_made_is_of_no_day() -> None:
    assert day(0) == ""
    assert day(86_400_000) == "1970-01-02"

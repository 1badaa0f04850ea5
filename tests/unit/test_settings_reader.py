import string
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, fields
from hypothesis import given
from hypothesis import strategies as st

from oose.settings import BadSettings, PrismSettings, Settings, StoreSettings, Tls, read
from oose.settings.reader import DEFAULTS, check

HERE = Path(__file__).parent
PASSWORD = "x" * 16
ROOM = {"enabled": True}

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.text(),
    st.text(string.printable, max_size=400),
    st.binary(),
    st.just("x" * 5000),
    st.sampled_from(["prism", "auto", "2h", "64MB", "store1", "::", "http://a", "\0", str(HERE)]),
)
anything = st.recursive(
    scalars,
    lambda each: st.one_of(
        st.lists(each, max_size=4),
        st.tuples(each),
        st.sets(st.text(), max_size=3),
        st.dictionaries(st.one_of(st.text(), st.integers()), each, max_size=3),
    ),
    max_leaves=8,
)
sections = sorted({each.name for each in fields(Settings)} | {"store", "couchdb", "redis"})
below = sorted(
    {each.name for kind in (PrismSettings, StoreSettings, Tls) for each in fields(kind)}
    | {"frequency", "life", "minimum", "maximum", "level", "format", "timeout", "driver"}
)
mappings = st.dictionaries(
    st.one_of(st.sampled_from(below), st.text()), st.one_of(anything, st.just(True)), max_size=6
)
whole = st.dictionaries(
    st.one_of(st.sampled_from(sections), st.text()),
    st.one_of(anything, mappings, st.lists(mappings, max_size=3)),
    max_size=8,
)


def problems(**names: Any) -> tuple[str, ...]:
    """What is wrong with a configuration."""
    with pytest.raises(BadSettings) as bad:
        check(names, None)
    return bad.value.problems


def file(folder: Path, text: str) -> Path:
    path = folder / "oose.py"
    path.write_text(text)
    return path


def problem(folder: Path, text: str) -> str:
    """The only problem of a configuration file, without the file's name before it."""
    path = file(folder, text)
    with pytest.raises(BadSettings) as bad:
        read(path)
    (only,) = bad.value.problems
    assert only.startswith(f"{path}: ")
    return only.removeprefix(f"{path}: ")


# Files.


def test_the_example_says_what_goes_without_a_file() -> None:
    path = HERE.parents[1] / "config" / "local.py"
    example = read(path)
    assert example.path == path
    assert evolve(example, path=None) == read(None)


def test_one_machine_is_a_prism_and_a_store_on_loopback() -> None:
    settings = read(None)
    assert settings.prism == PrismSettings(enabled=True)
    assert settings.stores == (StoreSettings(Path("data/store1").absolute()),)
    assert settings.root == Path("data").absolute()
    assert settings.ssl is None


def test_a_file_is_python_and_keeps_its_own_names_to_itself(tmp_path: Path) -> None:
    text = """
import os
from pathlib import Path
_secret = "x" * 20
def hours(n): return n * 3600
class Odd: pass
prism = {"enabled": True, "username": "me", "password": _secret}
session = {"life": hours(2)}
"""
    settings = read(file(tmp_path, text))
    assert settings.prism.password == "x" * 20
    assert settings.session.life == 7200.0


def test_a_relative_name_of_a_file_counts_from_where_we_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file(tmp_path, "store = {'enabled': True, 'root': 'disk1'}")
    settings = read(Path("oose.py"))
    assert settings.path == tmp_path / "oose.py"
    assert settings.stores[0].root == tmp_path / "disk1"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "none.py", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(BadSettings, match=f"{path}: cannot be read: {why}"):
            read(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prism = {", "line 1: SyntaxError: '{' was never closed"),
        ("\n\nprism = nonsense", "line 3: NameError: name 'nonsense' is not defined"),
        ("a = 1\nopen('/no/such/file')", "line 2: FileNotFoundError: "),
        ("a = 1\nraise SystemExit(3)", "line 2: SystemExit: 3"),
        ("prism = \0", "ValueError: source code"),
    ],
)
def test_a_file_that_fails_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    found = problem(tmp_path, text)
    assert message in found or "SyntaxError" in found


def test_every_problem_is_told_at_once_with_the_file_s_name(tmp_path: Path) -> None:
    path = file(
        tmp_path,
        "prism = {'enabled': 1, 'prot': 80}\nstore = [{'min_free': 'much'}]\nlog = {'level': 'x'}\n"
        "clones = 5\nheartbaet = {}\n",
    )
    with pytest.raises(BadSettings) as bad:
        read(path)
    assert bad.value.problems == (
        f"{path}: prism.enabled: expected True or False; this is 1",
        f"{path}: prism.prot: there is no such name; did you mean port?",
        f'{path}: store.min_free: expected bytes, or text like "64MB", "1.5GiB"; this is \'much\'',
        f"{path}: clones: expected a mapping; this is 5",
        f"{path}: log.level: expected one of debug, info, warn, error, critical; this is 'x'",
        f"{path}: heartbaet: there is no such name; did you mean heartbeat?",
    )
    assert str(bad.value) == "\n".join(bad.value.problems)


# Anything.


@given(whole)
def test_any_value_for_any_name_gives_settings_or_its_problems(names: Mapping[str, Any]) -> None:
    with suppress(BadSettings):  # and nothing else
        assert isinstance(check(names, None), Settings)


@given(st.sampled_from(sections), st.sampled_from(below), anything)
def test_any_value_in_any_section_gives_settings_or_its_problems(
    section: str, name: str, value: object
) -> None:
    with suppress(BadSettings):  # and nothing else
        check({**DEFAULTS, section: {"enabled": True, name: value}}, None)


@pytest.mark.parametrize("name", ["retries", "frequency"])
def test_a_number_too_long_to_be_written_out_is_refused(name: str) -> None:
    found = problems(**DEFAULTS, heartbeat={name: 10**5000})
    assert found[0].endswith("; this is a value of type int")


@given(st.text(string.ascii_letters, min_size=1))
def test_a_name_that_nobody_knows_is_refused_wherever_it_stands(name: str) -> None:
    unknown = "x_" + name
    expected = f"{unknown}: there is no such name; "
    assert problems(**DEFAULTS, **{unknown: 1})[0].startswith(expected)
    for section in ("prism", "store", "ssl", "log", "heartbeat", "inventory", "retrieve"):
        names = {**DEFAULTS, section: {"enabled": True, unknown: 1}}
        if section not in {"prism", "store", "heartbeat"}:
            names[section] = {unknown: 1}
        assert problems(**names)[0].startswith(f"{section}.{expected}")


# What goes together.


def test_something_must_be_enabled() -> None:
    expected = ("nothing is enabled: set enabled in prism, in store or in both",)
    assert problems() == expected
    assert problems(prism={}, store={"enabled": False}) == expected


def test_a_list_of_stores_is_numbered_and_those_not_enabled_are_left_out() -> None:
    settings = check({"root": "/r", "store": [ROOM, {"name": "off"}, {**ROOM, "port": 7000}]}, None)
    assert settings.stores == (
        StoreSettings(Path("/r/store1"), "store1"),
        StoreSettings(Path("/r/store3"), "store3", port=7000),
    )


@pytest.mark.parametrize("value", [5, "store", [5], [[ROOM]], b"store", {1: 2}])
def test_what_is_no_store_is_refused(value: object) -> None:
    found = problems(prism=ROOM, store=value)
    assert found[0].startswith("store")
    assert "expected a mapping, or a list of them, one a disk; this is" in found[0]


def test_no_two_rooms_may_share_what_is_their_own() -> None:
    stores = [{"enabled": False}, ROOM, {**ROOM, "name": "store2", "root": "data/store2"}]
    assert problems(prism={**ROOM, "port": 5973}, store=stores) == (
        "store[1].port: the same as that of prism",
        "store[2].name: the same as that of store[1]",
        "store[2].root: the same as that of store[1]",
    )


def test_no_disk_may_lie_within_another(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "a" / "content")
    roots = ("a", "a/content", "link/b", "ab", "link")
    stores = [{"enabled": True, "root": str(tmp_path / root)} for root in roots]
    assert problems(prism=ROOM, store=stores) == (
        "store[4].root: the same as that of store[1]",
        "store[1].root: below that of store[0]",
        "store[2].root: below that of store[0]",
        "store[2].root: below that of store[1]",
        "store[2].root: below that of store[4]",
        "store[4].root: below that of store[0]",
    )


def test_a_single_store_is_called_by_no_number() -> None:
    found = problems(prism=ROOM, store={**ROOM, "port": 5971})
    assert found == ("store.port: the same as that of prism",)


def test_any_number_of_rooms_may_take_any_free_port() -> None:
    settings = check({"prism": {**ROOM, "port": 0}, "store": [{**ROOM, "port": 0}] * 1}, None)
    assert (settings.prism.port, settings.stores[0].port) == (0, 0)


def test_a_store_s_prism_is_the_one_beside_it_unless_another_is_named() -> None:
    settings = check({"prism": {"name": "p"}, "store": [ROOM, {**ROOM, "prism": "q"}]}, None)
    assert [store.prism for store in settings.stores] == ["p", "q"]


@pytest.mark.parametrize(("given", "missing"), [("username", "password"), ("password", "username")])
def test_a_username_and_a_password_go_together(given: str, missing: str) -> None:
    expected = f"{missing}: a username and a password are given together, or neither"
    assert problems(prism={**ROOM, given: PASSWORD}) == (f"prism.{expected}",)
    assert problems(store={**ROOM, given: PASSWORD}) == (f"store.{expected}",)


def test_clones_have_a_least_and_a_most() -> None:
    assert check({**DEFAULTS, "clones": {"minimum": 8}}, None).clones.minimum == 8
    assert problems(**{**DEFAULTS, "clones": {"minimum": 9}}) == (
        "clones.maximum: expected at least the minimum, 9",
    )


# What this version does not do.


def test_no_cluster_may_be_said_too() -> None:
    assert check({**DEFAULTS, "couchdb": None, "redis": None}, None) == read(None)


def test_more_than_one_worker_is_refused_clearly() -> None:
    expected = "workers: more than one worker is not supported by this version yet"
    assert problems(prism={**ROOM, "workers": 2}, store={**ROOM, "workers": 64}) == (
        f"prism.{expected}",
        f"store.{expected}",
    )
    assert check({"prism": {**ROOM, "workers": 1}}, None).prism.workers == 1


# Safety.


def test_listening_beyond_loopback_needs_ssl_or_saying_so() -> None:
    names = {"prism": {**ROOM, "listen": "0.0.0.0"}}
    assert problems(**names) == (
        "prism.listen: 0.0.0.0 is reached from elsewhere without ssl; insecure = True allows it",
    )
    assert check({**names, "insecure": True}, None).insecure
    assert check({**names, "ssl": {"pem": "auto"}}, None).ssl == Tls("auto")


def test_a_short_password_beyond_loopback_needs_saying_so() -> None:
    room = {**ROOM, "listen": "::", "username": "me", "password": "x" * 15}
    found = problems(store=room, ssl={"pem": "auto"})
    reason = "shorter than 16 characters and reached from elsewhere; insecure = True allows it"
    assert found == (f"store store1.password: {reason}",)


def test_certificates_are_files_named_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("own.pem", "ca.pem"):
        (tmp_path / name).touch()
    tls = check({**DEFAULTS, "ssl": {"pem": "own.pem", "verify": "ca.pem"}}, None).ssl
    assert tls == Tls(str(tmp_path / "own.pem"), str(tmp_path / "ca.pem"))
    assert check({**DEFAULTS, "ssl": {"verify": False}}, None).ssl == Tls(verify=False)
    assert check({**DEFAULTS, "ssl": {"verify": True}}, None).ssl is None


@pytest.mark.parametrize("name", ["none.pem", ".", "x" * 5000])
def test_certificates_that_are_not_there_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert problems(**DEFAULTS, ssl={"pem": name, "verify": name}) == (
        f"ssl.pem: there is no file {tmp_path / name}",
        f"ssl.verify: there is no file {tmp_path / name}",
    )

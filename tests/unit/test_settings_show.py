from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from oose.settings import BadSettings, Settings, read, show
from oose.settings.reader import check
from oose.settings.show import MASKED

HERE = str(Path(__file__))

durations = st.one_of(st.floats(0.01, 10**9), st.sampled_from(["90s", "2h", 5]))
sizes = st.one_of(st.integers(0, 2**63 - 1), st.sampled_from(["64MB", "1.5GiB", None]))
words = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters=":"), min_size=1, max_size=20
)
ports = st.integers(0, 65535)
passwords = st.text("abc'\"\\", min_size=16, max_size=20)


def some(**given: st.SearchStrategy[Any]) -> st.SearchStrategy[Mapping[str, Any]]:
    """Mappings with any of these names."""
    return st.fixed_dictionaries({}, optional=given)


both: Mapping[str, st.SearchStrategy[Any]] = {
    "listen": st.sampled_from(["127.0.0.1", "::", "example.org"]),
    "port": ports,
    "url": st.sampled_from([None, "https://a.example:1", "http://[::1]/"]),
    "trusted_proxies": st.sampled_from([[], ["10.0.0.0/8", "::1"], ("127.0.0.1",)]),
    "max_upload": sizes,
    "idle_timeout": durations,
}
credentials: st.SearchStrategy[Mapping[str, Any]] = st.one_of(
    st.just({}), st.fixed_dictionaries({"username": words, "password": passwords})
)


def room(**given: st.SearchStrategy[Any]) -> st.SearchStrategy[Mapping[str, Any]]:
    return st.builds(
        lambda own, login, enabled: {**own, **login, "enabled": enabled},
        some(**both, **given),
        credentials,
        st.booleans(),
    )


prisms = room(
    name=st.just("prism-x"),
    deny_static_types=st.sampled_from([[], ["mp4", ".MOV"], {"a", "b", "c"}]),
    exists_cache_life=durations,
)
stores = room(
    prism=st.just("prism-y"),
    root=words,
    accel_redirect=st.sampled_from([None, True, False, "/inside/"]),
    min_free=st.integers(0, 10**15),
)
configurations = st.fixed_dictionaries(
    {
        "insecure": st.sampled_from([True, True, False]),
        "prism": prisms,
        "store": st.lists(stores, max_size=3),
    },
    optional={
        "root": words,
        "machine": words,
        "group": words,
        "domain": st.sampled_from([None, "cdn.example.org", "localhost:80"]),
        "default_hash_type": st.sampled_from(["md5", "sha512"]),
        "ssl": some(
            pem=st.sampled_from([None, "auto", HERE]), verify=st.sampled_from([True, False, HERE])
        ),
        "heartbeat": some(enabled=st.sampled_from([None, True, False]), vote_life=durations),
        "inventory": some(verify_frequency=st.one_of(st.none(), durations)),
        "purchase": some(life=durations, afterlife=durations),
        "clones": some(minimum=st.integers(1, 8)),
        "session": some(life=durations),
        "retrieve": some(allow_private=st.booleans(), max_size=sizes),
        "couchdb": st.just({"url": "http://me:secret@127.0.0.1:5984", "timeout": 3}),
        "redis": st.sampled_from(
            [
                {"url": "redis://:secret@127.0.0.1:6379/1"},
                {"sentinels": ["a:1", "[::1]:2"], "service": "s", "password": "secret"},
            ]
        ),
        "log": some(format=st.just("json"), level=st.just("debug")),
    },
)


def masked(settings: Settings) -> Settings:
    """The same with its passwords as they are shown, from no file."""
    prism = evolve(settings.prism, password=settings.prism.password and MASKED)
    stores = [evolve(each, password=each.password and MASKED) for each in settings.stores]
    couchdb = settings.couchdb and evolve(settings.couchdb, password=MASKED)
    redis = settings.redis and evolve(settings.redis, password=MASKED)
    return evolve(
        settings, path=None, prism=prism, stores=tuple(stores), couchdb=couchdb, redis=redis
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shown")


def read_back(folder: Path, settings: Settings) -> Settings:
    path = folder / "shown.py"
    path.write_text(show(settings), encoding="utf-8")
    return evolve(read(path), path=None)


@given(names=configurations)
def test_what_is_shown_reads_back_as_the_same_but_for_passwords(
    folder: Path, names: Mapping[str, Any]
) -> None:
    settings = None
    with suppress(BadSettings):
        settings = check(names, None)
    assume(settings is not None)
    assert settings is not None
    assert read_back(folder, settings) == masked(settings)


def test_no_password_is_shown() -> None:
    login = {"enabled": True, "username": "me", "password": "correct horse battery"}
    text = show(check({"prism": login, "store": login}, None))
    assert "horse" not in text
    assert text.count(f"'password': '{MASKED}'") == 2


def test_no_password_of_a_database_is_shown() -> None:
    login = {"enabled": True, "username": "me", "password": "x" * 16}
    couchdb = {"url": "http://me:horse@127.0.0.1"}
    redis = {"url": "redis://me:horse@127.0.0.1"}
    text = show(check({"prism": login, "couchdb": couchdb, "redis": redis}, None))
    assert "horse" not in text


def test_a_room_heard_from_elsewhere_reads_back_too(folder: Path) -> None:
    room = {"enabled": True, "listen": "::", "username": "me", "password": "x" * 20}
    settings = check({"prism": room, "ssl": {"pem": "auto"}}, None)
    assert read_back(folder, settings) == masked(settings)


def test_where_it_comes_from_stands_above() -> None:
    settings = read(None)
    assert show(settings).startswith("# the defaults of one machine\nroot = ")
    odd = evolve(settings, path=Path("/etc/b\u00fccher\nimport os.py"))
    assert show(odd).startswith("# /etc/b\u00fccher\\nimport os.py\nroot = ")


def test_seconds_have_no_needless_fraction() -> None:
    text = show(check({"prism": {"enabled": True}, "session": {"life": "90m"}}, None))
    assert "'life': 5400," in text
    assert "'ping_response_timeout': 2," in text

from typing import Any

import pytest

from oose.settings import BadSettings
from oose.settings.databases import BOTH
from oose.settings.model import CouchSettings, RedisSettings, Settings
from oose.settings.reader import CREDENTIALS, check

ROOM = {"enabled": True, "username": "peer", "password": "x" * 16}
COUCHDB = {"url": "http://127.0.0.1:5984", "username": "oose", "password": "secret"}
REDIS = {"url": "redis://127.0.0.1:6379"}


def cluster(**names: Any) -> Settings:
    return check({"prism": ROOM, "store": ROOM, "couchdb": COUCHDB, "redis": REDIS, **names}, None)


def problems(**names: Any) -> tuple[str, ...]:
    with pytest.raises(BadSettings) as bad:
        cluster(**names)
    return bad.value.problems


def test_a_cluster_names_both_databases() -> None:
    settings = cluster()
    assert settings.couchdb == CouchSettings("http://127.0.0.1:5984", "oose", "secret")
    assert settings.redis == RedisSettings("redis://127.0.0.1:6379")
    assert settings.is_cluster
    assert not check({"prism": ROOM}, None).is_cluster


@pytest.mark.parametrize("missing", ["couchdb", "redis"])
def test_one_without_the_other_is_refused(missing: str) -> None:
    assert problems(**{missing: None}) == (f"{missing}: {BOTH}",)


def test_credentials_may_stand_in_the_url() -> None:
    settings = cluster(
        couchdb={"url": "https://a:b@db.example.org"},
        redis={"url": "rediss://c:d@cache.example.org/2", "prefix": "film"},
    )
    assert settings.couchdb == CouchSettings("https://db.example.org", "a", "b")
    expected = RedisSettings(
        "rediss://cache.example.org/2", username="c", password="d", prefix="film"
    )
    assert settings.redis == expected


def test_redis_is_one_server_or_what_sentinels_say() -> None:
    settings = cluster(redis={"sentinels": ["a:1", "b:2"], "service": "s"})
    assert settings.redis == RedisSettings(sentinels=(("a", 1), ("b", 2)), service="s")
    expected = "redis.url: expected the server, or instead of it sentinels and service"
    assert problems(redis={}) == (expected,)
    assert problems(redis={**REDIS, "sentinels": ["a:1"]}) == (expected,)


def test_couchdb_needs_a_server_and_an_account() -> None:
    assert problems(couchdb={}) == (
        'couchdb.url: expected the server, such as "http://127.0.0.1:5984"',
        "couchdb.username: a username and a password are needed",
    )


def test_a_bad_value_is_named_once() -> None:
    (problem,) = problems(couchdb={**COUCHDB, "url": "ftp://x"})
    assert problem.startswith("couchdb.url: expected a URL such as")
    (problem,) = problems(redis={"url": REDIS["url"], "timeout": 0})
    assert problem.startswith("redis.timeout: expected a duration above zero")


def test_peers_know_each_other_by_one_pair_of_credentials() -> None:
    bare = {"enabled": True}
    assert problems(prism=bare) == (f"prism.password: {CREDENTIALS}; there is none",)
    assert problems(prism=bare, store=bare) == (
        f"prism.password: {CREDENTIALS}; there is none",
        f"store.password: {CREDENTIALS}; there is none",
    )
    other = {**ROOM, "password": "y" * 16}
    assert problems(store=other) == (f"store.password: {CREDENTIALS}; these differ",)


def test_a_process_of_stores_alone_needs_them_too() -> None:
    assert cluster(prism={}).stores[0].password == "x" * 16
    assert problems(prism={}, store={"enabled": True}) == (
        f"store.password: {CREDENTIALS}; there is none",
    )

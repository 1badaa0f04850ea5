"""The sections of a cluster's databases: `couchdb` and `redis`."""

from collections.abc import Mapping
from typing import Any

from oose.settings import kinds
from oose.settings.model import CouchSettings, RedisSettings
from oose.settings.section import Section

BOTH = "a cluster names both couchdb and redis: what one prism sells or lets in counts on all"


def take_databases(
    top: Section, names: Mapping[str, Any]
) -> tuple[CouchSettings | None, RedisSettings | None]:
    """`couchdb` and `redis`, both or neither."""
    given = {name: names.get(name) is not None for name in ("couchdb", "redis")}
    couchdb = take_couchdb(top.section("couchdb"), given["couchdb"])
    redis = take_redis(top.section("redis"), given["redis"])
    if given["couchdb"] != given["redis"]:
        top.wrong("redis" if given["couchdb"] else "couchdb", BOTH)
    return couchdb, redis


def take_couchdb(section: Section, is_given: bool) -> CouchSettings | None:
    """`couchdb`; its credentials may stand in the URL too."""
    default = CouchSettings("", "", "")
    take = section.take
    server = take("url", kinds.server("http", "https"), None)
    username = take("username", kinds.optional(kinds.username), None)
    password = take("password", kinds.optional(kinds.text), None)
    settings = CouchSettings(
        url=server.url if server is not None else "",
        username=username or (server.username if server is not None else None) or "",
        password=password or (server.password if server is not None else None) or "",
        database=take("database", kinds.database, default.database),
        timeout=take("timeout", kinds.lasting, default.timeout),
    )
    section.close()
    if not is_given:
        return None
    if not section.has("url"):
        section.wrong("url", 'expected the server, such as "http://127.0.0.1:5984"')
    if not settings.username or not settings.password:
        section.wrong("username", "a username and a password are needed")
    return settings


def take_redis(section: Section, is_given: bool) -> RedisSettings | None:
    """`redis`."""
    default = RedisSettings()
    take = section.take
    server = take("url", kinds.server("redis", "rediss"), None)
    username = take("username", kinds.optional(kinds.username), None)
    password = take("password", kinds.optional(kinds.text), None)
    settings = RedisSettings(
        url=server.url if server is not None else None,
        sentinels=take("sentinels", kinds.hosts, ()),
        service=take("service", kinds.text, default.service),
        username=username or (server.username if server is not None else None),
        password=password or (server.password if server is not None else None),
        prefix=take("prefix", kinds.text, default.prefix),
        timeout=take("timeout", kinds.lasting, default.timeout),
    )
    section.close()
    if not is_given:
        return None
    if section.has("url") == section.has("sentinels"):
        section.wrong("url", "expected the server, or instead of it sentinels and service")
    return settings

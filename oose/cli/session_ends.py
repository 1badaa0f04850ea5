"""Ending a user's sessions in Redis, which keeps them by their tokens and not by their users."""

import re
from collections.abc import Iterator
from typing import Any

from oose.redis import RedisConnection, RedisSessions
from oose.redis.fields import key
from oose.together import together

AT_ONCE = 1000  # keys looked at in one request
_SPECIAL = re.compile(rb"([*?\[\]\\^-])")


async def end_sessions(connection: RedisConnection, prefix: str, username: str) -> int:
    """End all of a user's sessions, on every prism at once; how many there were."""
    sessions = RedisSessions(connection, prefix)
    beginning = key(prefix, "session", "")
    pattern = _SPECIAL.sub(rb"\\\1", beginning) + b"*"
    ended = 0
    cursor = b"0"
    while True:
        ((cursor, names),) = await _ask(
            connection, (b"SCAN", cursor, b"MATCH", pattern, b"COUNT", b"%d" % AT_ONCE)
        )
        users = await _ask(connection, *((b"HGET", name, b"username") for name in names))
        own = [name for name, user in zip(names, users, strict=True) if user == username.encode()]
        removed = await together(sessions.remove(digest) for digest in digests(own, beginning))
        ended += sum(removed)
        if cursor == b"0":
            return ended


def digests(names: list[bytes], beginning: bytes) -> Iterator[str]:
    """What follows the beginning of each key."""
    for name in names:
        yield name.removeprefix(beginning).decode()


async def _ask(connection: RedisConnection, *commands: tuple[bytes, ...]) -> list[Any]:
    return list(await connection.ask(*commands, again=True)) if commands else []

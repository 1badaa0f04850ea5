"""Looking at all keys of one kind, some at a time, while others go on."""

import re
from collections.abc import AsyncIterator, Sequence

from oose.redis.connection import RedisConnection
from oose.redis.fields import NONSENSE, key
from oose.redis.line import Reply

AT_ONCE = 200  # keys in one request, and in one of what is asked about them
_SPECIAL = re.compile(rb"([*?\[\]\\])")


async def keys(
    connection: RedisConnection, prefix: str, kind: str, *, of_type: str | None = None
) -> AsyncIterator[Sequence[bytes]]:
    """The keys of one kind, in pages of at most `AT_ONCE`; with `of_type` those of that type.

    One may come twice. What was there all the time is among them, also where another server takes
    over: there it begins again.
    """
    pattern = _SPECIAL.sub(rb"\\\1", key(prefix, kind, "")) + b"*"
    typed = (b"TYPE", of_type.encode()) if of_type is not None else ()
    cursor, generation = b"0", connection.generation
    while True:
        [reply] = await connection.ask(
            (b"SCAN", cursor, b"MATCH", pattern, b"COUNT", b"%d" % AT_ONCE, *typed), again=True
        )
        cursor, found = _read(connection, reply)
        for start in range(0, len(found), AT_ONCE):
            yield list(dict.fromkeys(found[start : start + AT_ONCE]))
        if generation != connection.generation:  # a cursor is of no use to another server
            cursor, generation = b"0", connection.generation
        elif cursor == b"0":
            return


def _read(connection: RedisConnection, reply: Reply) -> tuple[bytes, Sequence[bytes]]:
    if isinstance(reply, list) and len(reply) == 2:
        cursor, found = reply
        if isinstance(found, list) and all(isinstance(each, bytes) for each in [cursor, *found]):
            return cursor, found
    raise connection.distrust(NONSENSE)

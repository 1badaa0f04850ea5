"""Hashes of texts that end by themselves, as purchases and sessions are kept in Redis."""

from collections.abc import Mapping

from oose.errors import Unavailable
from oose.redis.connection import RedisConnection
from oose.redis.line import Reply

NONSENSE = "its answers make no sense"


class Damaged(Unavailable):
    """What is under a key is not ours."""


def key(prefix: str, kind: str, name: str) -> bytes:
    """The key of one purchase or session."""
    return f"{prefix}:{kind}:{name}".encode("utf-8", "surrogatepass")


async def keep(
    connection: RedisConnection, name: bytes, fields: Mapping[str, str], until: int
) -> None:
    """Write a hash that is there until a time (ms), whole or not at all."""
    texts = [text.encode("utf-8", "surrogatepass") for pair in fields.items() for text in pair]
    *_, done = await connection.write(
        (b"MULTI",),
        (b"HSET", name, *texts),
        (b"PEXPIREAT", name, b"%d" % until),
        (b"EXEC",),
        again=True,
    )
    if not isinstance(done, list):
        raise connection.distrust(NONSENSE)


def read(connection: RedisConnection, reply: Reply) -> Mapping[str, str]:
    """What HGETALL answered, empty where there is no such key; `Unavailable` for anything else."""
    if not isinstance(reply, list) or len(reply) % 2:
        raise connection.distrust(NONSENSE)
    if not all(isinstance(each, bytes) for each in reply):
        raise connection.distrust(NONSENSE)
    try:
        texts = [each.decode("utf-8", "surrogatepass") for each in reply]
    except UnicodeDecodeError:
        raise damaged() from None
    return dict(zip(texts[::2], texts[1::2], strict=True))


def number(connection: RedisConnection, reply: Reply) -> int:
    """What a command answered that counts; `Unavailable` for anything else."""
    if not isinstance(reply, int):
        raise connection.distrust(NONSENSE)
    return reply


def damaged() -> Damaged:
    """The error for a hash that is not ours."""
    return Damaged("What Redis holds under this token is damaged")

"""All purchases in Redis: what lies about among them, and servers that change meanwhile."""

from collections.abc import AsyncIterator, Iterator, Sequence

import pytest
import pytest_twisted
from attrs import evolve

from oose.errors import Unavailable
from oose.purchases import Purchase, Tidied
from oose.redis import RedisConnection, RedisPurchases
from oose.redis.scanning import keys
from tests.redis_server import RedisServer, connected, running, until
from tests.unit.scripted_redis import Conversation, Talk, talk, text

FAR = 4_000_000_000_000  # in 2096
PURCHASE = Purchase("t" * 64, "a" * 40, "mp4", ("localhost",), 3_600_000, FAR)
AFTERLIFE = 1000
HASH = ("hash", "a" * 40, "ext", "mp4", "referrer", "", "life", "1", "expirationDate")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def server(shared: RedisServer) -> RedisServer:
    shared.cli("FLUSHALL")
    return shared


@pytest_twisted.async_yield_fixture
async def connection(server: RedisServer) -> AsyncIterator[RedisConnection]:
    connection = await connected(server.settings)
    yield connection
    await connection.close()


@pytest_twisted.async_yield_fixture
async def scripted() -> AsyncIterator[Talk]:
    async with talk() as redis:
        yield redis


async def tokens(purchases: RedisPurchases) -> list[str]:
    return [each.token async for page in purchases.each() for each in page]


async def all_keys(connection: RedisConnection, prefix: str, kind: str) -> list[bytes]:
    return [each async for page in keys(connection, prefix, kind) for each in page]


def scan(cursor: bytes, *names: bytes) -> bytes:
    """What Redis answers to SCAN."""
    return b"*2\r\n$%d\r\n%s\r\n" % (len(cursor), cursor) + text(*names)


# A real server.


@pytest.mark.parametrize("prefix", ["a*", "a?", "[ab]", "a\\", "é:*", "a"])
@pytest_twisted.ensureDeferred
async def test_only_keys_of_the_own_prefix_and_kind_are_looked_at(
    connection: RedisConnection, prefix: str
) -> None:
    for name in ("a*", "a?", "ab", "[ab]", "a\\", "a\\b", "é:*", "é:b", "a", "b"):
        for kind in ("purchase", "session"):
            await connection.ask((b"SET", f"{name}:{kind}:{name}".encode(), b""))
    assert await all_keys(connection, prefix, "purchase") == [
        f"{prefix}:purchase:{prefix}".encode()
    ]


@pytest_twisted.ensureDeferred
async def test_what_is_no_purchase_is_not_told_as_one(
    connection: RedisConnection, server: RedisServer
) -> None:
    purchases = RedisPurchases(connection, "oose", AFTERLIFE)
    await purchases.add(PURCHASE)
    litter(server)
    assert sorted(await tokens(purchases)) == [PURCHASE.token, "unending"]
    assert sorted(await purchases.of("a" * 40)) == ["half", PURCHASE.token, "unending", "words"]


def litter(server: RedisServer) -> None:
    """What no version of oose writes."""
    server.cli("HSET", "oose:purchase:half", "hash", "a" * 40)
    server.cli("HSET", "oose:purchase:words", *HASH, "tomorrow")
    server.cli("HSET", "oose:purchase:unending", *HASH, str(FAR))
    server.cli("SET", "oose:purchase:text", "x")
    server.cli(
        "EVAL", f"return redis.call('HSET', 'oose:purchase:\\255', 'hash', '{'a' * 40}')", "0"
    )
    server.cli("EVAL", "return redis.call('HSET', 'oose:purchase:bytes', 'hash', '\\255')", "0")
    server.cli("SET", "oose:session:x", "y")
    server.cli("SET", "other:purchase:x", "y")


@pytest_twisted.ensureDeferred
async def test_what_lies_about_is_tidied_away_and_purchases_stay(
    connection: RedisConnection, server: RedisServer
) -> None:
    purchases = RedisPurchases(connection, "oose", AFTERLIFE)
    await purchases.add(PURCHASE)
    litter(server)
    server.cli("HSET", "oose:purchase:over", *HASH, "5")
    found = Tidied(expired=1, broken=5, unending=1)
    keys_before = server.cli("DBSIZE")
    assert await purchases.tidy(6, pretend=True) == found
    assert server.cli("DBSIZE") == keys_before
    assert await purchases.tidy(6) == found
    assert await purchases.tidy(6) == Tidied()
    assert sorted(await tokens(purchases)) == [PURCHASE.token, "unending"]
    for token in (PURCHASE.token, "unending"):
        assert server.cli("PEXPIRETIME", f"oose:purchase:{token}") == str(FAR + AFTERLIFE)
    assert server.cli("DBSIZE") == "4"


@pytest_twisted.ensureDeferred
async def test_where_nothing_is_like_a_purchase_all_is_tidied_away(
    connection: RedisConnection, server: RedisServer
) -> None:
    purchases = RedisPurchases(connection, "oose", AFTERLIFE)
    server.cli("SADD", "oose:purchase:set", "x")
    assert await tokens(purchases) == []
    assert await purchases.tidy(0) == Tidied(broken=1)
    assert server.cli("DBSIZE") == "0"


@pytest_twisted.ensureDeferred
async def test_a_purchase_leaves_redis_when_its_afterlife_is_over(
    connection: RedisConnection, server: RedisServer
) -> None:
    over = evolve(PURCHASE, expires=1)
    await RedisPurchases(connection, "oose", FAR).add(over)
    assert server.cli("PEXPIRETIME", f"oose:purchase:{over.token}") == str(FAR + 1)
    await RedisPurchases(connection, "oose", AFTERLIFE).add(over)  # over since 1970
    assert server.cli("DBSIZE") == "0"


# Servers that answer as a test says.


@pytest_twisted.ensureDeferred
async def test_what_goes_meanwhile_is_nothing_to_tidy(scripted: Talk) -> None:
    connection = await scripted.open()
    scripted.script.answers |= {
        b"HGET": b"$-1\r\n",
        b"SCAN": scan(b"0", b"p:purchase:gone", b"p:purchase:going"),
        b"TYPE": each_in_turn(b"+none\r\n", b"+hash\r\n"),
        b"PTTL": b":-2\r\n",
        b"HGETALL": text(),
    }
    purchases = RedisPurchases(connection, "p", AFTERLIFE)
    assert await purchases.tidy(0) == Tidied()
    assert not scripted.script.heard(b"DEL")
    assert await tokens(purchases) == []
    assert list(await purchases.of("a" * 40, "None")) == []


def each_in_turn(*answers: bytes) -> "EachInTurn":
    return EachInTurn(list(answers))


class EachInTurn:
    """Answers with one after the other, and with the last from then on."""

    def __init__(self, answers: list[bytes]) -> None:
        self._answers = answers

    def __call__(self, conversation: Conversation) -> bytes:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@pytest_twisted.ensureDeferred
async def test_many_keys_in_one_answer_are_several_pages_and_each_once(scripted: Talk) -> None:
    connection = await scripted.open()
    names = [b"p:x:%d" % n for n in range(450)]
    scripted.script.answers[b"SCAN"] = each_in_turn(
        scan(b"7", *names, *names[:3]), scan(b"9"), scan(b"0", b"p:x:last", b"p:x:last")
    )
    pages = [list(page) async for page in keys(connection, "p", "x", of_type="hash")]
    assert [len(page) for page in pages] == [200, 200, 53, 1]
    assert scripted.script.commands[-1] == [
        *(b"SCAN", b"9", b"MATCH", b"p:x:*", b"COUNT", b"200", b"TYPE", b"hash")
    ]
    assert scripted.script.heard(b"SCAN") == 3


@pytest_twisted.ensureDeferred
async def test_where_another_server_takes_over_the_search_begins_again(scripted: Talk) -> None:
    connection = await scripted.open()
    scripted.script.answers[b"SCAN"] = each_in_turn(
        scan(b"7", b"p:x:a"), scan(b"0", b"p:x:a", b"p:x:b")
    )
    search = keys(connection, "p", "x")
    assert await anext(search) == [b"p:x:a"]
    scripted.clock.advance(1)
    scripted.script.hang_up()
    await until(lambda: connection.generation == 2)
    assert [each async for page in search for each in page] == [b"p:x:a", b"p:x:b"]
    assert cursors(scripted) == [b"0", b"0"]


@pytest_twisted.ensureDeferred
async def test_a_search_that_ends_at_another_server_than_it_began_at_begins_again(
    scripted: Talk,
) -> None:
    connection = await scripted.open()
    answers = each_in_turn(scan(b"7", b"p:x:a"), b"", scan(b"0"), scan(b"0", b"p:x:a", b"p:x:b"))

    def answer(conversation: Conversation) -> bytes:
        said = answers(conversation)
        if not said:
            conversation.hang_up()
        return said

    scripted.script.answers[b"SCAN"] = answer
    scripted.clock.advance(1)
    assert await all_keys(connection, "p", "x") == [b"p:x:a", b"p:x:a", b"p:x:b"]
    assert cursors(scripted) == [b"0", b"7", b"7", b"0"]


def cursors(scripted: Talk) -> list[bytes]:
    return [command[1] for command in scripted.script.commands if command[0] == b"SCAN"]


@pytest.mark.parametrize(
    "answer",
    [
        b"+OK\r\n",
        text(b"0"),
        text(b"0", b"x"),
        b"*2\r\n:0\r\n*0\r\n",
        b"*2\r\n$1\r\n0\r\n*1\r\n:1\r\n",
    ],
)
@pytest_twisted.ensureDeferred
async def test_an_answer_that_makes_no_sense_ends_the_search(scripted: Talk, answer: bytes) -> None:
    connection = await scripted.open()
    scripted.script.answers[b"SCAN"] = answer
    with pytest.raises(Unavailable):
        await all_keys(connection, "p", "x")
    assert connection.server is None


@pytest_twisted.ensureDeferred
async def test_a_server_that_talks_nonsense_loses_nothing(scripted: Talk) -> None:
    connection = await scripted.open()
    scripted.script.answers |= {
        b"SCAN": scan(b"0", b"p:purchase:a"),
        b"TYPE": b"+hash\r\n",
        b"PTTL": b":-1\r\n",
        b"HGETALL": b":1\r\n",
    }
    with pytest.raises(Unavailable):
        await RedisPurchases(connection, "p", AFTERLIFE).tidy(FAR)
    assert not scripted.script.heard(b"DEL")


@pytest_twisted.ensureDeferred
async def test_who_looks_for_a_few_does_not_look_at_all(scripted: Talk) -> None:
    connection = await scripted.open()
    scripted.script.answers |= {
        b"SCAN": each_in_turn(*(scan(b"7", b"p:purchase:%d" % n) for n in range(9))),
        b"HGET": b"$40\r\n" + b"a" * 40 + b"\r\n",
    }
    found: Sequence[str] = await RedisPurchases(connection, "p", 0).of("a" * 40, limit=2)
    assert found == ["0", "1"]
    assert scripted.script.heard(b"SCAN") == 2


@pytest_twisted.ensureDeferred
async def test_each_of_many_removals_is_told_to_everybody(scripted: Talk) -> None:
    connection = await scripted.open()
    scripted.script.answers |= {b"DEL": each_in_turn(b":1\r\n", b":0\r\n"), b"PUBLISH": b":0\r\n"}
    gone = [f"{n}" for n in range(450)]
    asked = connection.asked
    assert await RedisPurchases(connection, "p", 0).remove_many(gone) == 1
    assert connection.asked == asked + 3
    told = [each[2] for each in scripted.script.commands if each[0] == b"PUBLISH"]
    assert told == [f"purchase:{each}".encode() for each in gone]

"""The client between a CouchDB and everything that can go wrong on the way."""

import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_twisted
from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from oose.couchdb import AnswerLost
from oose.couchdb.presence import SHUT, WRONG
from oose.errors import Unavailable
from tests.couchdb_double import ACCOUNT, PASSWORD
from tests.fault_proxy import (
    Fault,
    LostAnswer,
    ResetAfter,
    ResetBefore,
    Says,
    SaysAfter,
    Silence,
    Truncated,
)
from tests.ports import free_port
from tests.real import reactor
from tests.unit.couches import Couch, client_at, couch_at
from tests.unit.logged import logged

HTML = b"<html><body>It works!</body></html>"


def http(status: str, body: bytes, length: int | None = None) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body) if length is None else length}\r\n\r\n"
    return head.encode() + body


@pytest_twisted.async_yield_fixture
async def couch() -> AsyncIterator[Couch]:
    async with couch_at() as couch:
        yield couch


def begun(work: Any) -> "Deferred[Any]":
    return Deferred.fromCoroutine(work)


# Waiting


@pytest.mark.parametrize("fault", [Silence, LostAnswer])
@pytest_twisted.ensureDeferred
async def test_a_server_that_hangs_is_waited_for_so_long_and_no_longer(
    couch: Couch, fault: type[Fault]
) -> None:
    asking = begun(couch.client.ask("GET", "/oose-peer", repeat=True))
    struck = couch.proxy.next(fault()).struck
    await struck
    couch.clock.advance(1.4)
    assert not asking.called
    couch.clock.advance(0.1)
    with pytest.raises(Unavailable, match="does not answer") as caught:
        await asking
    assert caught.value.retry_after
    assert couch.clock.getDelayedCalls() == []
    assert couch.client.requests == 1


@pytest_twisted.ensureDeferred
async def test_an_answer_that_stops_in_the_middle_is_not_waited_for_either(couch: Couch) -> None:
    """And its connection is closed, or it would be open for good."""

    class Stalls(Truncated):
        def answer(self, link: Any, data: bytes) -> None:
            if not self.struck.called:
                link.to_client(data[: self.size])
                self.strike()

    fault = couch.proxy.next(Stalls(size=150))
    asking = begun(couch.client.ask("GET", "/oose-peer"))
    await couch.late(asking, fault.struck)
    with pytest.raises(Unavailable):
        await asking
    while couch.proxy.links:
        await deferLater(reactor, 0.001)


@pytest_twisted.ensureDeferred
async def test_who_leaves_is_not_answered_and_nothing_is_thought_of_the_server(
    couch: Couch,
) -> None:
    fault = couch.proxy.next(Silence())
    asking = begun(couch.client.ask("GET", "/oose-peer", repeat=True))
    await fault.struck
    asking.cancel()
    with pytest.raises(CancelledError):
        await asking
    assert couch.clock.getDelayedCalls() == []
    assert couch.client.requests == 1
    await couch.client.ask("GET", "/oose-peer")


@pytest_twisted.ensureDeferred
async def test_who_leaves_while_it_is_connecting_says_nothing_of_the_server(couch: Couch) -> None:
    asking = begun(couch.client.ask("GET", "/oose-peer", repeat=True))
    asking.cancel()
    with pytest.raises(CancelledError):
        await asking
    await couch.client.ask("GET", "/oose-peer")


@pytest_twisted.ensureDeferred
async def test_while_it_is_away_requests_fail_at_once_but_one_a_second(couch: Couch) -> None:
    couch.proxy.rule = Silence
    with logged("error") as errors:
        asking = [begun(couch.client.ask("GET", "/oose-peer")) for _ in range(3)]
        couch.clock.advance(1.5)
        for each in asking:  # they were connecting yet
            with pytest.raises(Unavailable):
                await each
        for _ in range(3):
            with pytest.raises(Unavailable, match="away for now"):
                await couch.client.ask("GET", "/oose-peer")
        assert couch.client.requests == 3
        couch.clock.advance(1)
        probe = begun(couch.client.ask("GET", "/oose-peer"))
        with pytest.raises(Unavailable, match="away for now"):
            await couch.client.listen("/oose-peer/_changes", 25)
        assert couch.client.requests == 4
        couch.clock.advance(1.5)
        with pytest.raises(Unavailable):
            await probe
    assert len(errors) == 1
    assert f"127.0.0.1:{couch.proxy.port} is away: no answer within 1.5 seconds" in errors[0]


@pytest_twisted.ensureDeferred
async def test_whether_it_is_known_to_be_away_is_told_without_asking(couch: Couch) -> None:
    couch.client.refuse_if_away()
    fault = couch.proxy.next(Silence())
    asking = begun(couch.client.ask("GET", "/oose-peer"))
    couch.client.refuse_if_away()  # nobody knows yet
    await couch.late(asking, fault.struck)
    with pytest.raises(Unavailable):
        await asking
    couch.clock.advance(2)
    requests = couch.client.requests
    for _ in range(2):
        with pytest.raises(Unavailable, match="away for now") as refused:
            couch.client.refuse_if_away()
        assert refused.value.retry_after
    assert couch.client.requests == requests
    await couch.client.ask("GET", "/oose-peer")  # still let through to find out
    couch.client.refuse_if_away()


@pytest_twisted.ensureDeferred
async def test_the_log_says_once_that_it_is_back(couch: Couch) -> None:
    fault = couch.proxy.next(Silence())
    asking = begun(couch.client.ask("GET", "/oose-peer"))
    await couch.late(asking, fault.struck)
    with pytest.raises(Unavailable):
        await asking
    couch.clock.advance(2)
    with logged("info") as lines:
        await couch.client.ask("GET", "/oose-peer")
        await couch.client.ask("GET", "/oose-peer")
    ours = [line for line in lines if line.startswith("CouchDB")]
    assert ours == [f"CouchDB at 127.0.0.1:{couch.proxy.port} is back after 2 seconds"]


@pytest_twisted.ensureDeferred
async def test_where_nobody_listens_is_known_at_once(couch: Couch) -> None:
    settings = evolve(couch.settings, url=f"http://127.0.0.1:{free_port()}")
    client = client_at(settings, couch.clock)
    with logged("error") as errors, pytest.raises(Unavailable, match="does not answer"):
        await client.ask("GET", "/oose-peer", repeat=True)
    assert "refused the connection" in errors[0]
    assert client.requests == 1


@pytest_twisted.ensureDeferred
async def test_what_is_no_tls_is_said_so_in_the_log(couch: Couch) -> None:
    settings = evolve(couch.settings, url=f"https://127.0.0.1:{couch.proxy.port}")
    client = client_at(settings, couch.clock)
    couch.proxy.next(Says(b"no secrets here\r\n"), Says(b"nor here\r\n"))
    with logged("error") as errors, pytest.raises(Unavailable):
        await client.ask("GET", "/oose-peer", repeat=True)
    assert "TLS" in errors[0]


# Sending once more


@pytest.mark.parametrize("fault", [ResetBefore, ResetAfter])
@pytest_twisted.ensureDeferred
async def test_what_may_be_repeated_is_sent_once_more_on_a_broken_connection(
    couch: Couch, fault: type[Fault]
) -> None:
    couch.proxy.next(Fault(), fault())
    await couch.client.ask("GET", "/oose-peer", repeat=True)
    answer = await couch.client.ask("GET", "/oose-peer", repeat=True)
    assert answer.status == 200
    assert couch.client.requests == 3


@pytest_twisted.ensureDeferred
async def test_twice_is_enough(couch: Couch) -> None:
    couch.proxy.rule = ResetBefore
    with pytest.raises(Unavailable, match="does not answer") as caught:
        await couch.client.ask("GET", "/oose-peer", repeat=True)
    assert not isinstance(caught.value, AnswerLost)
    assert couch.client.requests == 2


@pytest.mark.parametrize("fault", [ResetBefore, ResetAfter, lambda: Truncated(size=100)])
@pytest_twisted.ensureDeferred
async def test_what_may_not_be_repeated_is_lost_instead(
    couch: Couch, fault: Callable[[], Fault]
) -> None:
    couch.proxy.next(fault())
    with pytest.raises(AnswerLost):
        await couch.client.ask("POST", "/oose-peer/_bulk_docs", {"docs": []})
    assert couch.client.requests == 1
    await couch.client.ask("GET", "/oose-peer")  # it is there all the same


@pytest_twisted.ensureDeferred
async def test_a_connection_is_used_again(couch: Couch) -> None:
    for _ in range(3):
        await couch.client.ask("GET", "/oose-peer")
    assert len(couch.proxy.links) == 1


# Answers


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x00\xff" * 50,
        b"HTTP/1.1 200 OK\r\n\r\n",
        http("200 OK", HTML),
        http("200 OK", b"7"),
        http("200 OK", b'{"update_seq": '),
        http("200 OK", b"[" * 100_000),
        http("200 OK", b'{"a": 1}', length=1000),
        http("302 Found", HTML),
        http("404 Not Found", HTML),
        http("418 I'm a teapot", b'{"error": "tea"}'),
        http("500 Internal Server Error", b'{"error": "case_clause", "reason": "{badarg}"}'),
        http("502 Bad Gateway", HTML),
    ],
)
@pytest_twisted.ensureDeferred
async def test_whatever_else_answers_is_told_in_words(couch: Couch, said: bytes) -> None:
    couch.proxy.next(Says(said), Says(said))
    with pytest.raises(Unavailable) as told:
        await couch.client.ask("GET", "/oose-peer", expected={404}, repeat=True)
    assert re.fullmatch(r"The database \(CouchDB\) [a-z :0-9]+", told.value.message)


@pytest_twisted.ensureDeferred
async def test_trouble_is_logged_once_and_again_after_it_was_over(couch: Couch) -> None:
    failing = http("500 Internal Server Error", b"{}")
    with logged("error") as errors:
        for _ in range(2):
            couch.proxy.next(Says(failing), Says(failing))
            for _ in range(2):
                with pytest.raises(Unavailable):
                    await couch.client.ask("GET", "/oose-peer", repeat=True)
            await couch.client.ask("GET", "/oose-peer", repeat=True)
    assert [each.partition(": ")[2] for each in errors] == [
        "The database (CouchDB) failed: it answered 500"
    ] * 2


@pytest_twisted.ensureDeferred
async def test_an_account_without_rights_is_told_so_and_its_password_is_not(couch: Couch) -> None:
    couch.cluster.is_revoked = True
    with logged("error") as errors:
        for _ in range(3):
            with pytest.raises(Unavailable, match="refuses the account") as caught:
                await couch.client.ask("GET", "/oose-peer")
            assert PASSWORD not in str(caught.value)
    assert len(errors) == 1
    assert PASSWORD not in errors[0]
    assert couch.client.requests == 1
    couch.cluster.is_revoked = False
    couch.clock.advance(SHUT)
    await couch.client.ask("GET", "/oose-peer")
    couch.cluster.users[ACCOUNT] = "changed"
    with pytest.raises(Unavailable, match="refuses the account"):
        await couch.client.ask("GET", "/oose-peer")


@pytest_twisted.ensureDeferred
async def test_a_wrong_password_is_not_tried_until_the_account_is_locked_for_all(
    couch: Couch,
) -> None:
    couch.cluster.users[ACCOUNT] = "changed"
    for _ in range(3):
        for _ in range(3):
            with pytest.raises(Unavailable, match="refuses the account"):
                await couch.client.ask("GET", "/oose-peer")
        said = await couch.client.ask("GET", "/oose-peer", expected={401}, is_anonymous=True)
        assert said.status == 401
        couch.clock.advance(WRONG)
    assert couch.cluster.failed == {ACCOUNT: 3}
    couch.cluster.users[ACCOUNT] = PASSWORD
    await couch.client.ask("GET", "/oose-peer")
    await couch.client.ask("GET", "/oose-peer")


@pytest_twisted.ensureDeferred
async def test_whether_it_is_known_to_refuse_our_account_is_told_without_asking(
    couch: Couch,
) -> None:
    couch.cluster.is_revoked = True
    with pytest.raises(Unavailable, match="refuses the account"):
        await couch.client.ask("GET", "/oose-peer")
    for _ in range(2):
        with pytest.raises(Unavailable, match="refuses the account"):
            couch.client.refuse_if_away()
    assert couch.client.requests == 1
    couch.clock.advance(SHUT)
    couch.client.refuse_if_away()  # who comes now finds out
    couch.cluster.is_revoked = False
    await couch.client.ask("GET", "/oose-peer")
    couch.client.refuse_if_away()


@pytest_twisted.ensureDeferred
async def test_only_one_request_finds_out_whether_the_account_is_good_again(couch: Couch) -> None:
    couch.cluster.is_revoked = True
    with pytest.raises(Unavailable, match="refuses the account"):
        await couch.client.ask("GET", "/oose-peer")
    couch.clock.advance(SHUT)
    asking = begun(couch.client.ask("GET", "/oose-peer"))
    with pytest.raises(Unavailable, match="refuses the account"):
        await couch.client.listen("/oose-peer/_changes", 5.0)
    with pytest.raises(Unavailable, match="refuses the account"):
        await asking
    assert couch.client.requests == 2


@pytest_twisted.ensureDeferred
async def test_a_database_that_is_missing_is_told_with_what_to_do(couch: Couch) -> None:
    with pytest.raises(Unavailable, match="oose couchdb setup"):
        await couch.client.ask("GET", "/other")


@pytest_twisted.ensureDeferred
async def test_a_refusal_that_was_expected_is_an_answer(couch: Couch) -> None:
    answer = await couch.client.ask("GET", "/other", expected={404})
    assert (answer.status, answer.reason) == (404, "Database does not exist.")


@pytest_twisted.ensureDeferred
async def test_cookies_are_not_kept(couch: Couch) -> None:
    who = {"name": ACCOUNT, "password": PASSWORD}
    seen: list[bytes] = []

    class Watches(Fault):
        def request(self, link: Any, data: bytes) -> None:
            seen.append(data)
            super().request(link, data)

    couch.proxy.rule = Watches
    await couch.client.ask("POST", "/_session", who, is_anonymous=True)
    await couch.client.ask("GET", "/_session")
    text = b"".join(seen).lower()
    assert b"cookie" not in text
    assert text.count(b"authorization") == 1


@pytest_twisted.ensureDeferred
async def test_an_answer_that_was_lost_after_all_was_done_is_lost(couch: Couch) -> None:
    couch.proxy.next(SaysAfter(http("201 Created", HTML)))
    with pytest.raises(AnswerLost):
        await couch.client.ask("POST", "/oose-peer/_bulk_docs", {"docs": [{"_id": "a"}]})
    assert couch.cluster.stores["oose-peer"].live("a")

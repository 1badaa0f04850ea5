"""Downloads that a prism passes on from stores elsewhere, which are cut, stall and lie."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock, deferLater
from twisted.internet.threads import blockingCallFromThread, deferToThread

from oose import tls
from oose.deliver.flow import Flow
from oose.metadata.records import InventoryRecord
from oose.ranges import Span
from oose.relay import Relay, RelayedClone
from tests.real import reactor
from tests.unit.shelves import CREDENTIALS, HASH, IDLE, PATIENCE, Desks, Scripted, desks, head_of

DATA = bytes(range(256)) * 8
LARGE = bytes(range(251)) * 40_000  # more than what lies in buffers on its way

SMALL = 64 * 1024


async def turn() -> None:
    """Let the reactor do what is due."""
    await deferLater(reactor, 0)


@pytest_twisted.ensureDeferred
async def test_content_of_a_store_elsewhere_is_sent_whole_and_in_parts(tmp_path: Path) -> None:
    async with desks(DATA) as prism:
        shelf = prism.shelve(tmp_path)
        whole = await prism.ask()
        assert (whole.status, whole.body) == (200, DATA)
        assert whole.headers["etag"] == f'"{HASH}"'
        assert whole.headers["content-length"] == str(len(DATA))
        part = await prism.ask(Range="bytes=100-199")
        assert (part.status, part.body) == (206, DATA[100:200])
        assert part.headers["content-range"] == f"bytes 100-199/{len(DATA)}"
        many = await prism.ask(Range="bytes=0-9,20-29,-5")
        assert many.headers["content-type"].startswith("multipart/byteranges")
        for piece in (DATA[:10], DATA[20:30], DATA[-5:]):
            assert b"\r\n\r\n" + piece + b"\r\n--" in many.body
        assert int(many.headers["content-length"]) == len(many.body)
        size = len(DATA)
        assert shelf.asked == [
            f"bytes=0-{size - 1}",
            "bytes=100-199",
            "bytes=0-9",
            "bytes=20-29",
            f"bytes={size - 5}-{size - 1}",
        ]
        assert prism.deliveries.sent == len(whole.body + part.body + many.body)


@pytest_twisted.ensureDeferred
async def test_what_needs_no_bytes_asks_no_store() -> None:
    store = Scripted(DATA)
    async with desks(DATA, store) as prism:
        head = await prism.ask("HEAD")
        assert (head.status, head.headers["content-length"]) == (200, str(len(DATA)))
        assert (await prism.ask(If_None_Match=f'"{HASH}"')).status == 304
        assert (await prism.ask(If_Match='"other"')).status == 412
        refused = await prism.ask(Range=f"bytes={len(DATA)}-")
        assert refused.status == 416
        assert refused.headers["content-range"] == f"bytes */{len(DATA)}"
        assert store.asked == []
        full = await prism.ask(Range="bytes=0-4", If_Range='"other"')
        assert (full.status, full.body) == (200, DATA)


@pytest_twisted.ensureDeferred
async def test_a_store_that_is_killed_midway_is_not_noticed(tmp_path: Path) -> None:
    async with desks(LARGE) as prism:
        first, second = prism.shelve(tmp_path), prism.shelve(tmp_path)
        connection = await prism.begin()
        await connection.until(LARGE[:100_000])
        assert prism.cut("p2:s0") == 1
        body = (await connection.closed).partition(b"\r\n\r\n")[2]
        assert body == LARGE
        assert first.asked == [f"bytes=0-{len(LARGE) - 1}"]
        (wanted,) = second.asked
        assert wanted is not None
        assert int(wanted.removeprefix("bytes=").partition("-")[0]) >= 100_000
        assert prism.watching.failures == ["p2:s0"]


@pytest_twisted.ensureDeferred
async def test_wherever_stores_break_off_the_bytes_are_the_same() -> None:
    points = st.lists(st.integers(0, len(DATA) - 1), max_size=6)

    def download(first: Sequence[int], second: Sequence[int]) -> Any:
        return Deferred.fromCoroutine(check(first, second))

    async def check(first: Sequence[int], second: Sequence[int]) -> None:
        stores = [Scripted(DATA, sorted(first)), Scripted(DATA, sorted(second)), Scripted(DATA)]
        async with desks(DATA, *stores) as prism:
            answer = await prism.ask()
            assert (answer.status, answer.body) == (200, DATA)

    @given(first=points, second=points)
    @settings(max_examples=25)
    def each(first: Sequence[int], second: Sequence[int]) -> None:
        blockingCallFromThread(reactor, download, first, second)

    await deferToThread(each)  # hypothesis cannot wait for a reactor that runs in its own thread


@pytest_twisted.ensureDeferred
async def test_a_store_that_stalls_midway_is_given_up() -> None:
    slow = Scripted(DATA, [1000], stays=True)
    async with desks(DATA, slow, Scripted(DATA)) as prism:
        connection = await prism.begin()
        await connection.until(DATA[:1000])
        prism.relay_clock.advance(PATIENCE - 1)
        slow.connections[0].transport.write(DATA[1000:1500])
        await connection.until(DATA[:1500])
        prism.relay_clock.advance(PATIENCE - 1)
        await turn()
        assert prism.watching.failures == []
        prism.relay_clock.advance(1)
        assert (await connection.closed).endswith(b"\r\n\r\n" + DATA)
        assert prism.watching.failures == ["p2:s0"]
        assert not prism.relay_clock.getDelayedCalls()


@pytest_twisted.ensureDeferred
async def test_a_store_that_says_nothing_is_given_up() -> None:
    silent = Scripted(DATA, answers=[b""], stays=True)
    async with desks(DATA, silent, Scripted(DATA)) as prism:
        connection = await prism.begin()
        await silent.reached
        prism.relay_clock.advance(PATIENCE)
        assert (await connection.closed).endswith(b"\r\n\r\n" + DATA)
        await silent.left


LIES = {
    "another content": head_of(0, len(DATA), len(DATA), etag="b" * 40) + DATA,
    "another size": head_of(0, len(DATA), len(DATA) + 1) + DATA,
    "another part": head_of(1, len(DATA), len(DATA)) + DATA[1:],
    "another length": head_of(0, len(DATA), len(DATA)).replace(b"2048\r", b"2047\r") + DATA,
    "all of it": head_of(0, len(DATA), len(DATA), status=200) + DATA,
    "no tag": b"HTTP/1.1 206 Partial\r\nContent-Length: 2048\r\n\r\n" + DATA,
    "no access": b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n",
    "a failure": b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
    "nothing there": b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
    "garbage": b"SSH-2.0-OpenSSH\r\n\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("lie", list(LIES))
@pytest_twisted.ensureDeferred
async def test_a_store_that_has_something_else_is_not_used(lie: str) -> None:
    liar = Scripted(DATA, answers=[LIES[lie]])
    async with desks(DATA, liar, Scripted(DATA)) as prism:
        answer = await prism.ask()
        assert (answer.status, answer.body) == (200, DATA)
        assert len(liar.asked) == 1
        assert prism.watching.failures == ([] if lie == "nothing there" else ["p2:s0"])


@pytest_twisted.ensureDeferred
async def test_a_store_that_lies_when_it_should_go_on_is_not_used() -> None:
    liar = Scripted(DATA, answers=[head_of(1000, len(DATA), len(DATA), "b" * 40) + DATA[1000:]])
    async with desks(DATA, Scripted(DATA, [1000]), liar, Scripted(DATA)) as prism:
        assert (await prism.ask()).body == DATA
        assert liar.asked == [f"bytes=1000-{len(DATA) - 1}"]


@pytest_twisted.ensureDeferred
async def test_stores_that_are_all_away_are_a_clean_error() -> None:
    async with desks(DATA) as prism:
        prism.urls.update({"p2:s0": "http://127.0.0.1:1", "p2:unknown": ""})
        answer = await prism.ask(Range="bytes=0-4")
        assert answer.status == 503
        assert "p2:s0 refused the connection" in answer.error
        assert answer.headers["retry-after"] == "5"
        assert not {"etag", "content-range", "content-disposition"} & answer.headers.keys()


@pytest_twisted.ensureDeferred
async def test_stores_that_break_off_before_the_first_byte_are_a_clean_error() -> None:
    async with desks(DATA, Scripted(DATA, [0, 0, 0])) as prism:
        answer = await prism.ask()
        assert answer.status == 503
        assert "broke off" in answer.error


@pytest_twisted.ensureDeferred
async def test_an_answer_that_cannot_go_on_is_cut() -> None:
    store = Scripted(DATA, [1000, 0, 0], stays=True)
    async with desks(DATA, store) as prism:
        connection = await prism.begin()
        await connection.until(DATA[:1000])
        store.stays = False
        store.connections[0].transport.abortConnection()
        raw = await connection.closed
        assert raw.startswith(b"HTTP/1.1 200")
        assert raw.endswith(b"\r\n\r\n" + DATA[:1000])
        assert len(store.asked) == 1


@pytest_twisted.ensureDeferred
async def test_content_that_no_store_has_is_not_found() -> None:
    gone = b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"
    async with desks(DATA, Scripted(DATA, answers=[gone]), Scripted(DATA, answers=[gone])) as prism:
        assert (await prism.ask()).status == 404


@pytest_twisted.ensureDeferred
async def test_what_a_user_is_sent_counts_as_asked_for_and_what_there_is_not_does_not(
    tmp_path: Path,
) -> None:
    async with desks(DATA) as prism:
        await prism.ask()
        assert prism.counted == []
        prism.shelve(tmp_path)
        prism.clock.advance(2.0)  # that there was none is remembered no longer
        await prism.ask()
        await prism.ask(Range="bytes=100-199")
        assert prism.counted == [HASH, HASH]


@pytest_twisted.ensureDeferred
async def test_a_client_that_leaves_ends_the_fetch() -> None:
    store = Scripted(DATA, [1000], stays=True)
    async with desks(DATA, store) as prism:
        connection = await prism.begin()
        await connection.until(DATA[:1000])
        connection.transport.abortConnection()
        await store.left
        while prism.deliveries.running:
            await turn()
        assert len(store.asked) == 1
        assert prism.watching.failures == []
        assert not prism.relay_clock.getDelayedCalls()


@pytest_twisted.ensureDeferred
async def test_a_client_that_leaves_before_the_first_byte_ends_the_fetch() -> None:
    store = Scripted(DATA, answers=[b""], stays=True)
    async with desks(DATA, store) as prism:
        connection = await prism.begin()
        await store.reached
        connection.transport.abortConnection()
        await store.left
        while prism.deliveries.running:
            await turn()
        assert not prism.relay_clock.getDelayedCalls()


@pytest_twisted.ensureDeferred
async def test_a_client_that_leaves_while_another_store_is_asked_ends_it() -> None:
    first, second = Scripted(DATA, [1000], stays=True), Scripted(DATA, answers=[b""], stays=True)
    async with desks(DATA, first, second) as prism:
        connection = await prism.begin()
        await connection.until(DATA[:1000])
        first.connections[0].transport.abortConnection()
        await second.reached
        connection.transport.abortConnection()
        await second.left
        while prism.deliveries.running:
            await turn()
        assert prism.watching.failures == ["p2:s0"]
        assert not prism.relay_clock.getDelayedCalls()


@pytest_twisted.ensureDeferred
async def test_a_client_that_takes_nothing_holds_the_store_back(tmp_path: Path) -> None:
    async with desks(LARGE) as prism:
        prism.shelve(tmp_path)
        connection = await prism.begin(buffer=SMALL)
        await connection.until(b"\r\n\r\n")
        connection.transport.pauseProducing()
        while not prism.clock.getDelayedCalls():  # until the client has been waited for
            await turn()
        assert not prism.relay_clock.getDelayedCalls()  # the store is not to blame
        before = prism.deliveries.running
        prism.relay_clock.advance(PATIENCE * 2)
        connection.transport.resumeProducing()
        assert (await connection.closed).partition(b"\r\n\r\n")[2] == LARGE
        assert before == 1
        assert prism.watching.failures == []


@pytest_twisted.ensureDeferred
async def test_a_client_that_takes_nothing_for_long_is_cut_off(tmp_path: Path) -> None:
    async with desks(LARGE) as prism:
        prism.shelve(tmp_path)
        connection = await prism.begin(buffer=SMALL)
        await connection.until(b"\r\n\r\n")
        connection.transport.pauseProducing()
        while not prism.clock.getDelayedCalls():
            await turn()
        prism.clock.advance(IDLE)
        while prism.deliveries.running:
            await turn()
        connection.transport.resumeProducing()
        assert len(await connection.closed) < len(LARGE)


@pytest_twisted.ensureDeferred
async def test_a_clone_here_is_read_first_and_left_when_it_is_not_whole(tmp_path: Path) -> None:
    async with desks(LARGE) as prism:
        prism.script(Scripted(LARGE))
        far = prism.shelve(tmp_path)
        near = prism.shelve(tmp_path)
        prism.local["p2:s2"] = near
        prism.loads["p2:s2"] = lambda: 0
        assert (await prism.ask()).body == LARGE
        prism.loads["p2:s2"] = lambda: 1
        assert (await prism.ask(Range="bytes=1-2")).body == LARGE[1:3]
        assert (near.asked, far.asked) == ([], [])
        prism.loads["p2:s2"] = lambda: 0
        (tmp_path / "p2:s2" / "content" / "file").write_bytes(b"short")
        assert (await prism.ask()).body == LARGE
        assert prism.watching.failures == ["p2:s2"]


@pytest_twisted.ensureDeferred
async def test_content_goes_through_tls_when_the_certificate_is_good(tmp_path: Path) -> None:
    pem = tls.self_signed(tmp_path / "own.pem", ["127.0.0.1"], datetime.now(UTC))
    for own in (pem, None):
        prism = Desks(DATA)
        prism.policy = tls.client_policy(verify=True, own=own)
        prism.script(Scripted(DATA), context=tls.load(pem))
        prism.start()
        answer = await prism.ask()
        if own:
            assert answer.body == DATA
        else:
            assert answer.status == 503
            assert "certificate" in answer.error
        await prism.stop()


@pytest_twisted.ensureDeferred
async def test_content_without_a_byte_is_sent_all_the_same() -> None:
    async with desks(b"", Scripted(b"")) as prism:
        answer = await prism.ask()
        assert (answer.status, answer.headers["content-length"]) == (200, "0")


class Patient:
    """A request of a client that takes nothing for now."""

    def __init__(self) -> None:
        self.sentLength = 0  # Twisted's name
        self.taken = b""

    def write(self, data: bytes) -> None:
        self.taken += data
        self.sentLength += len(data)


async def clone_at(prism: Desks) -> RelayedClone:
    """The clone at the only store there is."""
    registry: Any = prism
    (document,) = (await prism.under(["x"]))["x"]
    relay = Relay(reactor, registry, prism.policy, CREDENTIALS)
    clone = relay.clone(InventoryRecord.from_document(document))
    assert clone is not None
    return clone


@pytest_twisted.ensureDeferred
async def test_whoever_gives_up_waiting_is_not_taken_for_a_client_that_left() -> None:
    store = Scripted(DATA, answers=[b""], stays=True)
    async with desks(DATA, store) as prism:
        clone = await clone_at(prism)
        flow = Flow(Patient(), Clock(), IDLE)
        waiting = Deferred.fromCoroutine(clone.ready(flow, Span(0, 5)))
        await store.reached
        waiting.cancel()
        with pytest.raises(CancelledError):
            await waiting
        clone.close()

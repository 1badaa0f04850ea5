"""Bytes on their way in: hashed once, written to every store, held back where it is too much."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.task import Clock

from oose.errors import DiskFull, Unavailable
from oose.pool import Inline
from oose.sink import BATCH, HIGH, Copy, Sink
from tests.unit.at_once import at_once
from tests.unit.logged import logged


class Pile:
    """A reception that piles up what it gets, when and how a test lets it."""

    def __init__(self) -> None:
        self.data = b""
        self.calls: list[str] = []
        self.door: Deferred[None] | None = None
        self.fault: Exception | None = None
        self.withdrawing: Deferred[None] | None = None

    async def write(self, chunks: Sequence[bytes]) -> None:
        if self.door is not None:
            await self.door
        if self.fault is not None:
            raise self.fault
        self.calls.append("write")
        self.data += b"".join(chunks)

    async def seal(self) -> None:
        self.calls.append("seal")
        if self.fault is not None:
            raise self.fault

    async def commit(
        self, chunks: Sequence[bytes], content_hash: str, ext: str, created: int | None = None
    ) -> str:
        self.data += b"".join(chunks)
        return f"{content_hash}.{ext}"

    async def confirm(self) -> None:
        self.calls.append("confirm")

    async def withdraw(self) -> None:
        if self.withdrawing is not None:
            await self.withdrawing
        self.calls.append("withdraw")


def sink_of(*piles: Pile, now: Callable[[], float] = lambda: 0.0) -> Sink:
    copies = [Copy(f"p1:s{number}", pile) for number, pile in enumerate(piles)]
    return Sink(copies, ("sha1", "sha256"), Inline(), now)


def held(sink: Sink) -> list[str]:
    calls: list[str] = []
    sink.on_pressure(lambda: calls.append("pause"), lambda: calls.append("resume"))
    return calls


@given(st.lists(st.binary(max_size=50_000), max_size=20))
def test_any_chunks_are_the_same_bytes(chunks: list[bytes]) -> None:
    pile, other = Pile(), Pile()
    sink = sink_of(pile, other)
    for chunk in chunks:
        sink.feed(chunk)
    received = at_once(sink.finish())
    for copy in sink.copies:
        at_once(sink.commit(copy, received.digests["sha1"], "bin"))
    whole = b"".join(chunks)
    assert pile.data == other.data == whole
    assert received.size == len(whole)
    assert received.digests == {
        "sha1": hashlib.sha1(whole).hexdigest(),
        "sha256": hashlib.sha256(whole).hexdigest(),
    }


def test_much_is_written_while_it_arrives_and_the_rest_at_the_end() -> None:
    pile = Pile()
    sink = sink_of(pile)
    sink.feed(b"x" * BATCH)
    assert len(pile.data) == BATCH
    sink.feed(b"y")
    assert len(pile.data) == BATCH
    received = at_once(sink.finish())
    at_once(sink.commit(sink.copies[0], received.digests["sha1"], "bin"))
    assert len(pile.data) == BATCH + 1


def test_a_source_that_is_slow_is_written_from_time_to_time_once_it_was_begun() -> None:
    clock, pile = Clock(), Pile()
    sink = sink_of(pile, now=clock.seconds)
    sink.feed(b"x" * (BATCH - 1))
    clock.advance(100)
    sink.feed(b"x")
    assert len(pile.data) == BATCH
    clock.advance(9)
    sink.feed(b"y")
    assert len(pile.data) == BATCH
    clock.advance(1)
    sink.feed(b"y")
    assert len(pile.data) == BATCH + 2
    sink.feed(b"y")
    assert len(pile.data) == BATCH + 2


def test_only_a_file_that_was_not_begun_to_be_written_is_whole() -> None:
    small, large = sink_of(Pile()), sink_of(Pile())
    small.feed(b"x")
    large.feed(b"x" * BATCH)
    assert at_once(small.finish()).size == 1
    assert at_once(large.finish()).size == BATCH
    assert (small.whole is None, large.whole is None) == (False, True)


def test_a_source_that_is_too_fast_is_held_back_until_little_waits() -> None:
    pile = Pile()
    pile.door = Deferred()
    sink = sink_of(pile)
    calls = held(sink)
    sink.feed(b"x" * BATCH)
    assert calls == []
    sink.feed(b"x" * (HIGH - BATCH))
    assert calls == ["pause"]
    door, pile.door = pile.door, None
    door.callback(None)
    assert calls == ["pause", "resume"]
    assert len(pile.data) == HIGH


def test_a_store_that_fails_drops_out_and_the_others_go_on() -> None:
    good, bad = Pile(), Pile()
    bad.fault = DiskFull("full")
    sink = sink_of(good, bad)
    with logged("warn") as said:
        sink.feed(b"x" * BATCH)
    assert "p1:s1 dropped out" in said[0]
    assert [copy.place for copy in sink.copies] == ["p1:s0"]
    assert sink.dropped == {"p1:s1": bad.fault}
    assert bad.calls == ["withdraw"]
    assert at_once(sink.finish()).size == BATCH


def test_when_no_store_is_left_the_next_bytes_say_why() -> None:
    pile = Pile()
    pile.fault = DiskFull("full")
    sink = sink_of(pile)
    calls = held(sink)
    sink.feed(b"x" * BATCH)
    assert calls == ["resume"]
    with pytest.raises(DiskFull):
        sink.feed(b"x")
    with pytest.raises(DiskFull):
        at_once(sink.finish())


def test_a_sealed_file_holds_no_memory_and_a_failed_seal_drops_the_store() -> None:
    good, bad = Pile(), Pile()
    sink = sink_of(good, bad)
    sink.feed(b"x" * 100)
    bad.fault = Unavailable("dead")
    at_once(sink.seal())
    assert good.data == b"x" * 100
    assert good.calls == ["write", "seal"]
    assert [copy.place for copy in sink.copies] == ["p1:s0"]


def test_an_unexpected_error_is_not_lost_on_the_way() -> None:
    pile = Pile()
    pile.fault = ZeroDivisionError()
    sink = sink_of(pile)
    with logged("critical") as said:
        sink.feed(b"x" * BATCH)
    assert "Receiving a file failed" in said[0]
    with pytest.raises(Unavailable):
        at_once(sink.finish())


def test_what_is_abandoned_is_withdrawn_and_written_no_further() -> None:
    pile = Pile()
    pile.door = Deferred()
    sink = sink_of(pile)
    sink.feed(b"x" * BATCH)
    sink.feed(b"y" * BATCH)
    at_once(sink.abandon())
    pile.door.callback(None)
    assert pile.calls == ["withdraw", "write"]
    assert pile.data == b"x" * BATCH


def test_every_copy_is_withdrawn_although_one_cannot_be() -> None:
    bad, good = Pile(), Pile()
    bad.withdrawing = fail(Unavailable("dead"))
    sink = sink_of(bad, good)
    with pytest.raises(Unavailable):
        at_once(sink.abandon())
    assert good.calls == ["withdraw"]


def test_every_copy_is_withdrawn_although_nobody_waits_for_it() -> None:
    slow, other = Pile(), Pile()
    slow.withdrawing = Deferred()
    abandoning = Deferred.fromCoroutine(sink_of(slow, other).abandon())
    _ = abandoning.addErrback(lambda failure: failure.trap(CancelledError))
    abandoning.cancel()
    assert (slow.calls, other.calls) == ([], ["withdraw"])


def test_a_long_end_is_hashed_in_a_thread() -> None:
    used: list[str] = []

    class Counted(Inline):
        async def run(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            used.append(call.__name__)
            return call(*args, **kwargs)

    sink = Sink([], ("sha1",), Counted(), lambda: 0.0)
    sink.feed(b"x" * 20_000)
    at_once(sink.finish())
    assert used == ["_hash"]
    sink.feed(b"x")
    at_once(sink.finish())
    assert used == ["_hash"]

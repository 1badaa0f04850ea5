"""Stores behind a network that does everything to what a prism sends and they answer.

Whatever it is: the upload ends, what is kept is recorded, whole and where the record says, and
of what is not kept nothing stays.
"""

import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import define
from twisted.internet.defer import Deferred

from oose.errors import OoseError, Unavailable
from oose.metadata.records import InventoryRecord
from oose.peers.sending import ClusterSender
from oose.sink import BATCH
from oose.uploads import Kept
from tests.fault_proxy import (
    CutShort,
    Delayed,
    Fault,
    FaultProxy,
    LostAnswer,
    ResetAfter,
    ResetBefore,
    Says,
    SaysAfter,
    Silence,
    Stalled,
    Truncated,
    proxied,
)
from tests.machine.elsewhere import Cluster, cluster, send, turns

GARBAGE = b"\x16\x03\x01 what?\r\n\r\n"
HEAD = b"HTTP/1.1 %d Whatever\r\nContent-Length: %d\r\n\r\n%s"
FAILED = HEAD % (500, 17, b'{"error": "oops"}')
TRACEBACK = HEAD % (500, 34, b"Traceback (most recent call last):")
PAGE = HEAD % (200, 13, b"<html></html>")
FAULTS: dict[str, Callable[[], Fault]] = {
    "none": Fault,
    "silence": Silence,
    "lost answer": LostAnswer,
    "reset before": ResetBefore,
    "reset after": ResetAfter,
    "half a request": lambda: CutShort(size=150),
    "a request cut late": lambda: CutShort(size=2 * BATCH),
    "a request that stops": lambda: Stalled(size=BATCH),
    "nothing of the answer": lambda: Truncated(size=0),
    "half a head": lambda: Truncated(size=40),
    "half a body": lambda: Truncated(size=150),
    "garbage": lambda: Says(GARBAGE),
    "garbage after": lambda: SaysAfter(GARBAGE),
    "500": lambda: Says(FAILED),
    "500 after": lambda: SaysAfter(FAILED),
    "a traceback after": lambda: SaysAfter(TRACEBACK),
    "a page": lambda: Says(PAGE),
    "a page after": lambda: SaysAfter(PAGE),
}
STEPS = pytest.mark.parametrize("step", range(3))  # the bytes, the commit, the confirmation
SIZES = pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
EACH = pytest.mark.parametrize("name", FAULTS)
SMALL = b"hello"
LARGE = os.urandom(3 * BATCH + 1000)
PATIENCE = 60.0  # seconds for what needs no time to pass, on a busy machine
HANGS = (Silence, LostAnswer, Stalled)


@define
class Way:
    """The way to the store `s1` of a cluster."""

    made: Cluster
    proxy: FaultProxy
    pings: int = 0  # that are under way

    def next(self, step: int, name: str) -> Fault:
        """What happens in the exchange `step`; those before it go well."""
        return self.proxy.next(*(Fault() for _ in range(step)), FAULTS[name]())

    async def upload(self, data: bytes, wanted: int, fault: Fault) -> Kept:
        """The end of a large file comes after the fault in its beginning, where there is one."""
        upload = self.made.uploads(wanted).open("sha1", None)
        if len(data) > 2 * BATCH:
            upload.sink.feed(data[:BATCH])
            store = self.made.stores["s1"]
            await until(lambda: fault.struck.called or store.leftovers())
            await turns()
            data = data[BATCH:]
        return await send(upload, data)

    async def end(self, work: Coroutine[Any, Any, Any], fault: Fault) -> Any:
        """What becomes of `work`; time passes only where there is nothing else to wait for."""
        working = Deferred.fromCoroutine(work)
        clock, told = self.made.keeping.clock, self.made.told

        def hangs() -> bool:
            is_held = isinstance(fault, HANGS) and fault.struck.called
            return is_held and not told.failures and self.pings == 0

        latest = clock.seconds() + 120
        while not working.called:
            await until(lambda: working.called or hangs())
            if not working.called:
                assert clock.seconds() < latest, "it hangs"
                clock.advance(1)
                await turns()
        self.proxy.script.clear()
        told.avoided.clear()
        try:
            return await working
        except OoseError as error:
            return error

    async def ping(self, url: str, ping: Callable[[str], Coroutine[Any, Any, None]]) -> None:
        self.pings += 1
        try:
            await ping(url)
        finally:
            self.pings -= 1


@asynccontextmanager
async def way(folder: Path, *stores: str) -> AsyncIterator[Way]:
    """A cluster of `s1` behind a proxy, and other stores."""
    async with (
        cluster(folder, "s1:m1", *stores) as made,
        proxied(made.stores["s1"].port.getHost().port) as proxy,
    ):
        await made.change("p1:s1", url=f"http://127.0.0.1:{proxy.port}")
        way = Way(made, proxy)
        peers: Any = made.peers
        peers._ping = partial(way.ping, ping=peers._ping)
        yield way


async def until(what: Callable[[], object]) -> None:
    """Let the reactor turn until something has happened."""
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, "it hangs"
        await turns(1)


async def settled(made: Cluster) -> None:
    """Let stores find out what has become of what they were sent."""
    stores = made.stores.values()

    def is_settled() -> bool:
        made.keeping.clock.advance(1)
        held = [channel.held for store in stores for channel in store.channels if channel.held]
        return not held and not any(store.leftovers() for store in stores)

    await until(is_settled)


async def kept(made: Cluster, data: bytes) -> set[str]:
    """The places with a clone: whole files where there are records, and nothing elsewhere."""
    await settled(made)
    records = await made.records(hashlib.sha1(data).hexdigest())
    places = {record.place for record in records}
    for store in made.stores.values():
        files = [path.read_bytes() for path in store.files()]
        assert files == ([data] if store.place in places else [])
    return places


@SIZES
@STEPS
@EACH
@pytest_twisted.ensureDeferred
async def test_an_upload_is_kept_or_refused_and_nothing_between(
    name: str, step: int, large: bool, tmp_path: Path
) -> None:
    data = LARGE if large else SMALL
    async with way(tmp_path) as to:
        fault = to.next(step, name)
        answer = await to.end(to.upload(data, 1, fault), fault)
        places = await kept(to.made, data)
        if isinstance(answer, OoseError):
            assert isinstance(answer, Unavailable)
            assert "Traceback" not in answer.message
            assert places == set()
        else:
            assert (answer.count, places) == (1, {"p1:s1"})
        again = await to.end(to.upload(data, 1, Fault()), Fault())
        assert again.count == 1
        assert await kept(to.made, data) == {"p1:s1"}


@SIZES
@STEPS
@EACH
@pytest_twisted.ensureDeferred
async def test_an_upload_that_others_can_take_is_not_refused(
    name: str, step: int, large: bool, tmp_path: Path
) -> None:
    data = LARGE if large else SMALL
    async with way(tmp_path, "s2:m2", "s3:m3") as to:
        fault = to.next(step, name)
        answer = await to.end(to.upload(data, 2, fault), fault)
        assert answer.count == 2
        assert len(await kept(to.made, data)) == 2


@SIZES
@pytest_twisted.ensureDeferred
async def test_a_store_that_answers_late_is_waited_for(large: bool, tmp_path: Path) -> None:
    data = LARGE if large else SMALL
    async with way(tmp_path, "s2:m2") as to:
        late = Delayed()
        to.proxy.next(late)
        sending = Deferred.fromCoroutine(send(to.made.uploads(1).open("sha1", None), data))
        await until(lambda: late.struck.called)
        for _ in range(20):
            to.made.keeping.clock.advance(1)
            await until(lambda: to.pings == 0)
        assert not sending.called
        late.release()
        assert (await sending).count == 1
        assert to.made.told.failures == []
        assert await kept(to.made, data) == {"p1:s1"}


# Questions, and clones that stores send to one another.


async def clone(made: Cluster, store: str, data: bytes) -> InventoryRecord:
    return await made.keeping.put(made.stores[store].holdings, data, ext="txt")


@EACH
@pytest_twisted.ensureDeferred
async def test_no_clone_is_believed_in_that_is_not_there(name: str, tmp_path: Path) -> None:
    async with way(tmp_path) as to:
        store: Any = to.made.keepers.get("p1:s1")
        record = await clone(to.made, "s1", SMALL)
        await to.end(store.holds(record), to.next(0, name))
        assert await to.end(store.holds(record), Fault())
        to.made.stores["s1"].files()[0].unlink()
        to.made.told.failures.clear()
        assert await to.end(store.holds(record), to.next(0, name)) is False


@EACH
@pytest_twisted.ensureDeferred
async def test_a_clone_is_removed_with_its_record_or_stays_with_it(
    name: str, tmp_path: Path
) -> None:
    async with way(tmp_path) as to:
        store: Any = to.made.keepers.get("p1:s1")
        record = await clone(to.made, "s1", SMALL)
        answer = await to.end(store.remove(record.hash), to.next(0, name))
        places = await kept(to.made, SMALL)
        assert isinstance(answer, Unavailable) or (answer, places) == (None, set())


@EACH
@pytest_twisted.ensureDeferred
async def test_a_clone_that_stores_send_is_recorded_where_it_is_whole(
    name: str, tmp_path: Path
) -> None:
    async with way(tmp_path, "s2:m2") as to:
        record = await clone(to.made, "s2", LARGE)
        sender = ClusterSender(to.made.keeping.registry, to.made.peers, to.made.told)
        fault = to.next(1, name)  # after the prism's ping
        answer = await to.end(sender.send(record, "p1:s1"), fault)
        places = await kept(to.made, LARGE)
        assert "p1:s2" in places
        assert isinstance(answer, OoseError) or places == {"p1:s1", "p1:s2"}

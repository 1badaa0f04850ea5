"""The quarantine of a store, and what comes back from it."""

import errno
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted
from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from oose import put_aside
from oose.disk import IDENTITY
from oose.errors import ChecksumMismatch, NotFound, Unavailable
from oose.holdings import Holdings
from oose.pool import Inline
from oose.quarantine import LISTED, Quarantine
from oose.restoring import PIECE, Gate, Restoring
from oose.uploads import Uploads
from tests.unit.faults import descriptors, fail
from tests.unit.keeping import NOW
from tests.unit.logged import logged
from tests.unit.removing import DATA, HASH, Removing

LIFE = 30 * 86_400_000


@pytest_twisted.async_yield_fixture
async def made(tmp_path: Path) -> AsyncIterator[Removing]:
    made = await Removing.begin(tmp_path, "s1")
    yield made
    await made.keeping.database.close()


@pytest.fixture
def store(made: Removing) -> Holdings:
    return made.stores["p1:s1"]


@pytest.fixture
def quarantine(store: Holdings) -> Quarantine:
    return Quarantine(store.volume, LIFE)


@pytest.fixture
def restoring(made: Removing, store: Holdings, quarantine: Quarantine) -> Restoring:
    keeping = made.keeping
    uploads = Uploads(
        {store.place: store},
        keeping.inventory,
        keeping.existence,
        made.contents,
        wanted=1,
        hashing=Inline(),
        clock=keeping.clock,
        chance=lambda: 0.0,
        only=store.place,
    )
    return Restoring(quarantine, uploads, made.contents)


async def set_aside(
    made: Removing, data: bytes = DATA, content_hash: str = HASH, since: int = NOW
) -> str:
    """A file that is in quarantine since then (ms); its path."""
    store = made.stores["p1:s1"]
    record = await made.put("s1", data)
    await store.volume.set_aside(record.relative_path, content_hash, "{}")
    document = await made.keeping.inventory.get(record.id)
    assert document is not None
    await made.keeping.inventory.delete(record.id, document.rev)
    made.keeping.existence.forget(record.hash)
    folder = store.volume.disk.quarantine
    newest = max(folder.glob("*.why.json"), key=lambda path: path.stat().st_mtime_ns)
    os.utime(newest, ns=(0, since * 1_000_000))
    return str(newest).removesuffix(".why.json")


def is_closed(made: Removing) -> bool:
    """Whether nothing of the store's is open any more."""
    folder = made.keeping.folder / "s1"
    return sum(descriptors(str(folder / name)) for name in ("quarantine", "incoming")) == 0


# How long it stays


@pytest_twisted.ensureDeferred
async def test_files_go_after_their_time_and_are_counted(
    made: Removing, quarantine: Quarantine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(put_aside, "AT_ONCE", 1)
    await set_aside(made, since=NOW - LIFE - 1)
    await set_aside(made, b"another", "b" * 40, since=NOW - LIFE)
    assert quarantine.describe() == {"files": 0, "bytes": 0}
    with logged("info") as messages:
        assert await quarantine.prune(NOW) == 1
    assert messages == ["1 file deleted from the quarantine of s1"]
    assert quarantine.describe() == {"files": 1, "bytes": 7}
    assert await quarantine.prune(NOW) == 0
    assert is_closed(made)


@pytest_twisted.ensureDeferred
async def test_it_is_gone_through_again_and_again(made: Removing, quarantine: Quarantine) -> None:
    await set_aside(made, since=NOW - LIFE - 1)
    clock = Clock()
    loop = quarantine.loop(clock, lambda: NOW)
    loop.start()
    clock.advance(3600)
    await loop.stop()
    assert (await quarantine.page()).files == []


@pytest_twisted.ensureDeferred
async def test_nothing_goes_from_a_disk_that_is_not_there(
    made: Removing, store: Holdings, quarantine: Quarantine
) -> None:
    await set_aside(made, since=0)
    identity = store.volume.disk.root / IDENTITY
    identity.unlink()
    with pytest.raises(Unavailable):
        await quarantine.prune(NOW)
    await store.look()
    assert await quarantine.prune(NOW) == 0
    assert len(list(store.volume.disk.quarantine.iterdir())) == 2


@pytest_twisted.ensureDeferred
async def test_a_disk_that_fails_is_said(
    made: Removing, quarantine: Quarantine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await set_aside(made, since=0)
    fail(monkeypatch, "unlink", errno.EROFS, on="quarantine")
    clock = Clock()
    loop = quarantine.loop(clock, lambda: NOW)
    loop.start()
    with logged("warn") as messages:
        clock.advance(3600)
    await loop.stop()
    [message] = messages
    assert message.startswith("The quarantine stays as it is: The disk of the store 's1' failed")
    assert is_closed(made)


@pytest_twisted.ensureDeferred
async def test_what_is_there_is_listed_some_at_a_time(
    made: Removing, quarantine: Quarantine
) -> None:
    for number in range(LISTED + 1):
        await set_aside(made, b"%d" % number, f"{number:040x}")
    first = await quarantine.page()
    assert len(first.files) == LISTED
    assert first.after is not None
    rest = await quarantine.page(first.after)
    assert (len(rest.files), rest.after) == (1, None)


# Coming back


@pytest_twisted.ensureDeferred
async def test_a_good_file_comes_back_as_content(
    made: Removing, store: Holdings, restoring: Restoring
) -> None:
    await set_aside(made)
    await made.contents.change(HASH, lambda known: evolve(known, removed=NOW, wanted=3))
    record = await restoring.restore(HASH)
    assert await store.record(HASH) == record
    assert (record.mime_extension, record.mime_type) == ("mp4", "video/mp4")
    assert made.files() == ["s1"]
    assert made.aside() == []
    noted = await made.note()
    assert (noted.removed, noted.wanted) == (None, 3)
    with pytest.raises(NotFound, match="not in the quarantine"):
        await restoring.restore(HASH)


@pytest_twisted.ensureDeferred
async def test_a_corrupt_one_does_not_and_stays_where_it_is(
    made: Removing, restoring: Restoring
) -> None:
    await set_aside(made, b"a film, corrupt")
    await made.contents.change(HASH, lambda known: evolve(known, removed=NOW))
    with pytest.raises(ChecksumMismatch, match="is corrupt, and stays in quarantine"):
        await restoring.restore(HASH)
    assert (await made.records(), made.files(), made.aside()) == ([], [], ["s1"])
    assert (await made.note()).removed == NOW
    assert is_closed(made)


@pytest_twisted.ensureDeferred
async def test_of_several_the_newest_good_one_comes_back(
    made: Removing, store: Holdings, restoring: Restoring
) -> None:
    await set_aside(made, since=NOW - 5)
    await set_aside(made, b"a film, corrupt", since=NOW - 1)
    await restoring.restore(HASH)
    assert made.files() == ["s1"]
    kept = [path for path in store.volume.disk.quarantine.iterdir() if path.suffix == ".mp4"]
    assert [path.read_bytes() for path in kept] == [b"a film, corrupt"]


@pytest_twisted.ensureDeferred
async def test_a_large_one_comes_a_piece_at_a_time(made: Removing, restoring: Restoring) -> None:
    data = os.urandom(5 * PIECE + 1)
    content_hash = hashlib.sha1(data).hexdigest()
    await set_aside(made, data, content_hash)
    assert (await restoring.restore(content_hash)).size == len(data)
    assert made.files(content_hash) == ["s1"]


@pytest_twisted.ensureDeferred
async def test_one_that_cannot_be_read_stays(
    made: Removing, restoring: Restoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytes(100_000)
    content_hash = hashlib.sha1(data).hexdigest()
    await set_aside(made, data, content_hash)
    fail(monkeypatch, "pread", errno.EIO, on="quarantine")
    with pytest.raises(Unavailable, match="Input/output error"):
        await restoring.restore(content_hash)
    assert (made.files(content_hash), made.aside()) == ([], ["s1"])
    assert is_closed(made)


@pytest_twisted.ensureDeferred
async def test_a_gate_holds_who_comes_until_it_opens() -> None:
    gate = Gate()
    await gate.passed()
    gate.open()
    gate.close()
    passing = Deferred.fromCoroutine(gate.passed())
    assert not passing.called
    gate.open()
    await passing
    gate.close()
    leaving = Deferred.fromCoroutine(gate.passed())
    leaving.cancel()
    with pytest.raises(CancelledError):
        await leaving
    gate.open()

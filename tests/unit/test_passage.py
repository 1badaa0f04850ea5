"""What comes to a disk and what goes from it."""

import hashlib
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from oose.disk import Disk
from oose.errors import OoseError
from oose.passage import Passage
from oose.volume import Volume
from tests.unit.by_hand import ByHand

DATA = b"a film"
HASH = hashlib.sha1(DATA).hexdigest()
OTHER = "0" * 40


async def take_away(passage: Passage, until: Deferred[None]) -> None:
    async with passage.going(HASH):
        await until


@pytest_twisted.ensureDeferred
async def test_what_comes_waits_for_what_goes_of_the_same_content() -> None:
    passage = Passage()
    gone: Deferred[None] = Deferred()
    going = Deferred.fromCoroutine(take_away(passage, gone))
    assert passage.is_going(HASH)
    coming = Deferred.fromCoroutine(passage.come(HASH))
    await passage.come(OTHER)
    assert (passage.is_coming(OTHER), passage.is_coming(HASH)) == (True, False)
    gone.callback(None)
    await going
    await coming
    assert (passage.is_coming(HASH), passage.is_going(HASH)) == (True, False)


@pytest_twisted.ensureDeferred
async def test_content_comes_until_the_last_of_it_has() -> None:
    passage = Passage()
    await passage.come(HASH)
    await passage.come(HASH)
    passage.came(HASH)
    assert passage.is_coming(HASH)
    passage.came(HASH)
    assert not passage.is_coming(HASH)


@pytest_twisted.ensureDeferred
async def test_one_goes_after_the_other() -> None:
    passage = Passage()
    first: Deferred[None] = Deferred()
    going = Deferred.fromCoroutine(take_away(passage, first))
    second: Deferred[None] = Deferred()
    next_one = Deferred.fromCoroutine(take_away(passage, second))
    second.callback(None)
    assert not next_one.called
    first.callback(None)
    await going
    await next_one


@pytest.fixture
def pool() -> ByHand:
    return ByHand()


@pytest.fixture
def volume(tmp_path: Path, pool: ByHand) -> Volume:
    disk = Disk(tmp_path / "disk1", "disk1", 0)
    disk.enroll(None, may_create=True)
    return Volume(disk, pool)


@pytest.mark.parametrize("pieces", [[], [DATA]])
@pytest_twisted.ensureDeferred
async def test_a_file_comes_from_its_commit_to_its_confirmation(
    volume: Volume, pool: ByHand, pieces: list[bytes]
) -> None:
    reception = volume.receive()
    if pieces:
        writing = Deferred.fromCoroutine(reception.write(pieces))
        pool.do_all()
        await writing
    assert not volume.passage.is_coming(HASH)
    committing = Deferred.fromCoroutine(reception.commit([] if pieces else [DATA], HASH, "mp4"))
    assert volume.passage.is_coming(HASH)
    pool.do_all()
    await committing
    assert volume.passage.is_coming(HASH)
    confirming = Deferred.fromCoroutine(reception.confirm())
    assert not volume.passage.is_coming(HASH)
    pool.do_all()
    await confirming


@pytest_twisted.ensureDeferred
async def test_one_that_is_withdrawn_comes_until_it_is_gone(volume: Volume, pool: ByHand) -> None:
    reception = volume.receive()
    committing = Deferred.fromCoroutine(reception.commit([DATA], HASH, "mp4"))
    pool.do_all()
    place = await committing
    withdrawing = Deferred.fromCoroutine(reception.withdraw())
    assert volume.passage.is_coming(HASH)
    pool.do_all()
    await withdrawing
    assert not volume.passage.is_coming(HASH)
    assert not (volume.disk.content / place).exists()


@pytest_twisted.ensureDeferred
async def test_one_that_cannot_be_kept_comes_no_more_when_it_is_withdrawn(
    volume: Volume, pool: ByHand
) -> None:
    volume.disk.min_free = 2**62
    reception = volume.receive()
    committing = Deferred.fromCoroutine(reception.commit([DATA], HASH, "mp4"))
    pool.do_all()
    with pytest.raises(OoseError):
        await committing
    withdrawing = Deferred.fromCoroutine(reception.withdraw())
    pool.do_all()
    await withdrawing
    assert not volume.passage.is_coming(HASH)


@pytest_twisted.ensureDeferred
async def test_a_file_waits_while_one_of_the_same_content_is_taken_away(
    volume: Volume, pool: ByHand
) -> None:
    gone: Deferred[None] = Deferred()
    going = Deferred.fromCoroutine(take_away(volume.passage, gone))
    reception = volume.receive()
    committing = Deferred.fromCoroutine(reception.commit([DATA], HASH, "mp4"))
    assert pool.waiting == []
    gone.callback(None)
    await going
    pool.do_all()
    await committing

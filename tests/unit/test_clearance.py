"""Whether what was removed may still be on a disk."""

from pathlib import Path

import pytest
import pytest_twisted

from oose.clearance import MOST, Clearance
from oose.disk import IDENTITY, Disk
from oose.pool import Inline
from oose.volume import Volume


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume(Disk(tmp_path / "disk1", "disk1", 0), Inline())


@pytest_twisted.ensureDeferred
async def test_each_time_that_a_disk_comes_it_has_to_be_looked_through(volume: Volume) -> None:
    clearance = Clearance(volume)
    assert clearance.is_given
    await volume.enroll(None, may_create=True)
    assert not clearance.is_given
    clearance.give(clearance.stamp)
    assert clearance.is_given
    await volume.refresh()
    assert clearance.is_given
    identity = volume.disk.root / IDENTITY
    identity.rename(identity.with_name("away"))
    await volume.refresh()
    assert clearance.is_given  # there is nothing to be sent
    identity.with_name("away").rename(identity)
    await volume.refresh()
    assert not clearance.is_given


def test_what_is_left_is_remembered_one_by_one(volume: Volume) -> None:
    clearance = Clearance(volume)
    clearance.leave(["a", "b"])
    clearance.leave(["b", "c"])
    assert clearance.left == {"a", "b", "c"}
    assert clearance.is_given


def test_where_too_much_is_left_all_is_looked_through(volume: Volume) -> None:
    clearance = Clearance(volume)
    clearance.leave([str(number) for number in range(MOST)])
    assert clearance.is_given
    clearance.leave(["one more"])
    assert not clearance.is_given
    assert clearance.left == set()


def test_what_was_looked_through_before_a_doubt_does_not_count(volume: Volume) -> None:
    clearance = Clearance(volume)
    stamp = clearance.stamp
    clearance.take_back()
    clearance.give(stamp)
    assert not clearance.is_given

"""A store whose name is held by another machine: that is what its operator has to hear first."""

from pathlib import Path

import pytest_twisted
from attrs import evolve

from tests.machine.running import one_machine, running
from tests.unit.logged import logged


@pytest_twisted.ensureDeferred
async def test_a_name_that_is_held_ends_the_start_before_anything_is_said_of_the_disk(
    tmp_path: Path,
) -> None:
    settings = one_machine(tmp_path)
    async with running(settings) as machine:
        assert machine.failures == []
    fresh = tmp_path / "fresh"
    stores = (evolve(settings.stores[0], root=fresh),)
    with logged("error") as errors:
        async with running(evolve(settings, machine="another", stores=stores)) as machine:
            assert machine.failures == [None]
    assert len(errors) == 1
    assert "is held by" in errors[0]
    assert not fresh.exists()

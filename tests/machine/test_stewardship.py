"""What a process looks after all the time, by what it is and is told to be."""

from pathlib import Path
from typing import Any

import pytest_twisted

from oose.stewardship import Stewardship
from tests.machine.running import Machine, one_machine, running


def stewardship(machine: Machine) -> Stewardship:
    return machine.service._assembly.stewardship


async def stats(machine: Machine, store: int | None = None) -> Any:
    return (await machine.ask("/stats", store=store)).json()


@pytest_twisted.ensureDeferred
async def test_a_prism_repairs_and_counts_and_its_store_sweeps_and_verifies(tmp_path: Path) -> None:
    async with running(one_machine(tmp_path)) as machine:
        assert {"repair", "demand"} <= set(await stats(machine))
        assert {"inventory", "verification", "quarantine"} <= set(await stats(machine, 0))


@pytest_twisted.ensureDeferred
async def test_a_prism_that_is_told_to_repairs_nothing(tmp_path: Path) -> None:
    async with running(one_machine(tmp_path, clones={"repair": False})) as machine:
        told = await stats(machine)
        assert "repair" not in told
        assert "demand" in told
        stewardship(machine)._hint(["a" * 40])  # what is hot now is nobody's task


@pytest_twisted.ensureDeferred
async def test_what_is_hot_is_looked_at_by_repair(tmp_path: Path) -> None:
    async with running(one_machine(tmp_path)) as machine:
        kept = stewardship(machine)
        assert kept.repairing is not None
        kept.repairing._look_around(0.0)  # its share is all
        kept._hint(["a" * 40])
        assert len(kept.repairing._hints) == 1


@pytest_twisted.ensureDeferred
async def test_a_process_of_stores_alone_looks_after_their_disks_only(tmp_path: Path) -> None:
    async with running(one_machine(tmp_path, prism={"enabled": False})) as machine:
        kept = stewardship(machine)
        assert (kept.repairing, kept.demand) == (None, None)
        kept.count("a" * 40)  # nobody is sent anywhere here
        assert set(kept.verifications) == set(kept.inventory.sweeps) == {"prism1:store1"}

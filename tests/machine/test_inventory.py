"""A real machine sweeps its disk while it is in use."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from oose.address import old_relative_path, relative_path
from tests.machine.elsewhere import until
from tests.machine.running import Machine, one_machine, running

HASHES = [hashlib.sha1(b"%d" % number).hexdigest() for number in range(300)]


def lay(root: Path) -> None:
    """Files that no record tells of, in both layouts."""
    for number, each in enumerate(HASHES):
        form = relative_path if number % 3 else old_relative_path
        path = root / "content" / form(each, "txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d" % number)


async def status(machine: Machine) -> Any:
    return (await machine.ask("/inventory/status", method="POST", store=0)).json()


async def swept(machine: Machine) -> Any:
    """What the store says when it is done."""
    said = await status(machine)
    while said["state"] == "running":
        said = await status(machine)
    return said


@pytest.mark.parametrize("driver", ["unix", "native", "auto"])
@pytest_twisted.ensureDeferred
async def test_a_disk_is_swept_beside_uploads_and_removals(driver: str, tmp_path: Path) -> None:
    async with running(one_machine(tmp_path)) as machine:
        root = machine.settings.stores[0].root
        lay(root)
        before = [await machine.upload(b"before %d" % number) for number in range(5)]
        (root / "content" / "foreign").touch()
        said = await machine.ask("/inventory/scan", {"driver": driver, "fast": True}, store=0)
        assert said.json()["state"] == "running"
        during = []
        for number in range(5):
            during.append(await machine.upload(b"during %d" % number))
            gone = before.pop()["hash"]
            answer = await machine.ask("/content/remove", {"hash": gone}, store=0)
            assert answer.status == 200
        done = await swept(machine)
        assert (done["state"], done["error"], done["slice"]) == ("finished", None, 256)
        assert (done["made"], done["removed"], done["foreign"]) == (300, 0, 1)
        asked = {"hash": [*HASHES, *(each["hash"] for each in during)]}
        basic = machine.basic("prism")
        exist = (await machine.ask("/content/exists", asked, headers=basic)).json()
        assert {each["count"] for each in exist.values()} == {1}
        detail = await machine.ask("/content/detail", {"hash": HASHES[3]}, store=0)
        assert detail.json()["verifiedAt"] is None
        stats = (await machine.ask("/stats", store=0)).json()["inventory"]
        assert stats["made"] == 300
        again = await machine.ask("/inventory/scan", {"driver": driver, "fast": True}, store=0)
        assert again.status == 200
        done = await swept(machine)
        assert (done["made"], done["removed"], done["corrected"]) == (0, 0, 0)


@pytest_twisted.ensureDeferred
async def test_bad_wishes_are_refused(machine: Machine) -> None:
    for wish in ({"driver": "windows"}, {"driver": 7}, {"fast": "yes"}):
        assert (await machine.ask("/inventory/scan", wish, store=0)).status == 400
    assert (await status(machine))["state"] == "never"


@pytest_twisted.ensureDeferred
async def test_a_stop_ends_a_sweep_and_the_next_start_goes_on_with_it(tmp_path: Path) -> None:
    settings = one_machine(tmp_path, inventory={"files": 20, "driver": "unix"})
    async with running(settings) as machine:
        lay(settings.stores[0].root)
        await machine.ask("/inventory/scan", {}, store=0)
        await until(
            lambda: (
                machine.service._assembly.stewardship.inventory.sweeps["prism1:store1"].describe()[
                    "files"
                ]
                > 0
            )
        )
    async with running(settings) as machine:
        await machine.ask("/inventory/scan", {"fast": True}, store=0)
        assert (await swept(machine))["files"] == 300
        asked = {"hash": HASHES}
        exist = (await machine.ask("/content/exists", asked, headers=machine.basic("prism"))).json()
        assert {each["count"] for each in exist.values()} == {1}

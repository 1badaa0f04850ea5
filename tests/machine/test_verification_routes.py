"""What is asked of a store's verification, over real connections."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import evolve

from oose.errors import BadInput, Unavailable
from oose.metadata.records import InventoryRecord
from oose.verifying import verification
from oose.verifying.verification import LOOK, Bounds, Verification
from tests.machine.elsewhere import Cluster, cluster
from tests.machine.running import one_machine, running
from tests.unit.faults import fail

NOBODY = hashlib.sha1(b"nobody has this").hexdigest()


@pytest_twisted.async_yield_fixture
async def stores(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with cluster(tmp_path, "s1:m1:g") as made:
        yield made


async def ask(stores: Cluster, path: str, **fields: Any) -> Any:
    peer = stores.keeping.registry.store("p1:s1")
    assert peer is not None
    return await stores.peers.ask(peer.url, path, fields)


async def put(stores: Cluster, *contents: bytes) -> list[InventoryRecord]:
    holdings = stores.stores["s1"].holdings
    return [await stores.keeping.put(holdings, each) for each in contents]


def path_of(stores: Cluster, record: InventoryRecord) -> Path:
    return stores.stores["s1"].holdings.volume.disk.content / record.relative_path


@pytest_twisted.ensureDeferred
async def test_many_are_verified_in_one_request_and_one_that_cannot_be_leaves_the_others(
    stores: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, cut, lost, odd = await put(stores, b"good", b"cut", b"lost", b"odd")
    path_of(stores, cut).write_bytes(b"cu")
    path_of(stores, lost).unlink()
    fail(monkeypatch, "open", 13, on=odd.hash)
    hashes = [good.hash, cut.hash, lost.hash, odd.hash, NOBODY]
    answer = await ask(stores, "/content/verify", hash=hashes)
    assert {key: value["status"] for key, value in answer.items()} == {
        good.hash: "ok",
        cut.hash: "corrupt",
        lost.hash: "missing",
        odd.hash: "unknown",
        NOBODY: "missing",
    }
    assert answer[good.hash] == {"hash": good.hash, "status": "ok"}
    assert "Permission denied" in answer[odd.hash]["error"]
    with pytest.raises(Unavailable, match="Permission denied"):
        await ask(stores, "/content/verify", hash=odd.hash)


@pytest_twisted.ensureDeferred
async def test_a_process_that_verifies_nothing_says_so(stores: Cluster) -> None:
    for path in ("start", "status", "stop"):
        with pytest.raises(Unavailable, match="Nothing is verified"):
            await ask(stores, f"/verification/{path}")


@pytest_twisted.ensureDeferred
async def test_all_of_a_store_is_verified_on_demand(stores: Cluster) -> None:
    store = stores.stores["s1"]
    keeping, holdings = stores.keeping, store.holdings
    verification = Verification(
        holdings.verifier,
        holdings.volume,
        keeping.inventory,
        Bounds(None, 1000, None),
        clock=keeping.clock,
        now=keeping.now,
    )
    store.room._parts = evolve(store.room._parts, verification=verification)
    _, cut = await put(stores, b"good", b"cut")
    path_of(stores, cut).write_bytes(b"cu")
    assert await ask(stores, "/verification/status") == {"state": "none"}
    for wrong in ({"rate": -1}, {"olderThan": "long"}):
        with pytest.raises(BadInput):
            await ask(stores, "/verification/start", **wrong)
    begun = await ask(stores, "/verification/start", rate=0, olderThan=1000)
    assert (begun["state"], begun["since"]) == ("begun", keeping.now() - 1000)
    verification.start()
    keeping.clock.advance(LOOK)
    done = await ask(stores, "/verification/status")
    assert (done["state"], done["ok"], done["corrupt"]) == ("done", 1, 1)
    assert await ask(stores, "/verification/stop") == done
    await ask(stores, "/verification/start")
    stopped = await ask(stores, "/verification/stop")
    assert (stopped["state"], stopped["ok"]) == ("stopped", 0)
    await verification.stop()


@pytest_twisted.ensureDeferred
async def test_a_process_verifies_its_stores_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "LOOK", 0.01)
    monkeypatch.setattr(verification, "SOON", 0.01)
    settings = one_machine(tmp_path, inventory={"verify_frequency": "10ms"})
    async with running(settings) as machine:
        kept = await machine.upload(b"a film")
        machine.content()[0].write_bytes(b"b film")

        async def corrupt() -> bool:
            stats = (await machine.ask("/stats", store=0)).json()
            return bool(stats["verification"]["corrupt"] == 1)

        await until(corrupt)
        assert machine.content() == []
        answer = await machine.ask("/content/detail", {"hash": kept["hash"]})
        assert not answer.json()["exists"]
        begun = await machine.ask("/verification/start", {"rate": 0}, store=0)
        assert begun.json()["state"] == "begun"

        async def done() -> bool:
            said = await machine.ask("/verification/status", {}, store=0)
            return bool(said.json()["state"] == "done")

        await until(done)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask until it is so."""
    for _ in range(10_000):
        if await holds():
            return
    raise AssertionError("it does not come to be")

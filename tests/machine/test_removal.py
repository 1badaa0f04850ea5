"""Content that is removed: from stores over real connections, and by the routes of a machine."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import evolve
from twisted.internet.defer import Deferred

from oose.address import relative_path
from oose.contents import Contents
from oose.embedded import EmbeddedDocuments
from oose.errors import Conflict
from oose.metadata.records import InventoryRecord
from oose.purchasing import PurchaseDesk
from oose.removal import Removal, Removed
from tests.machine.elsewhere import Cluster, cluster
from tests.machine.running import Machine, one_machine, running
from tests.machine.talk import Response
from tests.unit.keeping import NOW
from tests.unit.kept import MemoryPurchases

HELLO = hashlib.sha1(b"hello").hexdigest()
OTHER = hashlib.sha1(b"other").hexdigest()
NOBODY = hashlib.sha1(b"nobody has this").hexdigest()
PLACE = relative_path(HELLO, "txt")


# Over real connections


def removal(made: Cluster) -> Removal:
    keeping = made.keeping
    return Removal(
        Contents(EmbeddedDocuments(keeping.database, "content")),
        keeping.inventory,
        keeping.existence,
        made.keepers,
        PurchaseDesk(MemoryPurchases(), 0),
        lambda: keeping.now() + 1,
    )


async def put(made: Cluster, *names: str) -> list[InventoryRecord]:
    return [
        await made.keeping.put(made.stores[name].holdings, b"hello", ext="txt") for name in names
    ]


@pytest_twisted.ensureDeferred
async def test_stores_that_are_dead_or_not_asked_are_told_later(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1", "s2:m2", "s3:m3", "s4:m4") as made:
        await put(made, "s1", "s2", "s3", "s4")
        await made.stores["s2"].die()
        await made.change("p1:s3", available=False)
        done = await removal(made).remove(HELLO)
        assert done == Removed(HELLO, 2, ["p1:s2", "p1:s3"], 0)
        assert [name for name, store in made.stores.items() if store.files()] == ["s2", "s3"]
        assert await made.records(HELLO) == []


@pytest_twisted.ensureDeferred
async def test_a_clone_that_has_come_since_stays_elsewhere_too(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1") as made:
        await put(made, "s1")
        keeper = made.keepers.get("p1:s1")
        assert keeper is not None
        with pytest.raises(Conflict, match="since it was removed"):
            await keeper.remove(HELLO, before=NOW)
        assert made.told.failures == []
        await keeper.remove(HELLO, before=NOW + 1)
        assert made.stores["s1"].files() == []


@pytest_twisted.ensureDeferred
async def test_a_clone_stays_elsewhere_where_the_time_to_remove_it_is_over(tmp_path: Path) -> None:
    async with cluster(tmp_path, "s1:m1") as made:
        await put(made, "s1")
        keeper = made.keepers.get("p1:s1")
        assert keeper is not None
        with pytest.raises(Conflict, match="before now"):
            await keeper.remove(HELLO, until=int(made.claiming.seconds() * 1000))
        assert made.told.failures == []
        assert len(await made.records(HELLO)) == 1
        await keeper.remove(HELLO, until=int(made.claiming.seconds() * 1000) + 1)
        assert made.stores["s1"].files() == []


@pytest_twisted.ensureDeferred
async def test_a_copy_that_is_not_recorded_yet_stays(tmp_path: Path) -> None:
    """A prism has committed it, and writes its record after the removal has looked."""
    async with cluster(tmp_path, "s1:m1", "s2:m2") as made:
        [old, _] = await put(made, "s1", "s2")
        reception = made.keepers.receive("p1:s1", "sha1")
        await reception.commit([b"hello"], HELLO, "txt")
        done = await removal(made).remove(HELLO)
        assert (done.removed, done.waiting) == (1, ["p1:s1"])
        new = evolve(old, created=made.keeping.now() + 5)
        await made.keeping.inventory.put(new.id, new.to_body())
        await reception.confirm()
        assert await made.records(HELLO) == [new]
        assert [path.read_bytes() for path in made.stores["s1"].files()] == [b"hello"]
        assert made.stores["s2"].files() == []


# A machine


@pytest_twisted.async_yield_fixture
async def two(tmp_path: Path) -> AsyncIterator[Machine]:
    """A prism with two stores."""
    room = {"enabled": True, "port": 0, "min_free": 0}
    store = [{**room, "name": "store1"}, {**room, "name": "store2"}]
    async with running(one_machine(tmp_path, store=store)) as machine:
        yield machine


async def tool(machine: Machine, target: str, value: object) -> Response:
    """A request with the prism's own credentials."""
    return await machine.ask(target, value, headers=machine.basic("prism"))


async def removed(machine: Machine, asked: object = HELLO, **more: Any) -> Any:
    answer = await tool(machine, "/content/remove", {"hash": asked, **more})
    assert answer.status == 200, answer.body
    return answer.json()


@pytest_twisted.ensureDeferred
async def test_removed_content_is_gone_until_it_is_uploaded_again(two: Machine) -> None:
    await two.upload(b"hello")
    token = (await two.purchase(HELLO))["token"]
    assert (await two.view(f"/{token}/a.txt")).body == b"hello"
    assert await removed(two) == {
        "success": "Content removed",
        "hash": HELLO,
        "removed": 2,
        "waiting": [],
        "purchases": 1,
    }
    assert (two.content(0), two.content(1)) == ([], [])
    assert (await two.view(f"/{token}/a.txt")).status == 404
    assert (await two.view(f"/static/{HELLO}/a.txt")).status == 404
    assert (await two.ask("/content/detail", {"hash": HELLO})).json()["exists"] is False
    assert (await removed(two))["removed"] == 0
    assert (await two.upload(b"hello"))["count"] == 2
    assert (await two.view(f"/static/{HELLO}/a.txt")).body == b"hello"
    assert (await two.view(f"/{token}/a.txt")).status == 404


@pytest_twisted.ensureDeferred
async def test_many_are_answered_by_hash_and_nothing_goes_where_one_is_refused(
    two: Machine,
) -> None:
    await two.upload(b"hello")
    await two.upload(b"other")
    for asked, status in (([HELLO, NOBODY], 404), (NOBODY, 404), ("nonsense", 400), (None, 400)):
        assert (await tool(two, "/content/remove", {"hash": asked})).status == status
    assert len(two.content()) == 2
    pretended = await removed(two, [HELLO, OTHER], pretend=True)
    assert pretended[OTHER] == {
        "success": "Content would be removed",
        "hash": OTHER,
        "removed": 2,
        "waiting": [],
    }
    assert len(two.content()) == 2
    answers = await removed(two, [HELLO, OTHER])
    assert {key: each["removed"] for key, each in answers.items()} == {HELLO: 2, OTHER: 2}
    assert two.content() == []


@pytest_twisted.ensureDeferred
async def test_only_the_prisms_own_credentials_remove(machine: Machine) -> None:
    await machine.upload(b"hello")
    for target in (
        "/content/remove",
        "/content/protect",
        "/content/protected",
        "/quarantine/list",
        "/quarantine/restore",
    ):
        asked = {"hash": HELLO, "store": "store1"}
        assert (await machine.ask(target, asked)).status == 401
    assert len(machine.content()) == 1


@pytest_twisted.ensureDeferred
async def test_protected_content_is_not_removed(machine: Machine) -> None:
    await machine.upload(b"hello")
    assert (await tool(machine, "/content/protect", {"hash": HELLO})).json() == {
        "hash": HELLO,
        "protected": True,
        "removedAt": None,
        "wanted": None,
    }
    refused = await tool(machine, "/content/remove", {"hash": [HELLO]})
    assert refused.status == 403
    assert f"oose protect --no {HELLO}" in refused.error
    page = (await tool(machine, "/content/protected", {})).json()
    assert page == {"hashes": [HELLO], "after": None}
    assert (await tool(machine, "/content/protected", {"after": HELLO})).json()["hashes"] == []
    assert (await tool(machine, "/content/protect", {"hash": [HELLO, NOBODY]})).status == 404
    for value in ("no", None, 1):
        wrong = await tool(machine, "/content/protect", {"hash": HELLO, "protected": value})
        assert wrong.status == 400
        assert "true or false" in wrong.error
    released = await tool(machine, "/content/protect", {"hash": [HELLO], "protected": False})
    assert released.json()[HELLO]["protected"] is False
    nobody = await tool(machine, "/content/protect", {"hash": NOBODY, "protected": False})
    assert (nobody.status, nobody.json()["protected"]) == (200, False)
    assert (await removed(machine))["removed"] == 1


@pytest_twisted.ensureDeferred
async def test_a_client_that_leaves_does_not_stop_it(two: Machine) -> None:
    await two.upload(b"hello")
    assembly = two.service._assembly
    going = Deferred.fromCoroutine(tool(two, "/content/remove", {"hash": HELLO}))
    _ = going.addErrback(lambda failure: None)
    while (await assembly.contents.get(HELLO)).removed is None:
        pass
    going.cancel()
    while await assembly.existence.records(HELLO, fresh=True):
        pass
    assert (two.content(0), two.content(1)) == ([], [])


# A disk that was away


@pytest_twisted.ensureDeferred
async def test_a_disk_that_was_away_puts_what_was_removed_into_quarantine(two: Machine) -> None:
    await two.upload(b"hello")
    await two.upload(b"other")
    root = two.settings.stores[1].root
    holdings = two.service._assembly.holdings[1]
    [tombstones] = [
        each for each in two.service._assembly.membership._tombstones if each.holdings is holdings
    ]
    await tombstones.look()
    root.rename(root.with_name("away"))
    await holdings.look()
    answer = await removed(two)
    assert (answer["removed"], answer["waiting"]) == (1, [holdings.place])
    root.with_name("away").rename(root)
    await holdings.look()
    # Nobody is sent there; who comes all the same is not served.
    assert len(two.content(1)) == 2
    direct = await two.ask(f"/static/{PLACE}", method="GET", store=1)
    assert direct.status == 404
    other = await two.ask(f"/static/{relative_path(OTHER, 'txt')}", method="GET", store=1)
    assert other.body == b"other"
    await tombstones.look()
    assert [path.stem for path in two.content(1)] == [OTHER]
    assert (await two.ask(f"/static/{PLACE}", method="GET", store=1)).status == 404
    assert (root / "quarantine" / f"{HELLO}.txt").read_bytes() == b"hello"


@pytest_twisted.ensureDeferred
async def test_what_a_store_has_put_aside_is_listed_and_comes_back(two: Machine) -> None:
    await two.upload(b"hello")
    holdings = two.service._assembly.holdings[0]
    assert await holdings.burial.set_aside(HELLO, 2**50) == 1
    await removed(two)
    stores = (await tool(two, "/quarantine/list", {})).json()["stores"]
    assert stores == [each.place for each in two.service._assembly.holdings]
    page = (await tool(two, "/quarantine/list", {"store": "store1"})).json()
    [file] = page["files"]
    assert page["after"] is None
    assert (file["name"], file["hash"], file["size"]) == (f"{HELLO}.txt", HELLO, 5)
    assert file["why"]["removed"] == 2**50
    direct = (await two.ask("/quarantine/list", {}, store=0)).json()
    assert direct == page
    rest = {"store": stores[0], "after": file["name"]}
    assert (await tool(two, "/quarantine/list", rest)).json()["files"] == []
    assert (await tool(two, "/quarantine/list", {"store": "nobody"})).status == 404
    back = await tool(two, "/quarantine/restore", {"store": "store1", "hash": HELLO})
    assert back.json()["success"] == "File restored"
    assert back.json()["relativePath"] == PLACE
    assert (await two.view(f"/static/{HELLO}/a.txt")).body == b"hello"
    gone = await tool(two, "/quarantine/restore", {"store": "store1", "hash": HELLO})
    assert gone.status == 404
    await two.service._assembly.quarantines[0].prune(0)
    stats = (await two.ask("/stats", store=0)).json()
    assert stats["quarantine"] == {"files": 0, "bytes": 0}


@pytest_twisted.ensureDeferred
async def test_a_store_that_is_not_available_is_not_asked_what_it_has(two: Machine) -> None:
    registry = two.service._assembly.registry
    place = two.service._assembly.holdings[1].place
    store = registry.store(place)
    assert store is not None
    await registry.update(evolve(store, available=False))
    assert (await tool(two, "/quarantine/list", {"store": place})).status == 503
    listed = (await tool(two, "/quarantine/list", {})).json()
    assert place not in listed["stores"]
    assert listed["away"] == [place]
    await registry.deactivate(f"store:{place}")
    assert (await tool(two, "/quarantine/list", {})).json()["away"] == []


@pytest_twisted.ensureDeferred
async def test_a_time_that_is_none_is_refused(machine: Machine) -> None:
    await machine.upload(b"hello")
    for before in ("x", -1, 1.5, 2**60, True):
        answer = await machine.ask("/content/remove", {"hash": HELLO, "before": before}, store=0)
        assert answer.status == 400
    answer = await machine.ask("/content/remove", {"hash": HELLO, "before": 1}, store=0)
    assert answer.status == 409
    assert len(machine.content()) == 1
    assert json.loads(answer.body)["error"].startswith(HELLO)

"""Disks are pulled, files rot, databases are restored: what is to be done is done by itself."""

import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from install.cluster.cluster import STORES
from tests.probe.client import Client, Refused
from tests.probe.load import under_load
from tests.probe.running import SOON, spread, within
from tests.probe.tended import PULLED, Tended, eventually, place_of, view

HOUR = 3_600_000  # ms


def names_of(places: list[str]) -> list[str]:
    """The stores at places, without `PULLED`, whose disk dies with its process."""
    return [name for each in places if (name := each.partition(":")[2]) != PULLED]


def test_a_disk_is_pulled_under_load_and_comes_back(tended: Tended, client: Client) -> None:
    clients = [client, tended.settled("prism2")]
    pulled = place_of(PULLED)
    with under_load(*clients) as load:

        def has_enough() -> None:
            assert sum(pulled in places for places in tended.places().values()) >= 10

        within(SOON, has_enough)
        below = tended.pull_disk()
        tended.wait_until(False, [PULLED])
        within(SOON, load.goes_on())
        before = list(load.uploaded)

        def counts_return() -> None:
            places = tended.places()
            assert [each for each in before if len({*places[each]} - {pulled}) < 2] == []

        eventually(counts_return)
        within(SOON, load.goes_on())
    assert [each for each in load.refused if " 503 " not in each or "disk" in each] == []
    assert [each for each in load.refused_viewers if "503" not in each] == []
    assert list(below.iterdir()) == []

    many = {each for each, places in tended.places().items() if len(places) > 2}
    assert many
    back = time.time() * 1000

    def were_verified_long_ago() -> None:
        documents = [each for each in tended.documents().values() if each["hash"] in many]
        tended.write([{**each, "verifiedAt": back - HOUR} for each in documents])

    eventually(were_verified_long_ago)
    tended.push_disk()
    tended.wait_until(True, [PULLED])
    eventually(lambda: tended.is_settled(load.uploaded))
    kept = [each for each in tended.documents().values() if each["hash"] in many]
    assert [each for each in kept if each["verifiedAt"] < back] == []
    for content_hash, data in load.uploaded.items():
        assert clients[0].download(content_hash) == data


def flip(tended: Tended, content_hash: str, name: str) -> None:
    """Change one bit of the clone on a store."""
    (path,) = (tended.root(name) / "content").rglob(f"{content_hash}.*")
    with path.open("r+b") as file:
        file.seek(1000)
        byte = file.read(1)[0]
        file.seek(1000)
        file.write(bytes([byte ^ 4]))


def test_a_corrupt_clone_is_found_by_hand_and_mended_by_itself(
    tended: Tended, client: Client
) -> None:
    data, content_hash, places = within(SOON, lambda: spread(client))
    name = names_of(places)[0]
    for prism in ("prism1", "prism2"):
        assert view(tended.stranger(prism), content_hash) == data
    flip(tended, content_hash, name)
    code, answers = tended.oose("verify", content_hash)
    found = {each["store"]: each["status"] for each in answers}
    assert found == {**dict.fromkeys(places, "ok"), place_of(name): "corrupt"}
    assert code == 1
    for prism in ("prism1", "prism2"):
        viewer = tended.stranger(prism)
        for _ in range(8):
            assert view(viewer, content_hash) == data
    eventually(lambda: tended.is_settled([content_hash]))
    is_quarantined(tended, content_hash, name)
    code, listed = tended.oose("quarantine", "list", place_of(name))
    assert code == 0
    assert [each["hash"] for each in listed if each["hash"] == content_hash] == [content_hash]
    code, answers = tended.oose("verify", content_hash)
    assert code == 0
    assert [each["status"] for each in answers] == ["ok", "ok"]


def is_quarantined(tended: Tended, content_hash: str, name: str) -> None:
    """On that store, whether or not on others too."""
    assert place_of(name) in tended.quarantined(content_hash)


def test_a_corrupt_clone_is_found_by_itself(tended: Tended, client: Client) -> None:
    data, content_hash, places = within(SOON, lambda: spread(client))
    name = names_of(places)[0]
    flip(tended, content_hash, name)
    tended.restart(name, inventory={"verify_frequency": "1s"})
    eventually(lambda: is_quarantined(tended, content_hash, name))
    for _ in range(8):
        assert view(client, content_hash) == data
    tended.restart(name)
    eventually(lambda: tended.is_settled([content_hash]))
    assert client.download(content_hash) == data


def test_a_database_is_restored_from_an_old_backup(tended: Tended, client: Client) -> None:
    before = many(client, 4)
    removed = many(client, 4)
    couchdb = tended.cluster.couchdb
    backup = couchdb.folder.with_name("backup")
    couchdb.stop()
    shutil.copytree(couchdb.folder, backup)
    couchdb.start()
    couchdb.wait()
    after = within(SOON, lambda: many(client, 6))
    assert tended.oose("remove", "--yes", *removed)[0] == 0
    couchdb.stop()
    shutil.rmtree(couchdb.folder)
    backup.rename(couchdb.folder)
    couchdb.start()
    couchdb.wait()
    tended.wait_until(True, STORES)
    eventually(tended.scan)
    eventually(lambda: tended.is_settled([*before, *after]))
    for content_hash, data in {**before, **after}.items():
        assert client.download(content_hash) == data
        assert view(client, content_hash) == data
    for content_hash in removed:
        assert not client.detail(content_hash)["exists"]
        with pytest.raises(Refused, match="404"):
            client.download(content_hash)


def test_a_store_that_was_away_brings_nothing_back_that_was_removed(
    tended: Tended, client: Client
) -> None:
    data, content_hash, places = within(SOON, lambda: spread(client))
    token = client.purchase(content_hash)
    assert client.deliver(token) == data
    name = names_of(places)[0]
    store = tended.cluster.peers[name]
    path = tended.documents()[f"{content_hash}:{place_of(name)}"]["relativePath"]
    store.kill()
    answer = tended.ask("prism1", "/content/remove", {"hash": content_hash})
    assert answer["waiting"] == [place_of(name)]
    is_gone(tended, client, content_hash, token)
    store.start()
    store.wait()

    def brings_nothing() -> None:
        is_gone(tended, client, content_hash, token)
        for url in (f"/static/{path}", f"/play/{token}/a.txt"):
            assert client.ask("GET", tended.cluster.url(name) + url)[0] in {404, 503}
        is_quarantined(tended, content_hash, name)

    eventually(brings_nothing)
    tended.wait_until(True, [name])
    is_gone(tended, client, content_hash, token)
    code, listed = tended.oose("quarantine", "list", name)
    assert code == 0
    assert "removed" in next(each for each in listed if each["hash"] == content_hash)["why"]
    assert client.upload(data)["count"] == 2
    eventually(lambda: tended.is_settled([content_hash]))
    assert view(client, content_hash) == data


def is_gone(tended: Tended, client: Client, content_hash: str, token: str) -> None:
    """For users, viewers and the inventory."""
    assert content_hash not in tended.places()
    for prism in (client, tended.stranger("prism2")):
        with pytest.raises(Refused, match=r"404|503"):
            view(prism, content_hash)
        with pytest.raises(Refused, match=r"404|503"):
            prism.deliver(token)
    assert client.detail(content_hash)["map"] == []


def test_what_is_protected_stays_until_it_is_not(tended: Tended, client: Client) -> None:
    data = os.urandom(100_000)
    content_hash = within(SOON, lambda: client.upload(data))["hash"]
    assert tended.oose("protect", content_hash)[0] == 0
    assert tended.oose("remove", "--yes", content_hash)[0] == 3
    tended.is_settled([content_hash])
    assert view(client, content_hash) == data
    assert tended.oose("protect", "--no", content_hash)[0] == 0
    code, said = tended.oose("remove", "--yes", content_hash)
    assert code == 0
    assert [each["removed"] for each in said["removed"]] == [2]
    for prism in (client, tended.stranger("prism2")):
        with pytest.raises(Refused, match="404"):
            view(prism, content_hash)
    assert content_hash not in tended.places()
    tended.agrees()


def many(client: Client, count: int) -> dict[str, bytes]:
    """New contents, by hash."""
    with ThreadPoolExecutor(4) as pool:
        files = [os.urandom(100_000) for _ in range(count)]
        hashes = [each["hash"] for each in pool.map(client.upload, files)]
        return dict(zip(hashes, files, strict=True))


def test_a_prism_is_killed_in_the_middle_of_repair(tended: Tended, client: Client) -> None:
    slow = {"repair_rate": "200kB", "repair_concurrency": 1}
    for prism in ("prism1", "prism2"):
        tended.restart(prism, clones=slow)
    client = tended.settled("prism2")
    lost, kept = place_of("store1"), many(client, 40)

    def left() -> list[str]:
        places = tended.places()
        return [each for each in kept if len({*places[each]} - {lost}) < 2]

    count = len(left())
    assert count > 10
    tended.cluster.peers["store1"].kill()

    def is_in_the_middle() -> None:
        assert 0 < len(left()) < count - 3

    eventually(is_in_the_middle)
    assert tended.ask("prism2", "/stats", {})["repair"]["endangered"]
    tended.cluster.peers["prism1"].kill()
    assert left()
    tended.start("prism1")

    def is_done() -> None:
        assert left() == []

    eventually(is_done)
    tended.restart("prism2")
    tended.start("store1")
    eventually(lambda: tended.is_settled(kept))
    eventually(lambda: nothing_is_endangered(tended))
    for content_hash, data in kept.items():
        assert client.download(content_hash) == data


def nothing_is_endangered(tended: Tended) -> None:
    """As an operator is told."""
    code, status = tended.oose("status")
    assert code == 0
    assert status["repair"]["contents"] == len(tended.places())
    assert status["repair"]["endangered"] == {}
    assert status["repair"]["lost"] == 0


def test_a_store_is_killed_in_the_middle_of_a_sweep(tended: Tended, client: Client) -> None:
    kept = many(client, 30)
    tended.restart("store2", inventory={"files": 1})

    def are_forgotten() -> None:
        lost = [each for each in tended.documents().values() if each["store"] == "store2"]
        tended.write([{**each, "_deleted": True} for each in lost])

    eventually(are_forgotten)
    begun = within(SOON, lambda: tended.ask("store2", "/inventory/scan", {})["begunAt"])
    report = tended.root("store2") / "oose-sweep.json"

    def is_in_the_middle() -> None:
        kept = json.loads(report.read_text())
        assert kept["begunAt"] == begun
        assert kept["made"]

    within(SOON, is_in_the_middle)
    tended.cluster.peers["store2"].kill()
    half = json.loads(report.read_text())
    assert half["finishedAt"] is None
    tended.start("store2")

    def is_done() -> None:
        status = tended.ask("store2", "/inventory/status", {})
        assert status["state"] == "finished"

    eventually(is_done)
    status = tended.ask("store2", "/inventory/status", {})
    assert status["begunAt"] == begun
    assert status["files"] > half["files"]
    eventually(lambda: tended.is_settled(kept))
    for content_hash, data in kept.items():
        assert client.download(content_hash) == data

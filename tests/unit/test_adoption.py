"""A disk of version 2.x becomes a store's."""

import json
import os
from pathlib import Path
from random import Random

import pytest
import pytest_twisted
from attrs import evolve

from oose.address import old_relative_path
from oose.disk import IDENTITY, Disk
from oose.moving import adoption
from oose.moving.adoption import NotAdopted, Shape, adopt, arrange, judge, shape_of
from oose.moving.adoption_place import check_place, places_of
from oose.moving.old_documents import translated
from oose.moving.sampling import Sample, sample
from oose.peer import Peer
from tests.disk_2x import data_of, fill, tree
from tests.unit.keeping import NOW, Keeping, peer_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "disk"
    root.mkdir()
    return root


@pytest.fixture
def filled(root: Path) -> Path:
    fill(root / "content", 20)
    return root


@pytest.fixture
def loose(root: Path) -> Path:
    fill(root, 20)
    return root


def looked_at(shape: Shape) -> Sample:
    return sample(shape.base, shape.folders, Random(1))


def look_and_judge(root: Path) -> None:
    shape = shape_of(root, "s1")
    judge(shape, looked_at(shape))


def why(root: Path) -> str:
    with pytest.raises(NotAdopted) as caught:
        look_and_judge(root)
    return str(caught.value)


# Looking.


def test_a_sample_is_of_files_and_not_of_the_links_beside_them(filled: Path) -> None:
    found = looked_at(shape_of(filled, "s1"))
    assert set(found.files) <= {
        old_relative_path(each, "mp4") for each in fill(filled.parent / "x", 20)
    }
    assert 10 < len(found.files) <= 20
    assert (found.strangers, found.hashed, found.wrong) == ([], 8, 0)


def test_a_sample_has_what_is_strange_and_what_is_wrong(filled: Path) -> None:
    (filled / "content" / "readme.txt").write_text("hello")
    (filled / "content" / "empty" / "er").mkdir(parents=True)
    for path in filled.rglob("*.mp4"):
        path.write_bytes(b"rot")
    found = looked_at(shape_of(filled, "s1"))
    assert found.strangers == ["readme.txt"]
    assert found.wrong == found.hashed == 8


def test_large_files_are_not_hashed(filled: Path) -> None:
    for path in filled.rglob("*.mp4"):
        os.truncate(path, 33 * 1024 * 1024)
    assert looked_at(shape_of(filled, "s1")).hashed == 0


def test_a_way_that_goes_too_deep_ends(root: Path) -> None:
    (root / "content" / "/".join(["a"] * 100)).mkdir(parents=True)
    assert "No content was found" in why(root)


def test_a_special_file_is_passed_by(root: Path) -> None:
    (root / "content").mkdir()
    os.mkfifo(root / "content" / "pipe")
    assert "No content was found" in why(root)


# Refusing.


def test_what_is_no_disk_is_refused(root: Path) -> None:
    assert "does not look like a disk of version 2.x" in why(root)
    assert "is no folder" in why(root / "nothing")
    (root / "content").mkdir()
    assert "An empty disk needs no adoption" in why(root)


def test_the_folder_above_is_meant(filled: Path) -> None:
    assert f"name the folder above, {filled}" in why(filled / "content")


def test_other_files_than_content_are_refused(root: Path) -> None:
    (root / "content").mkdir()
    for name in ("a", "b", "c"):
        (root / "content" / name).touch()
    fill(root / "content", 1)
    assert "is no content, such as" in why(root)


def test_files_that_are_not_what_they_are_called_are_refused(filled: Path) -> None:
    for path in filled.rglob("*.mp4"):
        path.write_bytes(b"rot")
    assert "do not hash to their names" in why(filled)


def test_another_stores_disk_is_refused(filled: Path) -> None:
    (filled / IDENTITY).write_text(json.dumps({"store": "s2", "id": "x"}))
    assert "is the disk of the store 's2'" in why(filled)
    (filled / IDENTITY).write_text("nonsense")
    assert "cannot be read" in why(filled)


@pytest.mark.parametrize("name", ["incoming", "quarantine"])
def test_what_a_store_would_empty_is_not_touched(filled: Path, name: str) -> None:
    (filled / name).mkdir()
    (filled / name / "precious").touch()
    assert "which a store empties" in why(filled)


def test_content_has_to_be_on_the_same_file_system(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = os.stat_result((0, 0, -1, 0, 0, 0, 0, 0, 0, 0))
    stat = Path.stat

    def elsewhere(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        status = stat(self, follow_symlinks=follow_symlinks)
        if self.name != "content":
            return status
        return os.stat_result((status.st_mode, 0, found.st_dev, *status[3:10]))

    monkeypatch.setattr(Path, "stat", elsewhere)
    assert "on another file system" in why(filled)


def test_a_disk_in_use_is_refused(filled: Path) -> None:
    disk = Disk(filled, "s1", 0)
    disk.hold()
    with pytest.raises(NotAdopted, match="in use by process"):
        adopt(shape_of(filled, "s1"), "s1", rearrange=False)
    disk.release()
    assert not (filled / IDENTITY).exists()


# Adopting.


def test_nothing_is_moved_and_nothing_copied(filled: Path) -> None:
    before = tree(filled)
    shape = shape_of(filled, "s1")
    assert (shape.loose, shape.has_content, shape.is_signed) == ([], True, False)
    identity = adopt(shape, "s1", rearrange=False)
    after = tree(filled)
    assert {name: after[name] for name in before} == before
    new = {name for name in after if name not in before}
    assert new == {"incoming", "quarantine", "oose-store.json", "oose-store.lock"}
    assert json.loads((filled / IDENTITY).read_text()) == {"store": "s1", "id": identity}
    again = shape_of(filled, "s1")
    assert again.is_signed
    assert adopt(again, "s1", rearrange=False) == identity
    assert tree(filled) == after


def test_an_adopted_disk_may_have_files_in_its_own_folders(filled: Path) -> None:
    adopt(shape_of(filled, "s1"), "s1", rearrange=False)
    (filled / "incoming" / "half").touch()
    assert shape_of(filled, "s1").is_signed


def test_what_is_new_belongs_to_whom_the_content_belongs(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []

    def chown(path: Path, user: int, group: int) -> None:
        assert (user, group) == (os.getuid(), os.getgid())
        given.append(path.name)
        raise PermissionError

    monkeypatch.setattr(adoption.os, "chown", chown)  # type: ignore[attr-defined]
    adopt(shape_of(filled, "s1"), "s1", rearrange=False)
    assert given == ["oose-store.json", "oose-store.lock", "incoming", "quarantine"]


def test_loose_folders_are_renamed_and_no_more(loose: Path) -> None:
    (loose / "purchased").mkdir()
    before = {name: inode for name, (inode, _) in tree(loose).items()}
    shape = shape_of(loose, "s1")
    assert not shape.has_content
    judge(shape, looked_at(shape))
    adopt(shape, "s1", rearrange=True)
    after = {name: inode for name, (inode, _) in tree(loose).items()}
    for name, inode in before.items():
        assert after[name if name == "purchased" else f"content/{name}"] == inode
    assert shape_of(loose, "s1").loose == []


def test_arranging_that_was_cut_short_goes_on(loose: Path) -> None:
    whole = {f"content/{name}": each for name, each in tree(loose).items()}
    shape = shape_of(loose, "s1")
    arrange(evolve(shape, loose=shape.loose[:5]))
    half = shape_of(loose, "s1")
    assert list(half.loose) == list(shape.loose[5:])
    judge(half, looked_at(half))
    arrange(half)
    after = tree(loose)
    del after["content"]
    assert after == whole


def test_nothing_is_renamed_over_something(loose: Path) -> None:
    shape = shape_of(loose, "s1")
    (loose / "content" / shape.loose[-1]).mkdir(parents=True)
    before = tree(loose)
    with pytest.raises(NotAdopted, match="there is one of that name"):
        arrange(shape_of(loose, "s1"))
    assert tree(loose) == before


@pytest_twisted.ensureDeferred
async def test_a_store_starts_on_it_and_reads_what_is_there(tmp_path: Path) -> None:
    fill(tmp_path / "s1" / "content", 20)
    adopt(shape_of(tmp_path / "s1", "s1"), "s1", rearrange=False)
    keeping = await Keeping.begin(tmp_path)
    hashes = fill(tmp_path / "x", 3)
    body = {"size": len(data_of(2)), "mimeExtension": "mp4"}
    record = translated(f"oose:inventory:{hashes[2]}:p1:s1", body, NOW)
    assert not isinstance(record, Peer)
    await keeping.inventory.put(record.id, record.to_body())  # type: ignore[union-attr]
    holdings = await keeping.start("s1")
    assert holdings.volume.usable
    file = await holdings.open(record)  # type: ignore[arg-type]
    assert file.whole == data_of(2)
    file.close()
    assert await holdings.verify(hashes[2]) == "ok"
    holdings.volume.release()
    await keeping.database.close()


# What the databases say.


@pytest_twisted.ensureDeferred
async def test_a_name_is_free_or_it_is_said_who_has_it(tmp_path: Path) -> None:
    keeping = await Keeping.begin(tmp_path)
    peers = keeping.registry._documents
    await check_place(peers, "p1:s1", "machine1", is_signed=False)
    peer = peer_of(keeping.holdings("s1"))
    await peers.put(peer.id, peer.to_body())
    await check_place(peers, "p1:s1", "machine1", is_signed=False)
    await check_place(peers, "p1:s2", "machine1", is_signed=False)
    with pytest.raises(NotAdopted, match="held by p1:s1"):
        await check_place(peers, "p2:s1", "machine1", is_signed=False)
    with pytest.raises(NotAdopted, match="p1:s1 is on machine1"):
        await check_place(peers, "p1:s1", "other", is_signed=False)
    await keeping.registry.load()
    await keeping.registry.update(evolve(peer, identity="x"))
    with pytest.raises(NotAdopted, match="has a disk already"):
        await check_place(peers, "p1:s1", "machine1", is_signed=False)
    await check_place(peers, "p1:s1", "machine1", is_signed=True)
    await keeping.database.close()


@pytest_twisted.ensureDeferred
async def test_records_say_where_content_is(tmp_path: Path) -> None:
    keeping = await Keeping.begin(tmp_path)
    for key in ("aa:p1:s1", "aa:p1:s2", "bb:p1:s1", "cc:p1:s3"):
        await keeping.inventory.put(key, {})
    assert await places_of(keeping.inventory, ["aa", "bb", "dd"]) == {"p1:s1": 2, "p1:s2": 1}
    await keeping.database.close()

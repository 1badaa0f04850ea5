import errno
import os
from pathlib import Path

import pytest
import pytest_twisted

from oose import durable, folders
from oose.batches import as_it_is
from oose.folders import Folders
from oose.pool import Inline
from tests.unit.faults import fail


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    seen: list[Path] = []
    real = durable.sync_folder

    def sync(folder: Path) -> None:
        real(folder)
        seen.append(folder)

    monkeypatch.setattr(folders, "sync_folder", sync)
    return seen


@pytest.fixture
def content(tmp_path: Path) -> Path:
    (tmp_path / "a0" / "3f").mkdir(parents=True)
    (tmp_path / "a0" / "40").mkdir()
    return tmp_path


@pytest_twisted.ensureDeferred
async def test_the_first_file_makes_the_names_of_its_folders_durable_too(
    content: Path, synced: list[Path]
) -> None:
    await Folders(content, Inline(), as_it_is).make_durable(content / "a0" / "3f" / "file")
    assert sorted(synced) == [content, content / "a0", content / "a0" / "3f"]


@pytest_twisted.ensureDeferred
async def test_folders_whose_names_are_durable_are_not_synced_for_them_again(
    content: Path, synced: list[Path]
) -> None:
    some = Folders(content, Inline(), as_it_is)
    await some.make_durable(content / "a0" / "3f" / "file")
    synced.clear()
    await some.make_durable(content / "a0" / "3f" / "other")
    await some.make_durable(content / "a0" / "40" / "file")
    assert synced[0] == content / "a0" / "3f"
    assert sorted(synced[1:]) == [content / "a0", content / "a0" / "40"]


@pytest_twisted.ensureDeferred
async def test_a_name_is_not_taken_for_durable_when_its_sync_failed(
    content: Path, synced: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    some = Folders(content, Inline(), as_it_is)
    with monkeypatch.context() as faulty:
        fail(faulty, "fsync", errno.EIO)
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            await some.make_durable(content / "a0" / "3f" / "file")
    await some.make_durable(content / "a0" / "3f" / "file")
    assert sorted(synced) == [content, content / "a0", content / "a0" / "3f"]


@pytest_twisted.ensureDeferred
async def test_what_is_remembered_of_folders_is_bounded(
    content: Path, synced: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "KNOWN", 1)
    some = Folders(content, Inline(), as_it_is)
    await some.make_durable(content / "a0" / "3f" / "file")
    await some.make_durable(content / "a0" / "40" / "file")
    synced.clear()
    await some.make_durable(content / "a0" / "3f" / "file")
    assert content / "a0" in synced

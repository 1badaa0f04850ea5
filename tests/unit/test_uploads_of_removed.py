"""Content that was removed and comes again: its tombstone has no more to say."""

from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from oose.embedded import EmbeddedDocuments
from oose.errors import Unavailable
from oose.uploads import Upload
from tests.unit.logged import logged
from tests.unit.test_uploads import HELLO, Room, begin, send
from tests.unit.test_uploads_at_once import uploads_of

SOON = 10_000  # ms by the clock of the test, which begins at 0


async def removed(room: Room, when: int, **more: object) -> EmbeddedDocuments:
    """The content is noted as removed at `when`."""
    content = EmbeddedDocuments(room.keeping.database, "content")
    await content.put(HELLO, {"removedAt": when, **more})
    return content


async def body(content: EmbeddedDocuments) -> dict[str, object] | None:
    document = await content.get(HELLO)
    return dict(document.body) if document is not None else None


def upload_to(room: Room, *, is_machine: bool) -> Upload:
    uploads = uploads_of(room) if is_machine else room.uploads()
    return uploads.open("sha1", None)


@pytest.mark.parametrize("is_machine", [False, True])
@pytest.mark.parametrize("when", [1, SOON])
@pytest_twisted.ensureDeferred
async def test_an_upload_clears_the_tombstone_and_nothing_else(
    when: int, is_machine: bool, tmp_path: Path
) -> None:
    """Also where the clock of who removed it was fast."""
    room = await begin(tmp_path, "s1")
    for more in ({}, {"wanted": 3}):
        room.keeping.clock.advance(1)
        content = await removed(room, when, **more)
        kept = await send(upload_to(room, is_machine=is_machine))
        assert (kept.count, len(room.files())) == (1, 1)
        [record] = await room.records()
        assert record.created >= when
        assert await body(content) == (more or None)


@pytest_twisted.ensureDeferred
async def test_a_clone_from_before_is_made_anew(tmp_path: Path) -> None:
    room = await begin(tmp_path, "s1")
    await send(upload_to(room, is_machine=True))
    [before] = await room.records()
    room.keeping.clock.advance(5)
    content = await removed(room, 4_000)
    assert (await send(upload_to(room, is_machine=True))).count == 1
    [after] = await room.records()
    assert (before.created, after.created) == (0, 5_000)
    assert await body(content) is None


@pytest_twisted.ensureDeferred
async def test_a_clone_that_has_come_since_is_enough(tmp_path: Path) -> None:
    """Its upload could not clear the tombstone."""
    room = await begin(tmp_path, "s1")
    room.keeping.clock.advance(5)
    await send(upload_to(room, is_machine=True))
    content = await removed(room, 4_000)
    [path] = room.files()
    before = path.stat().st_ino
    await send(upload_to(room, is_machine=True))
    assert path.stat().st_ino == before
    assert await body(content) is None


@pytest_twisted.ensureDeferred
async def test_a_tombstone_that_cannot_be_cleared_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = await begin(tmp_path, "s1")
    content = await removed(room, 1)
    upload = upload_to(room, is_machine=False)
    contents: Any = upload._uploads._contents

    async def away(*args: object) -> object:
        raise Unavailable("away")

    monkeypatch.setattr(contents, "change", away)
    with logged("warn") as said:
        assert (await send(upload)).count == 1
    assert said == [f"{HELLO} is still noted as removed: away"]
    assert await body(content) == {"removedAt": 1}


@pytest_twisted.ensureDeferred
async def test_what_is_removed_again_meanwhile_stays_so(tmp_path: Path) -> None:
    room = await begin(tmp_path, "s1")
    content = await removed(room, 1)
    upload = upload_to(room, is_machine=False)
    contents: Any = upload._uploads._contents
    change = contents.change

    async def later(*args: object) -> object:
        document = await content.get(HELLO)
        assert document is not None
        await content.put(HELLO, {"removedAt": SOON}, document.rev)
        return await change(*args)

    contents.change = later
    await send(upload)
    assert await body(content) == {"removedAt": SOON}


@pytest_twisted.ensureDeferred
async def test_a_copy_clears_no_tombstone(tmp_path: Path) -> None:
    room = await begin(tmp_path, "s1")
    room.keeping.clock.advance(SOON)
    content = await removed(room, 1)
    kept = await send(upload_to(room, is_machine=True), created=2)
    assert kept.record.created == 2
    assert await body(content) == {"removedAt": 1}

"""Protected content: who may be, and the list of all."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import evolve

from oose import protection
from oose.errors import NotAllowed, NotFound
from oose.protection import Protected, Protection
from tests.unit.removing import HASH, Removing

OTHER = hashlib.sha1(b"another").hexdigest()
NOBODY = "0" * 40


@pytest_twisted.async_yield_fixture
async def made(tmp_path: Path) -> AsyncIterator[Removing]:
    made = await Removing.begin(tmp_path, "s1", "s2")
    yield made
    await made.keeping.database.close()


@pytest.fixture
def protects(made: Removing) -> Protection:
    return Protection(made.contents, made.keeping.existence)


@pytest_twisted.ensureDeferred
async def test_protected_content_is_not_removed_until_it_is_released(
    made: Removing, protects: Protection
) -> None:
    await made.put()
    await made.put("s1", b"another")
    answers = await protects.protect([HASH, OTHER])
    assert [each.protected for each in answers.values()] == [True, True]
    with pytest.raises(NotAllowed):
        await made.removal.remove(HASH)
    assert (await protects.release([HASH]))[HASH].protected is False
    assert (await made.removal.remove(HASH)).removed == 1
    with pytest.raises(NotAllowed):
        await made.removal.remove(OTHER)


@pytest_twisted.ensureDeferred
async def test_what_is_not_there_is_not_protected_and_then_nothing_is(
    made: Removing, protects: Protection
) -> None:
    await made.put()
    with pytest.raises(NotFound, match=f"{NOBODY} was not found"):
        await protects.protect([HASH, NOBODY])
    assert not (await made.note()).protected


@pytest_twisted.ensureDeferred
async def test_nor_is_what_was_removed(made: Removing, protects: Protection) -> None:
    await made.put()
    made.away.add("p1:s1")
    await made.removal.remove(HASH)
    await made.put("s1", created=0)  # a sweep that has not heard of it
    with pytest.raises(NotFound):
        await protects.protect([HASH])
    await made.put("s2", created=2**50)  # it was uploaded again
    assert (await protects.protect([HASH]))[HASH].protected


@pytest_twisted.ensureDeferred
async def test_nor_what_is_removed_at_that_moment(
    made: Removing, protects: Protection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await made.put()
    real = made.documents.put_many

    async def late(writes: Any) -> Any:
        monkeypatch.setattr(made.documents, "put_many", real)
        await made.contents.change(HASH, lambda known: evolve(known, removed=2**50))
        return await real(writes)

    monkeypatch.setattr(made.documents, "put_many", late)
    with pytest.raises(NotFound):
        await protects.protect([HASH])
    assert not (await made.note()).protected


@pytest_twisted.ensureDeferred
async def test_what_lost_its_clones_stays_protected(made: Removing, protects: Protection) -> None:
    await made.protect()
    assert (await protects.protect([HASH]))[HASH].protected


@pytest_twisted.ensureDeferred
async def test_releasing_what_nothing_is_noted_of_notes_nothing(
    made: Removing, protects: Protection
) -> None:
    assert not (await protects.release([NOBODY]))[NOBODY].protected
    await made.protect(NOBODY)
    await protects.release([NOBODY])
    assert await made.documents.get(NOBODY) is None


@pytest_twisted.ensureDeferred
async def test_all_that_is_protected_is_listed_some_at_a_time(
    made: Removing, protects: Protection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protection, "PAGE", 2)
    monkeypatch.setattr(protection, "PAGES", 3)
    assert await protects.page() == Protected([], None)
    hashes = [f"{number:040x}" for number in range(11)]
    for content_hash in hashes:
        await made.contents.change(content_hash, lambda known: evolve(known, wanted=3))
    for content_hash in (hashes[2], hashes[3], hashes[10]):
        await made.protect(content_hash)
    pages = []
    after: str | None = ""
    while after is not None:
        pages.append(await protects.page(after))
        after = pages[-1].after
    assert pages == [
        Protected([hashes[2], hashes[3]], hashes[3]),  # enough for one answer
        Protected([], hashes[9]),  # long enough looked for
        Protected([hashes[10]], None),
    ]

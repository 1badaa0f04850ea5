"""Removing content: what goes, what stays, and what a second removal makes good."""

import errno
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred

from oose.errors import NotAllowed, NotFound, Unavailable
from oose.metadata.documents import Stale
from oose.removal import Removed
from tests.unit.faults import fail
from tests.unit.keeping import NOW
from tests.unit.logged import logged
from tests.unit.removing import HASH, Removing, away

OTHER = hashlib.sha1(b"another").hexdigest()
NOBODY = "0" * 40


@pytest_twisted.async_yield_fixture
async def made(tmp_path: Path) -> AsyncIterator[Removing]:
    made = await Removing.begin(tmp_path, "s1", "s2", "s3")
    yield made
    await made.keeping.database.close()


@pytest_twisted.ensureDeferred
async def test_all_clones_go_and_what_was_sold_ends(made: Removing) -> None:
    for name in ("s1", "s2"):
        await made.put(name)
    await made.put("s2", b"another")
    await made.sell("t1")
    await made.sell("t2", OTHER)
    assert len(await made.keeping.existence.records(HASH)) == 2
    made.keeping.clock.advance(1)
    with logged("info") as messages:
        assert await made.removal.remove(HASH) == Removed(HASH, 2, [], 1)
    assert messages == [f"{HASH} is removed: 2 clones; still to go: none"]
    assert made.files() == []
    assert await made.records() == []
    assert await made.keeping.existence.records(HASH) == []  # without looking again
    assert list(made.purchases.kept) == ["t2"]
    assert (await made.note()).removed == NOW + 1000
    assert made.files(OTHER) == ["s2"]
    assert made.aside() == []


@pytest_twisted.ensureDeferred
async def test_a_store_that_is_away_has_it_no_more_for_anybody(made: Removing) -> None:
    for name in ("s1", "s2"):
        await made.put(name)
    made.away.add("p1:s2")
    assert await made.removal.remove(HASH) == Removed(HASH, 1, ["p1:s2"], 0)
    assert await made.records() == []
    assert made.files() == ["s2"]


@pytest_twisted.ensureDeferred
async def test_what_was_wished_and_asked_for_goes_with_it(made: Removing) -> None:
    await made.put("s1")
    claim = {"by": "p1", "until": NOW}
    body = {"wanted": 3, "demand": {"p1": {"rate": 9}}, "claim": claim}
    await made.documents.put(HASH, body)
    await made.removal.remove(HASH)
    removed = await made.note()
    assert removed.removed is not None
    assert removed.to_body() == {"removedAt": removed.removed, "claim": claim}


@pytest_twisted.ensureDeferred
async def test_so_does_one_that_fails(made: Removing, monkeypatch: pytest.MonkeyPatch) -> None:
    await made.put("s1")
    await made.put("s2")
    fail(monkeypatch, "unlink", errno.EIO, on="s1")
    with logged("warn") as messages:
        assert await made.removal.remove(HASH) == Removed(HASH, 1, ["p1:s1"], 0)
    assert "still to be removed" in messages[0]
    assert await made.records() == []


@pytest_twisted.ensureDeferred
async def test_what_is_protected_stays_and_so_do_the_others(made: Removing) -> None:
    await made.put("s1")
    await made.put("s1", b"another")
    await made.protect()
    for call in (made.removal.remove_all, made.removal.foresee):
        with pytest.raises(NotAllowed, match=f"oose protect --no {HASH}"):
            await call([OTHER, HASH])
    assert (made.files(), made.files(OTHER)) == (["s1"], ["s1"])
    assert (await made.note(OTHER)).removed is None


@pytest_twisted.ensureDeferred
async def test_what_is_protected_meanwhile_stays(
    made: Removing, monkeypatch: pytest.MonkeyPatch
) -> None:
    await made.put()
    real = made.documents.put_many

    async def late(writes: Any) -> Any:
        monkeypatch.setattr(made.documents, "put_many", real)
        await made.protect()
        return await real(writes)

    monkeypatch.setattr(made.documents, "put_many", late)
    with pytest.raises(NotAllowed):
        await made.removal.remove(HASH)
    assert made.files() == ["s1"]
    assert (await made.note()).removed is None


@pytest_twisted.ensureDeferred
async def test_what_nobody_ever_had_is_not_found_and_then_nothing_goes(made: Removing) -> None:
    await made.put()
    for call in (made.removal.remove_all, made.removal.foresee):
        with pytest.raises(NotFound, match=f"{NOBODY} was not found"):
            await call([HASH, NOBODY])
    assert made.files() == ["s1"]
    assert await made.removal.remove_all([]) == {}


@pytest_twisted.ensureDeferred
async def test_many_go_at_once(made: Removing) -> None:
    hashes = []
    for number in range(20):
        data = b"%d" % number
        hashes.append((await made.put("s1", data)).hash)
        await made.put("s2", data)
        await made.sell(f"t{number}", hashes[-1])
    done = await made.removal.remove_all(hashes)
    assert done == {each: Removed(each, 2, []) for each in hashes}
    assert await made.keeping.inventory.range("", "\uffff") == []
    assert made.purchases.kept == {}


@pytest_twisted.ensureDeferred
async def test_what_would_go_can_be_asked(made: Removing) -> None:
    for name in ("s1", "s2"):
        await made.put(name)
    made.away.add("p1:s2")
    assert await made.removal.foresee([HASH]) == {HASH: Removed(HASH, 1, ["p1:s2"])}
    assert made.files() == ["s1", "s2"]
    assert (await made.note()).removed is None


@pytest_twisted.ensureDeferred
async def test_a_clock_that_was_ahead_does_not_keep_content(made: Removing) -> None:
    await made.put("s1", created=NOW + 60_000)
    await made.put("s2")
    assert (await made.removal.remove(HASH)).removed == 2
    assert (await made.note()).removed == NOW + 60_001


# Again


@pytest_twisted.ensureDeferred
async def test_removing_again_what_is_gone_does_no_harm(made: Removing) -> None:
    await made.put()
    first = await made.removal.remove(HASH)
    noted = await made.note()
    made.keeping.clock.advance(-100)
    assert await made.removal.remove(HASH) == evolve(first, removed=0)
    assert await made.note() == noted  # a clock that goes back does not bring it back


@pytest.mark.parametrize("call", ["under", "get", "delete", "put_many"])
@pytest_twisted.ensureDeferred
async def test_what_a_database_cut_short_is_finished_by_the_next(
    made: Removing, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    for name in ("s1", "s2"):
        await made.put(name)
    await made.sell("t1")
    made.away.add("p1:s2")
    real = made.documents.put_many
    with monkeypatch.context() as failing:

        async def entombed(writes: Any) -> Any:
            answers = await real(writes)
            failing.setattr(made.keeping.inventory, call, away)
            return answers

        failing.setattr(made.documents, "put_many", entombed)
        if call in {"get", "delete"}:  # the store says so, and is waited for
            failing.setattr(made.keeping.inventory, "put_many", away)
        with pytest.raises(Unavailable, match=r"remove it again.*The database is away") as caught:
            await made.removal.remove(HASH)
        assert caught.value.retry_after == 5
    assert list(made.purchases.kept) == ["t1"]
    done = await made.removal.remove(HASH)
    assert (done.purchases, done.waiting) == (1, ["p1:s2"])
    assert await made.records() == []
    assert made.files() == ["s2"]


@pytest_twisted.ensureDeferred
async def test_so_is_one_whose_purchases_could_not_be_ended(made: Removing) -> None:
    await made.put()
    await made.sell("t1")
    made.purchases.is_away = True
    with pytest.raises(Unavailable, match="remove it again"):
        await made.removal.remove(HASH)
    made.purchases.is_away = False
    assert await made.removal.remove(HASH) == Removed(HASH, 0, [], 1)


@pytest_twisted.ensureDeferred
async def test_it_goes_on_to_its_end_where_nobody_waits_for_it(made: Removing) -> None:
    await made.put()
    late: Deferred[None] = Deferred()
    made.stores["p1:s1"].volume.pool = Late(late)
    removing = Deferred.fromCoroutine(made.removal.remove(HASH))
    removing.cancel()
    with pytest.raises(CancelledError):
        await removing
    late.callback(None)
    assert made.files() == []
    assert await made.records() == []


class Late:
    """A pool that waits before its first call."""

    def __init__(self, until: Deferred[None]) -> None:
        self._until: Deferred[None] | None = until

    async def run(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        until, self._until = self._until, None
        if until is not None:
            await until
        return call(*args, **kwargs)


# At the same time


@pytest_twisted.ensureDeferred
async def test_what_was_uploaded_since_stays(
    made: Removing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record is written after the tombstone, before its store is asked."""
    await made.put("s1")
    await made.put("s2")
    real = made.documents.put_many

    async def late(writes: Any) -> Any:
        answers = await real(writes)
        made.keeping.clock.advance(1)
        await made.put("s2")
        return answers

    monkeypatch.setattr(made.documents, "put_many", late)
    assert (await made.removal.remove(HASH)).removed == 1
    assert (await made.records(), made.files()) == (["s2"], ["s2"])


@pytest_twisted.ensureDeferred
async def test_it_stays_also_where_only_the_store_knows(
    made: Removing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record is written after it was looked for."""
    old = await made.put("s1")
    real, look = made.documents.put_many, made.keeping.existence.records_of

    async def stale(*args: Any, **more: Any) -> Any:
        monkeypatch.setattr(made.keeping.existence, "records_of", look)
        made.keeping.clock.advance(10)
        await made.put("s1")
        return {HASH: [old]}

    async def late(writes: Any) -> Any:
        monkeypatch.setattr(made.keeping.existence, "records_of", stale)
        return await real(writes)

    monkeypatch.setattr(made.documents, "put_many", late)
    assert (await made.removal.remove(HASH)).removed == 0
    assert (await made.records(), made.files()) == (["s1"], ["s1"])


@pytest_twisted.ensureDeferred
async def test_a_record_from_before_that_is_written_late_goes_too(
    made: Removing, monkeypatch: pytest.MonkeyPatch
) -> None:
    await made.put("s1")
    real = made.keeping.inventory.delete

    async def late(*args: Any) -> str | Stale:
        monkeypatch.setattr(made.keeping.inventory, "delete", real)
        await made.put("s2", created=NOW - 1)
        return await real(*args)

    monkeypatch.setattr(made.keeping.inventory, "delete", late)
    assert (await made.removal.remove(HASH)).removed == 2
    assert (await made.records(), made.files()) == ([], [])


@pytest.mark.parametrize(("created", "left"), [(NOW - 1, []), (NOW + 60_000, ["s1"])])
@pytest_twisted.ensureDeferred
async def test_the_record_of_a_store_that_is_away_goes_as_it_is_now(
    made: Removing, monkeypatch: pytest.MonkeyPatch, created: int, left: list[str]
) -> None:
    record = await made.put("s1")
    made.away.add("p1:s1")
    made.keeping.clock.advance(1)
    real = made.keeping.inventory.put_many

    async def late(writes: Any) -> Any:
        monkeypatch.setattr(made.keeping.inventory, "put_many", real)
        await made.write(evolve(record, created=created))
        return await real(writes)

    monkeypatch.setattr(made.keeping.inventory, "put_many", late)
    assert (await made.removal.remove(HASH)).waiting == ["p1:s1"]
    assert await made.records() == left

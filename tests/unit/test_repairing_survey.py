"""Looking at all content: each once, with all its clones and what is noted of it."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from oose.contents import Content, Contents
from oose.embedded import EmbeddedDatabase, EmbeddedDocuments, EmbeddedInventory
from oose.metadata.documents import Document, Write
from oose.pace import Pace
from oose.pool import Inline
from oose.repairing import survey
from oose.repairing.need import Need
from oose.repairing.shares import SLICES
from oose.repairing.survey import Seen, Survey, by_hash
from tests.unit.at_once import at_once

HASH = "{:040x}"


class Looked:
    """Content as a survey finds it: the places of its clones, and whether a wish is noted."""

    def __init__(self) -> None:
        self.seen: dict[str, tuple[list[str], int | None]] = {}
        self.judged: tuple[list[str], int | None] = ([], None)
        self.work = 0.0
        self.clock = Clock()

    def judge(self, clones: Sequence[Seen], content: Content) -> Need:
        assert content.hash
        self.judged = [each.place for each in clones], content.wanted
        self.clock.rightNow += self.work
        return Need(size=clones[0].size)

    def found(self, content_hash: str, need: Need) -> None:
        assert content_hash not in self.seen
        self.seen[content_hash] = self.judged


class Shelves:
    """Records and notes in a database in memory, that tells how often it was asked."""

    def __init__(self, path: str = ":memory:") -> None:
        self.database = EmbeddedDatabase(Path(path), writer=Inline(), readers=Inline())
        self.inventory = EmbeddedInventory(self.database)
        self.content = EmbeddedDocuments(self.database, "content")
        self.asked = 0
        for documents in (self.inventory, self.content):
            self.count(documents)

    def count(self, documents: Any) -> None:
        real = documents.range

        async def counted(*args: Any, **more: Any) -> Any:
            self.asked += 1
            return await real(*args, **more)

        documents.range = counted

    async def fill(self, clones: dict[str, list[str]], wishes: dict[str, int]) -> None:
        body = {"size": 1, "createdAt": 2, "verifiedAt": 3}
        await self.inventory.put_many(
            [Write(f"{key}:{place}", body) for key, places in clones.items() for place in places]
        )
        await self.content.put_many([Write(key, {"wanted": n}) for key, n in wishes.items()])


@pytest_twisted.async_yield_fixture
async def shelves(tmp_path: Path) -> AsyncIterator[Shelves]:
    shelves = Shelves(str(tmp_path / "x.sqlite"))
    await shelves.database.open()
    yield shelves
    await shelves.database.close()


def surveying(shelves: Shelves, looked: Looked, rate: float | None = None) -> Survey:
    return Survey(
        shelves.inventory,
        Contents(shelves.content),
        Pace(rate, looked.clock),
        looked.clock,
        looked.judge,
    )


def carry_out(looked: Looked, work: Any) -> None:
    """Have it done while the clock goes on."""
    working = Deferred.fromCoroutine(work)
    for _ in range(10_000):
        if working.called:
            break
        due = min(call.getTime() for call in looked.clock.getDelayedCalls())
        looked.clock.advance(max(0.0, due - looked.clock.seconds()))
    _ = working.addErrback(lambda failure: failure.raiseException())
    assert working.called


# Content whose clones begin to be on the next page, and notes of content that has none.
CLONES = {HASH.format(n << 152): [f"p:s{i}" for i in range(n % 4 + 1)] for n in range(0, 200, 3)}
WISHES = {HASH.format(n << 152): n for n in range(0, 200, 5)}
ALL = {key: (places, WISHES.get(key)) for key, places in CLONES.items()}


@pytest.mark.parametrize("page", [2, 3, 5, 7, 1000])
@pytest_twisted.ensureDeferred
async def test_each_content_is_seen_once_with_all_its_clones(
    shelves: Shelves, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shelves.fill(CLONES, WISHES)
    monkeypatch.setattr(survey, "PAGE", page)
    monkeypatch.setattr(survey, "HANDFUL", 3)
    looked = Looked()
    carry_out(looked, surveying(shelves, looked).run(SLICES, looked.found))
    assert looked.seen == ALL


@pytest.mark.parametrize("slices", [["00", "03", "04", "05", "c4", "ff"], ["06"], []])
@pytest_twisted.ensureDeferred
async def test_only_content_of_some_slices_is_looked_at(
    shelves: Shelves, slices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await shelves.fill(CLONES, WISHES)
    monkeypatch.setattr(survey, "PAGE", 3)
    looked = Looked()
    carry_out(looked, surveying(shelves, looked).run(slices, looked.found))
    assert looked.seen == {key: each for key, each in ALL.items() if key[:2] in slices}


@pytest_twisted.ensureDeferred
async def test_it_costs_a_request_a_page_of_either_and_no_more_of_them_than_allowed(
    shelves: Shelves,
) -> None:
    await shelves.fill(CLONES, WISHES)
    looked = Looked()
    carry_out(looked, surveying(shelves, looked, rate=10.0).run(SLICES, looked.found))
    assert shelves.asked == 2
    assert looked.clock.seconds() >= 0.1


@pytest_twisted.ensureDeferred
async def test_others_have_their_turn_for_longer_than_it_takes(
    shelves: Shelves, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shelves.fill(CLONES, {})
    monkeypatch.setattr(survey, "HANDFUL", 10)
    looked = Looked()
    looked.work = 1.0
    carry_out(looked, surveying(shelves, looked).run(SLICES, looked.found))
    assert looked.clock.seconds() >= 4.0 * len(CLONES)


@pytest_twisted.ensureDeferred
async def test_some_content_is_looked_at_by_itself(shelves: Shelves) -> None:
    await shelves.fill(CLONES, WISHES)
    looked = Looked()
    rows = by_hash(await shelves.inventory.range("", "\uffff", limit=5))
    carry_out(looked, surveying(shelves, looked).look(rows, looked.found))
    assert len(looked.seen) == 2
    assert next(iter(looked.seen.items())) == (HASH.format(0), (["p:s0"], 0))
    carry_out(looked, surveying(shelves, looked).look({}, looked.found))


hashes = st.sampled_from([HASH.format(n << 152) for n in range(12)])


@given(
    st.dictionaries(hashes, st.integers(1, 5)),
    st.dictionaries(hashes, st.integers(1, 9)),
    st.sets(st.sampled_from(SLICES[:12])),
    st.integers(1, 4),
)
def test_whatever_there_is_of_some_slices_is_seen(
    counts: dict[str, int], wishes: dict[str, int], slices: set[str], page: int
) -> None:
    documents = [
        Document(f"{key}:p:s{number}", "1-a", {"size": 1, "createdAt": 2})
        for key, count in counts.items()
        for number in range(count)
    ]
    notes = [Document(key, "1-a", {"wanted": wish}) for key, wish in wishes.items()]
    looked = Looked()

    class Rows:
        def __init__(self, rows: list[Document]) -> None:
            self.rows = sorted(rows, key=lambda row: row.id)

        async def range(self, start: str, end: str, *, limit: int) -> list[Document]:
            return [row for row in self.rows if start <= row.id <= end][: min(limit, page)]

    rows: Any = Rows(documents)
    noted: Any = Rows(notes)
    work = Survey(rows, Contents(noted), Pace(None, looked.clock), looked.clock, looked.judge).run(
        slices, looked.found
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(survey, "PAGE", page)
        carry_out(looked, work)
    assert looked.seen == {
        key: ([f"p:s{number}" for number in range(count)], wishes.get(key))
        for key, count in counts.items()
        if key[:2] in slices
    }


def test_a_record_is_read_as_far_as_it_matters() -> None:
    body = {"size": 5, "createdAt": 6, "verifiedAt": 7, "note": "oh", "other": 8}
    assert Seen.from_document(Document("ab:p1:s1", "1-a", body)) == Seen("p1:s1", 5, 6, 7, "oh")
    assert at_once(Contents(Any).get_many([])) == {}  # type: ignore[arg-type] # nobody is asked

"""All metadata out of one database and into another; tests/cli has the commands, and a cluster."""

from collections.abc import AsyncIterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import define, evolve

from oose.cli.opened import databases_of
from oose.databases import Databases, OneMachine
from oose.embedded.account_rows import AccountRows
from oose.metadata.documents import Document, Documents, Stale, Write
from oose.moving import export
from oose.moving.entries import End, Entry, Header, of_purchase
from oose.moving.export import Export, account_rows
from oose.moving.export_file import ExportFile
from oose.moving.importing import Import
from oose.moving.private_file import private_file
from oose.moving.tally import Tally
from oose.purchases import Session
from oose.settings import Settings
from oose.settings.model import CouchSettings, RedisSettings
from tests.real import reactor
from tests.unit.test_export_entries import ENTRIES, HASH, PEER, PURCHASE, RECORD
from tests.unit.test_migration import settings_in

NOW = 5  # before the purchase of the entries ends
Everything = dict[str, dict[str, Any]]


@define
class Place:
    """One machine's databases."""

    settings: Settings
    databases: Databases

    async def export(self) -> str:
        lines: list[str] = []
        told: list[int] = []
        counts = await Export(self.databases, lines.append, reactor, 9, told.append).run()
        assert told[-1] == counts.total() == len(lines) - 2
        return "".join(lines)

    async def take(self, text: str, *, replace: bool = False, now: int = NOW) -> Tally:
        told: list[int] = []
        file = ExportFile(BytesIO(text.encode()))
        file.header()
        tally = await Import(
            file, self.databases, reactor, now, replace, lambda passed, _: told.append(passed)
        ).run()
        assert told[-1] == len(text.encode())
        return tally

    async def take_entries(self, *entries: Entry, replace: bool = False, now: int = NOW) -> Tally:
        lines: list[Header | Entry | End] = [Header("3", 1, {}), *entries]
        lines.append(End({"some": len(entries)}))
        text = "".join(each.to_line() for each in lines)
        return await self.take(text, replace=replace, now=now)

    async def fill(self) -> None:
        for entry in ENTRIES:
            if entry.kind in {"peer", "inventory", "content", "heartbeat"}:
                await getattr(self.databases, entry.kind).put(entry.id, entry.body)
        await self.databases.purchases.add(PURCHASE)
        assert self.databases.own_accounts is not None
        for name in ("anna", "ben"):
            await self.databases.own_accounts.add(name, "a good password", 7)
        await self.databases.own_accounts.set_enabled("ben", enabled=False)

    async def all_of_it(self) -> Everything:
        found: Everything = {}
        for name in ("peer", "inventory", "content", "heartbeat"):
            rows = await getattr(self.databases, name).range("", "\uffff")
            found[name] = {row.id: row.body for row in rows}
        pages = [page async for page in self.databases.purchases.each()]
        found["purchase"] = {each.token: each for page in pages for each in page}
        rows = account_rows(self.databases)
        assert rows is not None
        found["account"] = {each.username: each for each in await rows.page("", 10)}
        return found


async def place_in(settings: Settings) -> Place:
    databases = databases_of(settings, reactor)
    await databases.open()
    return Place(settings, databases)


@pytest.fixture
def folders(tmp_path: Path) -> Sequence[Settings]:
    found = [settings_in(tmp_path / name) for name in ("here", "there")]
    for each in found:
        each.root.mkdir()
    return found


@pytest_twisted.async_yield_fixture
async def here(folders: Sequence[Settings]) -> AsyncIterator[Place]:
    place = await place_in(folders[0])
    await place.fill()
    yield place
    await place.databases.close()


@pytest_twisted.async_yield_fixture
async def there(folders: Sequence[Settings]) -> AsyncIterator[Place]:
    place = await place_in(folders[1])
    yield place
    await place.databases.close()


def not_available(everything: Everything) -> Everything:
    """The same with peers as they come."""
    peers = {
        each: body | {"available": False, "voted": False} if each == PEER.id else body
        for each, body in everything["peer"].items()
    }
    return {**everything, "peer": peers}


@pytest_twisted.ensureDeferred
async def test_all_of_it_comes_back(here: Place, there: Place) -> None:
    text = await here.export()
    tally = await there.take(text)
    assert await there.all_of_it() == not_available(await here.all_of_it())
    assert tally.failed == 0
    assert {name: each for name, each in tally.counts.items() if each} == {
        "read": 10,
        "peer new": 2,
        "inventory new": 1,
        "content new": 2,
        "heartbeat new": 2,
        "purchase new": 1,
        "account new": 2,
    }
    assert there.databases.own_accounts is not None
    assert await there.databases.own_accounts.verify("anna", "a good password")
    assert not await there.databases.own_accounts.verify("ben", "a good password")


@pytest_twisted.ensureDeferred
async def test_the_first_line_says_how_much_there_is(here: Place) -> None:
    first, *_, last = (await here.export()).splitlines()
    assert '"counts":{"peer":2,"inventory":1,"content":2,"heartbeat":2}' in first
    assert '"account":2' in last


@pytest_twisted.ensureDeferred
async def test_many_come_page_by_page(
    here: Place, there: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "PAGE", 2)
    for number in range(7):
        record = evolve(RECORD, store=f"t{number}")
        await here.databases.inventory.put(record.id, record.to_body())
    await there.take(await here.export())
    assert await there.all_of_it() == not_available(await here.all_of_it())


@pytest_twisted.ensureDeferred
async def test_doing_it_again_changes_nothing(here: Place, there: Place) -> None:
    text = await here.export()
    await there.take(text)
    before = await there.databases.inventory.range("", "\uffff")
    for replace in (False, True):
        tally = await there.take(text, replace=replace)
        assert await there.databases.inventory.range("", "\uffff") == before
        assert tally.counts["inventory there"] == 1
        assert tally.counts["account there"] == 2
        assert tally.counts["peer new"] == tally.counts["peer replaced"] == 0


@pytest_twisted.ensureDeferred
async def test_what_is_there_stays_or_is_replaced(here: Place, there: Place) -> None:
    await there.databases.inventory.put(RECORD.id, {"mine": 1})
    await there.databases.purchases.add(evolve(PURCHASE, ext="mkv"))
    assert there.databases.own_accounts is not None
    await there.databases.own_accounts.add("anna", "another password", 7)
    await there.databases.sessions.add(Session("d", "anna", "::1", 1, 99))
    text = await here.export()
    tally = await there.take(text)
    assert (await there.all_of_it())["inventory"] == {RECORD.id: {"mine": 1}}
    assert (tally.counts["inventory there"], tally.counts["purchase there"]) == (1, 1)
    assert (tally.counts["account there"], tally.counts["account new"]) == (1, 1)
    assert await there.databases.own_accounts.verify("anna", "another password")
    assert await there.databases.sessions.find("d", 5) is not None
    tally = await there.take(text, replace=True)
    assert await there.all_of_it() == not_available(await here.all_of_it())
    assert (tally.counts["inventory replaced"], tally.counts["purchase replaced"]) == (1, 1)
    assert await there.databases.own_accounts.verify("anna", "a good password")
    assert await there.databases.sessions.find("d", 5) is None


@pytest_twisted.ensureDeferred
async def test_a_peer_that_lives_stays_alive(there: Place) -> None:
    alive = {**PEER.to_body(), "available": True, "voted": False, "renewedAt": 77, "group": "old"}
    await there.databases.peer.put(PEER.id, alive)
    await there.take_entries(Entry("peer", PEER.id, PEER.to_body()), replace=True)
    found = await there.databases.peer.get(PEER.id)
    assert found is not None
    assert found.body == {**PEER.to_body(), "available": True, "voted": False, "renewedAt": 77}


@pytest_twisted.ensureDeferred
async def test_a_claim_is_of_the_moment(here: Place, there: Place) -> None:
    claim = {"by": "somebody", "until": 9}
    other = "ab" * 20
    await here.databases.content.put(other, {"claim": claim})
    assert other not in await here.export()
    await there.take_entries(Entry("content", HASH, {"wanted": 3, "claim": claim}))
    found = await there.databases.content.get(HASH)
    assert found is not None
    assert found.body == {"wanted": 3}
    await there.databases.content.put(HASH, {"claim": {"by": "us", "until": 7}}, found.rev)
    await there.take_entries(Entry("content", HASH, {"wanted": 3, "claim": claim}), replace=True)
    found = await there.databases.content.get(HASH)
    assert found is not None
    assert found.body == {"wanted": 3, "claim": {"by": "us", "until": 7}}


@pytest_twisted.ensureDeferred
async def test_a_purchase_that_is_over_is_left_out(there: Place) -> None:
    tally = await there.take_entries(of_purchase(PURCHASE), now=PURCHASE.expires)
    assert tally.counts["purchase expired"] == 1
    assert (await there.all_of_it())["purchase"] == {}


@pytest_twisted.ensureDeferred
async def test_bad_lines_are_named_and_the_others_taken(there: Place) -> None:
    bad = Entry("inventory", RECORD.id, {"size": 1})
    tally = await there.take_entries(*ENTRIES[:2], bad, ENTRIES[2])
    [(where, why)] = tally.failures
    assert (where, "lacks something" in why) == ("line 4", True)
    assert [len(each) for each in (await there.all_of_it()).values()] == [1, 1, 1, 0, 0, 0]


@pytest_twisted.ensureDeferred
async def test_one_id_twice_is_one_document(there: Place) -> None:
    tally = await there.take_entries(ENTRIES[1], ENTRIES[1])
    assert (tally.counts["inventory new"], tally.counts["inventory there"]) == (1, 1)


@define
class Busy:
    """Documents that somebody else writes again and again, or deletes, before we can."""

    documents: Documents
    times: int
    deletes: bool = False

    async def put_many(self, writes: list[Write]) -> Any:
        for write in writes if self.times > 0 else []:
            there = await self.documents.get(write.id)
            rev = there.rev if there is not None else None
            if self.deletes and rev is not None:
                await self.documents.delete(write.id, rev)
                self.times = 0
                return [Stale(each.id) for each in writes]
            await self.documents.put(write.id, {"theirs": self.times}, rev)
        self.times -= 1
        return await self.documents.put_many(writes)

    async def get_many(self, ids: list[str]) -> Any:
        return await self.documents.get_many(ids)


def busy(place: Place, times: int, *, deletes: bool = False) -> None:
    real: Any = place.databases.inventory
    place.databases.inventory = Busy(real, times, deletes)  # type: ignore[assignment]


@pytest_twisted.ensureDeferred
async def test_what_others_write_meanwhile_is_replaced_after(there: Place) -> None:
    real = there.databases.inventory
    busy(there, 3)
    tally = await there.take_entries(ENTRIES[1], replace=True)
    assert tally.counts["inventory replaced"] == 1
    found = await real.get(RECORD.id)
    assert isinstance(found, Document)
    assert found.body == ENTRIES[1].body


@pytest_twisted.ensureDeferred
async def test_what_others_delete_meanwhile_is_made(there: Place) -> None:
    await there.databases.inventory.put(RECORD.id, {"old": 1})
    real = there.databases.inventory
    busy(there, 1, deletes=True)
    await there.take_entries(ENTRIES[1], replace=True)
    assert await real.get(RECORD.id) is not None


@pytest_twisted.ensureDeferred
async def test_what_others_write_all_the_time_fails(there: Place) -> None:
    busy(there, 100)
    tally = await there.take_entries(ENTRIES[1], replace=True)
    assert tally.failures == [(RECORD.id, "others write it all the time")]


@pytest_twisted.ensureDeferred
async def test_a_cluster_keeps_no_accounts_of_ours(there: Place) -> None:
    settings = evolve(
        there.settings,
        couchdb=CouchSettings("http://127.0.0.1:1", "a", "b"),
        redis=RedisSettings("redis://127.0.0.1:1"),
    )
    databases = databases_of(settings, reactor)
    assert account_rows(databases) is None
    importing_there = Import(ExportFile(BytesIO()), databases, reactor, 0, False, lambda *_: None)
    await importing_there._admit([ENTRIES[8]])
    assert importing_there.tally.counts["account left out"] == 1
    await databases.close()


@pytest_twisted.ensureDeferred
async def test_accounts_are_added_all_or_none(there: Place) -> None:
    assert isinstance(there.databases, OneMachine)
    rows = AccountRows(there.databases.database)
    assert await rows.put([], replace=False) == []
    assert await rows.page("", 5) == []


# The file.


def test_a_private_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with private_file(path) as file:
        file.write(b"one")
        assert not path.exists()
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"one", 0o600)
    with pytest.raises(KeyError):
        write_and_fail(path)
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_is_the_file_that_was_named_and_not_its_draft(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name, kind in (("nowhere/out", FileNotFoundError), ("folder", IsADirectoryError)):
        path = tmp_path / name
        with pytest.raises(kind) as failed, private_file(path):
            pass
        assert failed.value.filename == str(path)
    with pytest.raises(PermissionError) as failed, private_file(tmp_path / "out"):
        raise PermissionError(1, "no", "another")
    assert failed.value.filename == "another"
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]


def write_and_fail(path: Path) -> None:
    with private_file(path) as file:
        file.write(b"two")
        raise KeyError

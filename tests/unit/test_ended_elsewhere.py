"""What a process notices of what others do to its embedded database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted
from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from oose.embedded import EmbeddedDatabase, EmbeddedPurchases, EndedElsewhere
from oose.embedded.database import FILE_NAME
from oose.embedded.elsewhere import LOOK, SILENCE
from oose.errors import NotFound, Unavailable
from oose.pool import Inline
from oose.purchases import Purchase
from oose.purchasing import PurchaseDesk
from tests.unit.logged import logged
from tests.unit.test_embedded_database import ByHand

NOW = 1_700_000_000_000
HOUR = 3_600_000


@define
class Scene:
    """A process with its desk, and another one that has the same file open."""

    clock: Clock
    database: EmbeddedDatabase
    endings: EndedElsewhere
    desk: PurchaseDesk
    others: EmbeddedPurchases

    async def sell(self) -> Purchase:
        return await self.desk.sell("a" * 40, "mp4", ("*",), HOUR, NOW)

    async def opens(self, purchase: Purchase) -> bool:
        try:
            await self.desk.valid(purchase.token, NOW)
        except NotFound:
            return False
        return True


@pytest_twisted.async_yield_fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    here, there = (
        EmbeddedDatabase(tmp_path / FILE_NAME, writer=Inline(), readers=Inline()) for _ in range(2)
    )
    await here.open()
    await there.open()
    clock = Clock()
    endings = EndedElsewhere(here, clock)
    desk = PurchaseDesk(EmbeddedPurchases(here), HOUR, endings=endings)
    await endings.open()
    yield Scene(clock, here, endings, desk, EmbeddedPurchases(there))
    await endings.close()
    await there.close()
    await here.close()


@pytest_twisted.ensureDeferred
async def test_what_others_remove_opens_nothing_after_the_next_look(scene: Scene) -> None:
    ended, kept = await scene.sell(), await scene.sell()
    assert await scene.others.remove(ended.token)
    assert await scene.opens(ended)  # for a moment: nothing is asked
    scene.clock.advance(LOOK)
    assert not await scene.opens(ended)
    assert await scene.opens(kept)


@pytest_twisted.ensureDeferred
async def test_what_is_written_here_lets_nothing_be_forgotten(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    purchase, other = await scene.sell(), await scene.sell()
    assert await scene.desk.remove(other.token)
    scene.database.write_here(lambda c: c.execute("DELETE FROM sessions"))
    era = scene.endings.era
    scene.clock.pump([LOOK] * 3)
    assert scene.endings.era == era
    with monkeypatch.context() as cut:
        cut.setattr(scene.database, "read", None)  # it is not asked
        assert await scene.opens(purchase)


@pytest_twisted.ensureDeferred
async def test_nothing_is_believed_where_it_could_not_look(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away() -> int:
        raise Unavailable("The database failed")

    ended = await scene.sell()
    with monkeypatch.context() as broken, logged("critical") as said:
        broken.setattr(scene.database, "version", away)
        await scene.others.remove(ended.token)
        scene.clock.advance(LOOK)
        assert scene.endings.is_connected
        scene.clock.advance(SILENCE - LOOK)
        assert not scene.endings.is_connected
        assert not await scene.opens(ended)
    assert said == []
    scene.clock.advance(LOOK)
    assert scene.endings.is_connected


@pytest_twisted.ensureDeferred
async def test_a_look_that_takes_long_tells_of_when_it_began(tmp_path: Path) -> None:
    writer, clock = ByHand(), Clock()
    database = EmbeddedDatabase(tmp_path / FILE_NAME, writer=writer, readers=Inline())
    opening = Deferred.fromCoroutine(database.open())
    writer.do_next()
    await opening
    endings = EndedElsewhere(database, clock)
    opening = Deferred.fromCoroutine(endings.open())
    clock.advance(SILENCE)
    writer.do_next()
    await opening
    assert not endings.is_connected
    clock.advance(LOOK)
    writer.do_next()
    assert endings.is_connected
    await endings.close()
    assert not endings.is_connected
    closing = Deferred.fromCoroutine(database.close())
    writer.do_next()
    await closing
    with pytest.raises(Unavailable):
        await database.version()


def test_it_has_nothing_to_tell_of_each(tmp_path: Path) -> None:
    heard: list[str] = []
    database = EmbeddedDatabase(tmp_path / FILE_NAME, writer=Inline(), readers=Inline())
    endings = EndedElsewhere(database, Clock())
    endings.on_purchase(heard.append)
    endings.on_session(heard.append)
    assert (heard, endings.is_connected) == ([], False)

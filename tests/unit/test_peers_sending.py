"""Whom a store is asked to send a clone to."""

from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from oose.errors import Unavailable
from oose.metadata.records import InventoryRecord
from oose.peers.sending import ClusterSender, recorded
from tests.unit.at_once import at_once
from tests.unit.keeping import Keeping


class Peers:
    """Peers that answer pings or do not, and whoever is asked something."""

    def __init__(self, *, alive: bool) -> None:
        self.alive = alive
        self.asked: list[Any] = []

    async def ping(self, url: str) -> bool:
        return self.alive

    async def ask(self, *what: Any, **more: Any) -> Any:
        self.asked.append(what)
        return {}


class Told:
    """What was told of stores."""

    def __init__(self) -> None:
        self.failures: list[str] = []

    def failed(self, place: str, why: object = None) -> None:
        self.failures.append(place)


@pytest_twisted.ensureDeferred
async def test_a_store_that_does_not_answer_is_not_sent_to(tmp_path: Path) -> None:
    keeping = await Keeping.begin(tmp_path)
    source = await keeping.start("s1")
    await keeping.start("s2")
    record = await keeping.put(source, b"hello", ext="txt")
    for alive in (True, False):
        peers: Any = Peers(alive=alive)
        told: Any = Told()
        work = ClusterSender(keeping.registry, peers, told).send(record, "p1:s2")
        if alive:
            at_once(work)
            assert len(peers.asked) == 1
        else:
            with pytest.raises(Unavailable, match="p1:s2 does not answer"):
                at_once(work)
            assert (peers.asked, told.failures) == ([], ["p1:s2"])
    await keeping.database.close()


SENT = InventoryRecord("ab", "p1", "s1", "text/plain", "txt", "x", 5, 1)
TOLD = {**SENT.to_body(), "store": "s2", "createdAt": 7, "verifiedAt": 7}


def test_the_record_of_what_was_sent_is_as_the_store_tells() -> None:
    record = recorded(TOLD, SENT, "p1:s2")
    assert record is not None
    assert record.to_body() == TOLD


@pytest.mark.parametrize(
    "told",
    [
        None,
        "ab",
        {},
        {**TOLD, "hash": "cd"},
        {**TOLD, "store": "s3"},
        {**TOLD, "size": 6},
        {**TOLD, "createdAt": "now"},
        {**TOLD, "verifiedAt": None},
    ],
)
def test_a_store_that_tells_something_else_has_its_record_looked_up(told: Any) -> None:
    assert recorded(told, SENT, "p1:s2") is None

"""Stores that run beside a command, on the database of its configuration."""

import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from attrs import define
from twisted.internet.task import Clock

from oose.embedded import EmbeddedDatabase, EmbeddedDocuments, EmbeddedInventory
from oose.embedded.database import FILE_NAME
from oose.existence import Existence
from oose.peer import Peer
from oose.pool import Inline
from oose.registry import Registry
from tests.cli.asking import Said
from tests.cli.on_reactor import AskingBeside
from tests.machine.elsewhere import CREDENTIALS, Cluster
from tests.machine.tended import Tended
from tests.unit.keeping import NOW, Keeping

THREE = ("s1:m1:g1", "s2:m2:g1", "s3:m3:g2")


@define(eq=False)
class Shop(Tended):
    """The same, and a command that works on it."""

    asking: AskingBeside | None = None
    config: Path = Path()

    async def __call__(self, *arguments: str, stdin: str | None = None) -> Said:
        assert self.asking is not None
        return await self.asking(*arguments, "--config", str(self.config), stdin=stdin)

    async def listed(self, *arguments: str) -> Mapping[str, int]:
        """How many clones count of what `clones list` lists."""
        said = await self("clones", "list", "--json", *arguments)
        assert said.code == 0, said.err
        lines = [json.loads(line) for line in said.out.splitlines()]
        return {each["hash"]: each["clones"] for each in lines}


async def keeping_at(folder: Path, root: Path) -> Keeping:
    """As `Keeping.begin`, on the database below `root`, at the time it is."""
    clock = Clock()
    clock.advance(time.time() - NOW / 1000)
    database = EmbeddedDatabase(root / FILE_NAME, writer=Inline(), readers=Inline())
    await database.open()
    registry = Registry(EmbeddedDocuments(database, "peer"))
    inventory = EmbeddedInventory(database)
    return Keeping(
        folder, clock, database, inventory, registry, Existence(inventory, registry, clock, 30.0)
    )


@asynccontextmanager
async def shop(
    folder: Path, asking: AskingBeside, *stores: str, pem: Path | None = None, more: str = ""
) -> AsyncIterator[Shop]:
    """Stores as `name:machine:group` says, of the prism `p1`, and a configuration for a command."""
    root = folder / "data"
    root.mkdir()
    config = folder / "local.py"
    config.write_text(
        f"root = {str(root)!r}\n"
        f"prism = {{'enabled': True, 'name': 'p1', 'username': {CREDENTIALS.username!r},"
        f" 'password': {CREDENTIALS.password!r}}}\n{more}\n"
    )
    made = Cluster(await keeping_at(folder, root), pem)
    await made.keeping.registry.register(
        Peer("prism", "p1", "p1", "h", 1, "http://h:1", "g1", "m1", "3", 0)
    )
    for each in stores:
        await made.add(*each.split(":"))
    try:
        yield Shop(made, asking=asking, config=config)
    finally:
        made.keepers.close()
        for store in made.stores.values():
            await store.die()
            store.room.arrivals.stop()
        await made.keeping.database.close()

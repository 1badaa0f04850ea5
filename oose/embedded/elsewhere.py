"""What other processes end in the embedded database: commands such as `oose purchases remove`."""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from oose.embedded.database import EmbeddedDatabase
from oose.errors import Unavailable
from oose.log import part
from oose.loop import Loop

LOOK = 0.5  # seconds between two looks
SILENCE = 1.0  # seconds since the last look that came to an end, after which nothing is believed
_log = part("database")


class EndedElsewhere:
    """The `Endings` of a process that is alone with its database, but for commands.

    It does not hear what they do, only that something was done: all is asked for again then.
    """

    def __init__(self, database: EmbeddedDatabase, clock: IReactorTime) -> None:
        self._database = database
        self._clock = clock
        self._version: int | None = None
        self._looked: float | None = None
        self._loop = Loop("Looking what commands have changed", self._look, LOOK, clock)
        self.era = 0

    @property
    def is_connected(self) -> bool:
        """Whether what ended up to a moment ago is known."""
        return self._looked is not None and self._clock.seconds() - self._looked < SILENCE

    def on_purchase(self, ended: Callable[[str], None]) -> None:
        """Nothing: this process knows what it ends itself."""

    def on_session(self, ended: Callable[[str], None]) -> None:
        """Nothing: this process knows what it ends itself."""

    async def open(self) -> None:
        """Begin, with the database open."""
        await self._look()
        self._loop.start()

    async def close(self) -> None:
        """Look no more, before the database is closed."""
        await self._loop.stop()
        self._looked = None

    async def _look(self) -> None:
        begun = self._clock.seconds()
        try:
            version = await self._database.version()
        except Unavailable as error:
            _log.debug("What commands have changed is not known: {why}", why=error.message)
            return
        if version != self._version:
            self._version = version
            self.era += 1
        self._looked = begun

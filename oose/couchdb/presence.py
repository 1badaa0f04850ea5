"""Whether a database is there: what is away is not waited for by everybody, again and again."""

from twisted.internet.interfaces import IReactorTime

from oose.errors import Unavailable
from oose.log import part

PROBE_EVERY = 1.0  # seconds between the requests that find out whether it is back
RETRY_AFTER = 2
_log = part("couchdb")


class Presence:
    """What is known of the server at `server` (host and port, for the log only)."""

    def __init__(self, server: str, clock: IReactorTime) -> None:
        self._server = server
        self._clock = clock
        self._away_since: float | None = None
        self._probe_at = 0.0
        self._trouble: str | None = None

    def check(self) -> None:
        """`Unavailable` while it is away, at once; but one request a second goes through."""
        if self._away_since is None:
            return
        now = self._clock.seconds()
        if now < self._probe_at:
            raise Unavailable("The database (CouchDB) is away for now", retry_after=RETRY_AFTER)
        self._probe_at = now + PROBE_EVERY

    def lost(self, reason: str) -> None:
        """A request had no answer."""
        now = self._clock.seconds()
        if self._away_since is None:
            self._away_since = now
            _log.error(
                "CouchDB at {server} is away: {reason}. What needs it is refused until it is back",
                server=self._server,
                reason=reason,
            )
        self._probe_at = max(self._probe_at, now + PROBE_EVERY)

    def answered(self, trouble: str | None = None) -> None:
        """It is there; `trouble` is what it has against our requests, logged when it changes."""
        if self._away_since is not None:
            seconds = int(self._clock.seconds() - self._away_since)
            self._away_since = None
            _log.info(
                "CouchDB at {server} is back after {seconds} seconds",
                server=self._server,
                seconds=seconds,
            )
        if trouble is not None and trouble != self._trouble:
            _log.error("CouchDB at {server}: {trouble}", server=self._server, trouble=trouble)
        self._trouble = trouble

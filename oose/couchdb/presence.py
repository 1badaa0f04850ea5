"""Whether a database is there: what is away is not waited for by everybody, again and again."""

from twisted.internet.interfaces import IReactorTime

from oose.errors import Unavailable
from oose.log import part

PROBE_EVERY = 1.0  # seconds between the requests that find out whether it is back
WRONG = 60.0  # seconds between those with a password that was refused: five in a row lock it
SHUT = 300.0  # the same where the account has no rights; for so long CouchDB locks one
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
        self._refusal: str | None = None
        self._refused_for = 0.0
        self._ask_again_at = 0.0

    def refuse(self) -> None:
        """`Unavailable` while it is known to be away, or to refuse our account.

        Others find out whether that is over.
        """
        if self._away_since is not None:
            raise _away()
        if self._refusal is not None and self._clock.seconds() < self._ask_again_at:
            raise _shut(self._refusal)

    def check(self, *, is_anonymous: bool = False) -> None:
        """`Unavailable` while it is away, at once; but one request a second goes through.

        The same while it refuses our account, except for requests that do not name it; there one
        a minute goes through, or one in five.
        """
        now = self._clock.seconds()
        if self._away_since is not None and now < self._probe_at:
            raise _away()
        if self._refusal is not None and not is_anonymous:
            if now < self._ask_again_at:
                raise _shut(self._refusal)
            self._ask_again_at = now + self._refused_for
        if self._away_since is not None:
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

    def refused(self, words: str, status: int) -> None:
        """It has answered 401 or 403: it does not know our account, or has shut it out."""
        self._refusal = words
        self._refused_for = WRONG if status == 401 else SHUT
        self._ask_again_at = self._clock.seconds() + self._refused_for
        self.answered(words)

    def answered(self, trouble: str | None = None, *, is_anonymous: bool = False) -> None:
        """It is there; `trouble` is what it has against our requests, logged when it changes.

        An anonymous request says nothing of our account.
        """
        if self._away_since is not None:
            seconds = int(self._clock.seconds() - self._away_since)
            self._away_since = None
            _log.info(
                "CouchDB at {server} is back after {seconds} seconds",
                server=self._server,
                seconds=seconds,
            )
        if is_anonymous:
            return
        if trouble is None:
            self._refusal = None
        elif trouble != self._trouble:
            _log.error("CouchDB at {server}: {trouble}", server=self._server, trouble=trouble)
        self._trouble = trouble


def _away() -> Unavailable:
    return Unavailable("The database (CouchDB) is away for now", retry_after=RETRY_AFTER)


def _shut(words: str) -> Unavailable:
    return Unavailable(words, retry_after=RETRY_AFTER)

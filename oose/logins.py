"""Users' sessions: made at login, good on any address, ended by logout or by not being used."""

from attrs import evolve, frozen

from oose.accounts import Accounts
from oose.attempts import LoginAttempts, network
from oose.errors import NotAuthenticated, OoseError, Unavailable
from oose.log import part
from oose.purchases import Endings, OneProcess, Session, Sessions, new_token, token_digest
from oose.recall import Recall
from oose.turns import Turns

BELIEVED = 2_000  # ms: how long a session is taken for good before the database is asked again
AT_ONCE = 2  # passwords that are looked at for one address: what is right need not be refused
_log = part("user")


@frozen
class Login:
    """A fresh session and its token, which is told to the client and stored nowhere."""

    token: str
    session: Session


class Logins:
    """Lets users in; `life` (ms) is how long an unused session lasts.

    `endings` are those of everybody who shares `sessions`; while these are away, sessions made
    or seen before go on for `cache_life` (ms).
    """

    def __init__(
        self,
        accounts: Accounts,
        sessions: Sessions,
        attempts: LoginAttempts,
        life: int,
        *,
        endings: Endings | None = None,
        cache_life: int = BELIEVED,
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._attempts = attempts
        self._turns = Turns(AT_ONCE)
        self._life = life
        endings = endings or OneProcess()
        self._seen: Recall[Session] = Recall(endings, cache_life, BELIEVED)
        endings.on_session(self._seen.forget)

    async def login(self, username: str, password: str, address: str, now: int) -> Login:
        """Make a session; `NotAuthenticated` or `TooManyAttempts`."""
        async with self._turns.of(network(address)):
            await self._verify(username, password, address, now)
        token = new_token()
        digest = token_digest(token)
        session = Session(digest, username, address, now, now + self._life)
        await self._seen.make(digest, session, now, lambda: self._sessions.add(session))
        _log.debug("{who} has logged in from {address}", who=username, address=address)
        return Login(token, session)

    async def authenticate(self, token: str, now: int) -> Session:
        """The session of a token, used now; `NotAuthenticated`."""
        digest = token_digest(token)
        session = await self._seen.get(digest, now, lambda: self._look_up(digest, now))
        if session is None or session.expires <= now:
            raise NotAuthenticated("The session is unknown or has ended; log in again")
        return session

    async def logout(self, token: str) -> None:
        """End a session."""
        digest = token_digest(token)
        try:
            await self._sessions.remove(digest)
        finally:
            self._seen.forget(digest)
        _log.debug("A session has ended")

    def refuse_guess(self, username: str, address: str, now: int) -> OoseError:
        """The error for wrong credentials of a peer, counted like a failed login."""
        self._attempts.begin(username, address, now)
        return NotAuthenticated("Wrong credentials")

    async def _verify(self, username: str, password: str, address: str, now: int) -> None:
        attempt = self._attempts.begin(username, address, now)
        try:
            good = await self._accounts.verify(username, password)
        except OoseError:  # nobody has looked at it
            attempt.take_back()
            raise
        if not good:
            _log.info("Login from {address} refused", address=address)
            raise NotAuthenticated("Invalid username or password")
        attempt.take_back()
        self._attempts.succeeded(username, address, now)

    async def _look_up(self, digest: str, now: int) -> Session | None:
        session = await self._sessions.find(digest, now)
        return None if session is None else await self._used(session, now)

    async def _used(self, session: Session, now: int) -> Session:
        """Let it end later, but do not write each time it is used."""
        expires = now + self._life
        if expires - session.expires <= min(self._life // 100, 60_000):
            return session
        try:
            await self._sessions.extend(session.digest, expires)
        except Unavailable:  # it was there just now, and good as it is
            return session
        return evolve(session, expires=expires)

"""Users that CouchDB keeps, in its own `_users`; see `oose.accounts`.

CouchDB knows no user who is shut out. One is by taking the key that their password leads to out
of the place where CouchDB looks for it; any that nobody has a password for stands there instead.
"""

import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from oose.accounts import Account
from oose.address import shown
from oose.couchdb.client import Answer, CouchClient, escaped, query
from oose.couchdb.rows import text, understood
from oose.errors import BadInput, Conflict, NotAllowed, NotFound, TooManyAttempts, Unavailable
from oose.usernames import check_password, check_username, is_username

FLOOR = 0.6  # seconds that a refusal takes at least: longer than any password takes to check
LOCKED_FOR = 300  # seconds, as CouchDB has it
PREFIX = "org.couchdb.user:"
KEYS = ("derived_key", "password_sha")  # what passwords lead to, by scheme
SHUT_OUT = "ooseShutOut"  # the field that holds a shut out user's keys
TRIES = 3  # when others change the same user
Change = Callable[[Mapping[str, Any]], Mapping[str, Any]]

_log_in_elsewhere = (
    "The account of oose at CouchDB may not change users: use an administrator's"
    " (OOSE_COUCHDB_ADMIN and OOSE_COUCHDB_ADMIN_PASSWORD)"
)


async def _none_to_end(username: str) -> None:
    """Where sessions end by themselves."""


class CouchAccounts:
    """Meets `ManagedAccounts`; changes need a `client` with an administrator's account.

    `service` is oose's own account: nobody logs in as that, and it is not among the users.
    `end_sessions` is called with the name of a user whose sessions have to end.
    """

    def __init__(
        self,
        client: CouchClient,
        clock: IReactorTime,
        *,
        service: str,
        floor: float = FLOOR,
        end_sessions: Callable[[str], Awaitable[None]] = _none_to_end,
    ) -> None:
        self._client = client
        self._clock = clock
        self._service = service
        self._floor = floor
        self._end_sessions = end_sessions

    async def verify(self, username: str, password: str) -> bool:
        """See `Accounts.verify`; `TooManyAttempts` when CouchDB has locked the user out."""
        begun = self._clock.seconds()
        answer = None
        if self._may_be(username):
            answer = await self._client.ask(
                "POST",
                "/_session",
                {"name": username, "password": as_text(password)},
                expected={400, 401, 403},
                repeat=True,
                is_anonymous=True,
            )
            if answer.status < 400:
                with understood():
                    if answer.value["ok"] is not True:
                        raise ValueError("neither a success nor a refusal")
                return True
        rest = begun + self._floor - self._clock.seconds()
        await deferLater(self._clock, max(0.0, rest))  # the unknown take as long as the known
        if answer is not None and answer.status == 403:
            raise TooManyAttempts(
                "Too many failed logins; try again in a few minutes", retry_after=LOCKED_FOR
            )
        return False

    async def add(self, username: str, password: str, now: int) -> None:
        """See `ManagedAccounts.add`."""
        check_username(username)
        check_password(password)
        if username.startswith("_"):
            raise BadInput("CouchDB takes no user's name that begins with _")
        await self._check_rights()
        user = {
            "type": "user",
            "name": username,
            "roles": [],
            "password": as_text(password),
            "createdAt": now,
        }
        is_taken = username == self._service
        if is_taken or (await self._ask("PUT", path_of(username), user, {409})).status == 409:
            raise Conflict(f"There is a user {username!r} already")

    async def list(self) -> Sequence[Account]:
        """See `ManagedAccounts.list`."""
        await self._check_rights()
        values = query(startkey=PREFIX, endkey=PREFIX + "\U0010ffff", include_docs=True)
        answer = await self._ask("GET", f"/_users/_all_docs{values}")
        with understood():
            users = [_as_account(row["doc"]) for row in answer.value["rows"]]
        return [each for each in users if each.username != self._service]

    async def set_password(self, username: str, password: str) -> None:
        """See `ManagedAccounts.set_password`; `Conflict` for a user who is shut out."""
        check_password(password)

        def with_password(user: Mapping[str, Any]) -> Mapping[str, Any]:
            if SHUT_OUT in user:
                raise Conflict(f"The user {username!r} is shut out: let them in again first")
            return {**user, "password": as_text(password)}

        await self._change(username, with_password)
        await self._end_sessions(username)

    async def set_enabled(self, username: str, *, enabled: bool) -> None:
        """See `ManagedAccounts.set_enabled`."""
        await self._change(username, let_in if enabled else shut_out)
        await self._end_sessions(username)

    async def remove(self, username: str) -> None:
        """See `ManagedAccounts.remove`; first shut out, so it can be done again."""
        await self.set_enabled(username, enabled=False)
        await self._change(username, lambda user: {**user, "_deleted": True})

    # Behind the changes.

    def _may_be(self, username: str) -> bool:
        """Whether there may be such a user; a failed login as `service` would lock us out."""
        return is_username(username) and username != self._service

    async def _change(self, username: str, change: Change) -> None:
        await self._check_rights()
        for _ in range(TRIES):
            user = await self._read(username)
            changed = change(user)
            if changed is user:
                return
            answer = await self._ask("PUT", path_of(username), changed, {404, 409})
            if answer.status < 400:
                return
        raise Unavailable(f"Others change the user {username!r} at the same time", retry_after=1)

    async def _read(self, username: str) -> Mapping[str, Any]:
        if self._may_be(username):
            answer = await self._ask("GET", path_of(username), None, {404})
            if answer.status < 400:
                user: Mapping[str, Any] = answer.value
                return user
        raise NotFound(f"There is no user {shown(username)}")

    async def _check_rights(self) -> None:
        """`NotAllowed` without an administrator's: CouchDB would say that there is no such user."""
        answer = await self._client.ask("GET", "/_session", expected={401, 403}, repeat=True)
        if answer.status >= 400:
            raise NotAllowed("CouchDB does not know this account, or its password is wrong")
        if not is_admin(answer):
            raise NotAllowed(_log_in_elsewhere)

    async def _ask(
        self, method: str, path: str, body: object = None, expected: Collection[int] = ()
    ) -> Answer:
        answer = await self._client.ask(method, path, body, expected={401, 403, *expected})
        if answer.status in {401, 403}:
            raise NotAllowed(_log_in_elsewhere)
        return answer


def is_admin(session: Answer) -> bool:
    """Whether what `/_session` answers is an administrator's."""
    with understood():
        return "_admin" in session.value["userCtx"]["roles"]


def path_of(username: str) -> str:
    """Where a user is."""
    return f"/_users/{escaped(PREFIX + username)}"


def as_text(password: str) -> str:
    """A password as JSON can carry it: half letters are none."""
    return password.encode("utf-8", "backslashreplace").decode()


def shut_out(user: Mapping[str, Any]) -> Mapping[str, Any]:
    """The user with keys that no password leads to."""
    if SHUT_OUT in user:
        return user
    keys = {name: user[name] for name in KEYS if isinstance(user.get(name), str)}
    nobodys = {name: secrets.token_hex(len(key) // 2) for name, key in keys.items()}
    return {**user, **nobodys, SHUT_OUT: keys}


def let_in(user: Mapping[str, Any]) -> Mapping[str, Any]:
    """The user with their own keys."""
    if SHUT_OUT not in user:
        return user
    kept = {name: value for name, value in user.items() if name != SHUT_OUT}
    return {**kept, **user[SHUT_OUT]}


def _as_account(user: Mapping[str, Any]) -> Account:
    return Account(text(user["name"]), SHUT_OUT not in user, int(user.get("createdAt", 0)))

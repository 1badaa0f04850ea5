"""Speaking HTTP with CouchDB: the one place that does.

Whatever goes wrong is an `Unavailable` with words for a person. A request whose answer does not
come whole is sent once more if it may be; an `AnswerLost` says that it may have been carried out.
"""

import json
from collections.abc import Collection, Coroutine
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from attrs import frozen
from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.client import RequestTransmissionFailed, ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IPolicyForHTTPS

from oose import __version__
from oose.couchdb.connections import pooled_agent, read_body
from oose.couchdb.presence import RETRY_AFTER, Presence
from oose.errors import Unavailable
from oose.line_failure import FAILURES, in_words
from oose.settings.model import CouchSettings

T = TypeVar("T")
CLOSING = 5.0  # seconds in which connections that are kept have to be gone
NO_DATABASE = "CouchDB does not have the databases of oose: `oose couchdb setup` makes them"
NOT_UNDERSTOOD = "The database (CouchDB) answered something that cannot be understood"
SILENT = "The database (CouchDB) does not answer"


@frozen
class Answer:
    """What CouchDB answered: a status and its JSON."""

    status: int
    value: Any

    @property
    def reason(self) -> str:
        """Why not, in CouchDB's words, where it refused."""
        return str(self.value.get("reason", ""))


class AnswerLost(Unavailable):
    """The request may have been carried out, but what came back does not tell."""


class CouchClient:
    """Asks the CouchDB that `settings` name, with their account, on connections that it keeps.

    `policy` judges certificates; `clock` is the reactor where not given.
    """

    def __init__(
        self,
        reactor: Any,
        policy: IPolicyForHTTPS,
        settings: CouchSettings,
        *,
        clock: IReactorTime | None = None,
    ) -> None:
        self.settings = settings
        self.clock = IReactorTime(reactor) if clock is None else clock
        self.requests = 0  # sent so far, those that listen among them
        self.listens = 0
        self.knows_queries: bool | None = None  # of `_all_docs`; None before one was asked
        self.reactor = reactor
        self._server = urlsplit(settings.url).netloc.rpartition("@")[2]
        self._presence = Presence(self._server, self.clock)
        self._agent, self._pool = pooled_agent(reactor, policy)

    def refuse_if_away(self) -> None:
        """`Unavailable` where it is known to be away, or to refuse us; nothing is asked."""
        self._presence.refuse()

    async def close(self) -> None:
        """Let go of the connections that are kept."""
        closing: Deferred[None] = self._pool.closeCachedConnections()
        await closing.addTimeout(CLOSING, self.reactor, lambda value, _: None)

    def until(self) -> float:
        """When a request that begins now has to be over, by the clock."""
        now: float = self.clock.seconds()
        return now + self.settings.timeout

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        expected: Collection[int] = (),
        repeat: bool = False,
        until: float | None = None,
        is_anonymous: bool = False,
    ) -> Answer:
        """One request; its answer is a success, or a refusal with a status of those `expected`.

        `repeat`: nothing is done twice by sending it twice. Everything is over at `until`, else
        after the settings' timeout.
        """
        self._presence.check(is_anonymous=is_anonymous)
        until = self.until() if until is None else until
        request = self._request(method, path, body, is_anonymous=is_anonymous, repeat=repeat)
        try:
            status, text = await self._in_time(request, until)
        except _Late:
            reason = f"no answer within {self.settings.timeout:g} seconds"
            self._presence.lost(reason)
            raise self._silent(Unavailable, reason) from None
        except _Unheard as error:
            raise self._gone(error, may_be_done=not repeat) from error
        return self._understood(status, text, expected, is_anonymous=is_anonymous)

    async def listen(self, path: str, patience: float) -> Answer | None:
        """The same as `wait`, of what may never happen."""
        self.listens += 1
        return await self.wait(path, patience)

    async def wait(
        self, path: str, patience: float, expected: Collection[int] = ()
    ) -> Answer | None:
        """An answer that may take `patience` seconds; None when none came until then."""
        self._presence.check()
        request = self._request("GET", path, None, is_anonymous=False, repeat=False)
        try:
            status, text = await self._in_time(request, self.clock.seconds() + patience)
        except _Late:
            return None
        except _Unheard as error:
            raise self._gone(error, may_be_done=True) from error
        return self._understood(status, text, expected)

    # Behind the requests.

    async def _in_time(self, request: Coroutine[Deferred[Any], Any, T], until: float) -> T:
        """What `request` comes to; what it says of being given up is of no interest."""
        work = Deferred.fromCoroutine(request)
        is_given_up = False

        def give_up() -> None:
            nonlocal is_given_up
            is_given_up = True
            work.cancel()

        outcome: Deferred[T] = Deferred(lambda _: give_up())

        def end(result: T | Failure) -> None:
            if not is_given_up:
                outcome.callback(result)

        def be_late() -> None:
            give_up()
            outcome.errback(_Late())

        timer = self.clock.callLater(max(0.0, until - self.clock.seconds()), be_late)
        _ = work.addBoth(end)
        try:
            return await outcome
        finally:
            if timer.active():
                timer.cancel()

    async def _request(
        self, method: str, path: str, body: object, *, is_anonymous: bool, repeat: bool
    ) -> tuple[int, bytes]:
        """Status and body; a connection that was kept may have been closed just now."""
        data = None if body is None else json.dumps(body).encode()
        try:
            return await self._send(method, path, data, is_anonymous=is_anonymous)
        except _Unheard as error:
            if not (repeat and error.was_sent):
                raise
        return await self._send(method, path, data, is_anonymous=is_anonymous)

    async def _send(
        self, method: str, path: str, data: bytes | None, *, is_anonymous: bool
    ) -> tuple[int, bytes]:
        begun = False
        headers = Headers({"User-Agent": [f"OOSE/{__version__}"], "Accept": ["application/json"]})
        if data is not None:
            headers.setRawHeaders("Content-Type", ["application/json"])
        auth = None if is_anonymous else (self.settings.username, self.settings.password)
        self.requests += 1
        try:
            response = await HTTPClient(self._agent).request(  # a new one keeps no cookies
                method,
                self.settings.url.rstrip("/") + path,
                data=data,
                auth=auth,
                headers=headers,
                allow_redirects=False,
                unbuffered=True,
            )
            begun = True
            return response.code, await read_body(response)
        except FAILURES as error:
            was_sent = isinstance(error, ResponseFailed | RequestTransmissionFailed)
            raise _Unheard(in_words(error, "it", begun=begun), was_sent) from error

    def _gone(self, error: "_Unheard", *, may_be_done: bool) -> Unavailable:
        if error.was_sent and may_be_done:
            return self._silent(AnswerLost, error.reason)
        self._presence.lost(error.reason)
        return self._silent(Unavailable, error.reason)

    def _silent(self, kind: type[Unavailable], reason: str) -> Unavailable:
        """The error for it. Where it was asked, and why, is a note: it is not for everybody."""
        error = kind(SILENT, retry_after=RETRY_AFTER)
        error.add_note(f"{self._server}: {reason}")
        return error

    def _understood(
        self,
        status: int,
        text: bytes,
        expected: Collection[int],
        *,
        is_anonymous: bool = False,
    ) -> Answer:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        is_object = isinstance(value, dict)
        is_success = 200 <= status < 300 and (is_object or isinstance(value, list))
        if is_success or (status in expected and is_object and "error" in value):
            says_nothing = is_anonymous or status in {401, 403}  # of our account's rights
            self._presence.answered(is_anonymous=says_nothing)
            return Answer(status, value)
        raise self._refusal(status, value)

    def _refusal(self, status: int, value: Any) -> Unavailable:
        """The error for an answer that is of no use."""
        kind: type[Unavailable] = Unavailable
        if status in {401, 403}:
            words = "CouchDB refuses the account of oose: see the configuration's `couchdb`"
            self._presence.refused(words, status)
            return kind(words, retry_after=RETRY_AFTER)
        if status == 404 and isinstance(value, dict) and "error" in value:
            words = NO_DATABASE
        else:
            kind = AnswerLost if not 400 <= status < 500 else Unavailable
            words = NOT_UNDERSTOOD
            if not 200 <= status < 300:
                words = f"The database (CouchDB) failed: it answered {status}"
        self._presence.answered(words)
        return kind(words, retry_after=RETRY_AFTER)


class _Late(Exception):
    """It took too long."""


class _Unheard(Exception):
    """There was no answer, or not all of it; `was_sent` when the request may have arrived."""

    def __init__(self, reason: str, was_sent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.was_sent = was_sent


def escaped(text: str) -> str:
    """A document's id, or a value, as a part of a URL."""
    return quote(text, safe="")


def query(**values: object) -> str:
    """Values as CouchDB takes them in a URL: each is JSON."""
    return "?" + "&".join(f"{name}={escaped(json.dumps(each))}" for name, each in values.items())

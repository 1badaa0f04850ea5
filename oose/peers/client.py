"""Asking peers something, each time over a connection of its own."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as TooLate
from twisted.internet.error import ConnectionRefusedError  # noqa: A004 # Twisted's, not Python's
from twisted.internet.interfaces import IReactorPluggableNameResolver, IReactorTCP, IReactorTime
from twisted.web.iweb import IBodyProducer, IPolicyForHTTPS

from oose.credentials import Credentials
from oose.errors import OoseError
from oose.line import Line, resolve_by
from oose.peers.answers import Unreachable, exchange
from oose.peers.attendance import PATIENCE, Attending
from oose.peers.body import FileBody
from oose.peers.dialling import Address, Dialling
from oose.peers.links import Link, Links
from oose.peers.stream import WholeBody
from oose.volume import OpenFile

PING = 2.0  # seconds in which whoever is there answers
STALL = 40.0  # seconds for which a store may take nothing: less than others wait for more meanwhile


class PeerClient:
    """Asks peers, with the credentials that peers of this cluster share.

    `policy` judges their certificates. An exchange in which nothing moves for `patience` seconds
    is given up, within twice that time.
    """

    def __init__(
        self,
        reactor: IReactorTCP,
        policy: IPolicyForHTTPS,
        credentials: Credentials,
        *,
        clock: IReactorTime | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._clock = clock if clock is not None else IReactorTime(reactor)
        self._patience = patience
        resolve = resolve_by(IReactorPluggableNameResolver(reactor).nameResolver)
        self._dialling = Dialling(reactor, self._clock, policy, resolve, credentials)

    async def put_content(
        self, url: str, content_hash: str, ext: str, file: OpenFile, created: int
    ) -> Mapping[str, Any]:
        """Send a file to the peer at `url`, which hashes it; its answer. The file is closed.

        `created` (ms) is when it came. Raises what the peer answers as an error of ours, with its
        message: `ChecksumMismatch` (the bytes are not those of the hash), `Conflict` (it was
        removed since it came), `DiskFull` and so on; and `Unavailable` where it cannot be reached,
        stalls, refuses our credentials or answers what cannot be understood.
        """
        body = FileBody(file)
        line = Line()
        address = Address(url)
        # A connection for each request: one kept from an earlier one may have been closed by the
        # peer just now, and a body that has been read from a disk is not there to be sent again.
        path = f"/content/put/{content_hash}.{ext}?created={created}"
        request = self._exchange(address, "PUT", path, body, line)
        going = Deferred.fromCoroutine(request)
        watch = _Watch(going.cancel, body, self._clock, self._patience)
        try:
            return await going
        except CancelledError:
            if watch.expired:
                why = f"{address.peer} did not go on for {self._patience:g} seconds"
                raise Unreachable(why) from None
            raise
        finally:
            watch.stop()
            line.abort()
            body.stopProducing()

    async def ask(
        self, url: str, path: str, fields: Mapping[str, Any], *, patience: float | None = None
    ) -> Mapping[str, Any]:
        """POST `fields` to a route of the peer at `url`; its answer, or errors as above.

        A peer that does not answer is waited for as long as it answers pings, and no longer than
        `patience` seconds.
        """
        address, line = Address(url), Line()
        attending = self.attending(url, self._patience if patience is None else patience)
        body = WholeBody([json.dumps(fields).encode()])
        going = Deferred.fromCoroutine(self._exchange(address, "POST", path, body, line))
        reasons: list[str] = []

        def give_up(why: str) -> None:
            reasons.append(why)
            going.cancel()

        try:
            with attending.to(give_up, lambda: 0):
                return await going
        except CancelledError:
            if reasons:
                raise Unreachable(reasons[0]) from None
            raise
        finally:
            line.abort()

    async def ping(self, url: str) -> bool:
        """Whether the peer at `url` answers."""
        try:
            await self._ping(url)
        except (OoseError, TooLate):
            return False
        return True

    async def greet(self, url: str) -> None:
        """Have the peer at `url` answer; an error that says why it does not."""
        try:
            await self._ping(url)
        except TooLate:
            raise Unreachable(f"{Address(url).peer} said nothing for {PING:g} seconds") from None

    async def _is_there(self, url: str) -> bool:
        """Whether a peer we are connected to answers, or only takes no others, as one that stops.

        Whose process is dead has ended our connection too.
        """
        try:
            await self._ping(url)
        except Unreachable as error:
            return isinstance(error.__cause__, ConnectionRefusedError)
        except (OoseError, TooLate):
            return False
        return True

    async def _ping(self, url: str) -> None:
        line = Line()
        going = Deferred.fromCoroutine(self._exchange(Address(url), "GET", "/ping", None, line))
        try:
            await going.addTimeout(PING, self._clock)
        finally:
            line.abort()

    def attending(self, url: str, patience: float) -> Attending:
        """How exchanges with the peer at `url` are looked after."""
        return Attending(Address(url).peer, lambda: self._is_there(url), self._clock, patience)

    def links(self, url: str) -> Links:
        """Connections to the peer at `url`, to hold and to use one at a time."""
        address = Address(url)
        attending = self.attending(url, STALL)
        return Links(lambda: Link(address, self._dialling, attending), self._clock)

    async def _exchange(
        self, address: Address, method: str, path: str, body: IBodyProducer | None, line: Line
    ) -> Mapping[str, Any]:
        headers = self._dialling.headers()
        if method == "POST":
            headers.setRawHeaders(b"Content-Type", [b"application/json"])
        agent = self._dialling.agent(line)
        return await exchange(
            agent, method.encode("ascii"), address.at(path), headers, body, address.peer
        )


class _Watch:
    """Calls `give_up` when a body has not moved between two looks at it."""

    def __init__(
        self, give_up: Callable[[], None], body: FileBody, clock: IReactorTime, every: float
    ) -> None:
        self.expired = False
        self._give_up = give_up
        self._body = body
        self._clock = clock
        self._every = every
        self._next = clock.callLater(every, self._look, 0)

    def stop(self) -> None:
        """No longer."""
        if self._next.active():
            self._next.cancel()

    def _look(self, sent: int) -> None:
        if self._body.sent == sent:
            self.expired = True
            self._give_up()
        else:
            self._next = self._clock.callLater(self._every, self._look, self._body.sent)

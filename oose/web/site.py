"""The listening side of a room: connections, and their orderly end."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.web.http import Request
from twisted.web.server import Site

from oose.web.channel import IntakeChannel
from oose.web.intake import IntakeRequest, Room


class RoomSite(Site):
    """Serves one `Room`; `drain` lets what is under way finish."""

    protocol: Any = IntakeChannel
    noisy = False

    def __init__(self, room: Room, *, idle_timeout: float, clock: IReactorTime) -> None:
        super().__init__(
            room.app.resource(),
            requestFactory=IntakeRequest,
            timeout=idle_timeout,
            reactor=clock,
            parsePOSTFormSubmission=False,
        )
        self.room = room
        self._clock = clock
        self._channels: set[IntakeChannel] = set()
        self._empty: Deferred[None] | None = None

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """See `IProtocolFactory`."""
        channel: IntakeChannel = super().buildProtocol(addr)
        self._channels.add(channel)
        channel.closed = self._closed
        return channel

    def log(self, request: Request) -> None:
        """No access log: `DEBUG=oose:http` shows requests, without the tokens in their URLs."""

    async def drain(self, seconds: float) -> int:
        """Let connections end their request for up to `seconds`, idle ones one on its way.

        Then cut what is left; returns how many were cut.
        """
        for channel in self._channels:
            channel.close_after_this()
        if self._channels:
            self._empty = Deferred()
            empty = self._empty.addTimeout(seconds, self._clock, _swallow_timeout)
            await empty
        left = list(self._channels)
        for channel in left:
            channel.transport.abortConnection()
        return len(left)

    def _closed(self, channel: IntakeChannel) -> None:
        self._channels.discard(channel)
        if not self._channels and self._empty is not None and not self._empty.called:
            self._empty.callback(None)


def _swallow_timeout(result: Any, seconds: float) -> None:
    """What to make of a time-out: the caller looks at what is left."""

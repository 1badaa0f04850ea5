"""Bodies that are copies on their way from a prism, each on a connection of its own.

See `oose.arrivals` for what becomes of them, `oose.peers.reception` for the other end.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from attrs import define, field

from oose.address import hash_type_of, parse_content_name, parse_hash_type
from oose.arrivals import Arrival, Arrivals
from oose.errors import BadInput, Conflict, NotFound
from oose.uploads import Uploads
from oose.web.channel import IntakeChannel
from oose.web.intake import IntakeRequest
from oose.web.put import created_of, too_large


class TakesArrivals(Protocol):
    """A room with such routes: `max_upload` in bytes, None without a limit."""

    uploads: Uploads
    arrivals: Arrivals
    max_upload: int | None


@define
class ArrivalBody:
    """Takes the bytes of one copy; what the connection holds ends with any failure."""

    arrival: Arrival
    channel: IntakeChannel
    limit: int | None
    created: int | None = None
    _succeeded: bool = field(default=False, init=False)

    def feed(self, data: bytes) -> None:
        """See `Body.feed`."""
        sink = self.arrival.sink
        sink.feed(data)
        if self.limit is not None and sink.size > self.limit:
            raise too_large(self.limit)

    async def finish(self) -> None:
        """See `Body.finish`: whether it is whole shows when its hash is compared."""

    async def abandon(self) -> None:
        """See `Body.abandon`."""
        if not self._succeeded:
            self.channel.release()
            await self.arrival.end(recorded=False)

    async def seal(self) -> None:
        """The file has ended: durable now, to be committed some time."""
        await self.arrival.seal()
        self._succeeded = True

    async def commit(self, content_hash: str, ext: str) -> str:
        """See `Arrival.commit`."""
        path = await self.arrival.commit(content_hash, ext, self.created)
        self._succeeded = True
        return path


async def receive_body(
    room: TakesArrivals, request: Any, length: int | None, parameters: Mapping[str, str]
) -> ArrivalBody:
    """Open the body of a copy whose hash is not known yet (an `OpenBody`)."""
    hash_type = parse_hash_type(parameters["hash_type"])
    return _begin(room, request, length, parameters["key"], hash_type)


async def commit_body(
    room: TakesArrivals, request: Any, length: int | None, parameters: Mapping[str, str]
) -> ArrivalBody:
    """Open the body of a commit: empty after a reception, else the copy itself (an `OpenBody`)."""
    content_hash, _ = parse_content_name(parameters["name"])
    created = created_of(request.query)
    if request.channel.held is None:
        hash_type = hash_type_of(content_hash)
        return _begin(room, request, length, parameters["key"], hash_type, created)
    arrival = arrival_of(request, parameters["key"])
    if length != 0:
        raise BadInput("What was received is whole already")
    return ArrivalBody(arrival, request.channel, room.max_upload, created)


def arrival_of(request: IntakeRequest, key: str) -> Arrival:
    """The copy called `key` that the request's connection holds; `NotFound`."""
    held = request.channel.held
    if isinstance(held, Arrival) and held.id == key:
        return held
    raise NotFound("Nothing is received under this name on this connection")


def _begin(
    room: TakesArrivals,
    request: Any,
    length: int | None,
    key: str,
    hash_type: str,
    created: int | None = None,
) -> ArrivalBody:
    channel = request.channel
    if channel.held is not None:
        raise Conflict("A copy is being received on this connection")
    if length is not None and room.max_upload is not None and length > room.max_upload:
        raise too_large(room.max_upload)
    sink = room.uploads.sink((hash_type,), length)
    sink.on_pressure(channel.pause_intake, channel.resume_intake)
    arrival = room.arrivals.begin(key, sink)
    channel.hold(arrival)
    return ArrivalBody(arrival, channel, room.max_upload, created)

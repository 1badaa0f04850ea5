"""Bodies that are one file, sent under its hash: `PUT /content/put/<hash>.<ext>`."""

from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import parse_qs

from attrs import frozen

from oose.address import hash_type_of, parse_content_name, shown
from oose.errors import BadInput, TooLarge
from oose.media_types import media_type_of
from oose.uploads import Kept, Upload, Uploads

LONGEST = 15  # digits of a time


class TakesPuts(Protocol):
    """A room with such a route: `max_upload` in bytes, None without a limit."""

    uploads: Uploads
    max_upload: int | None


@frozen
class PutBody:
    """Takes the bytes of one file, at most `limit` of them.

    With `created` (ms) it is a copy of a clone that came then.
    """

    upload: Upload
    content_hash: str
    ext: str
    limit: int | None
    created: int | None = None

    def feed(self, data: bytes) -> None:
        """See `Body.feed`."""
        self.upload.sink.feed(data)
        if self.limit is not None and self.upload.sink.size > self.limit:
            raise too_large(self.limit)

    async def finish(self) -> None:
        """See `Body.finish`: whether it is whole shows when its hash is compared."""

    async def abandon(self) -> None:
        """See `Body.abandon`."""
        await self.upload.abandon()

    async def settle(self) -> Kept:
        """Keep the file; `ChecksumMismatch` when it is not what it is called."""
        return await self.upload.settle(
            self.ext,
            media_type_of(self.ext),
            expected=self.content_hash,
            created=self.created,
        )


def too_large(limit: int) -> TooLarge:
    """The error for an upload over `limit` bytes."""
    return TooLarge(f"The upload is over the limit of {limit} bytes")


async def put_body(
    room: TakesPuts, request: Any, length: int | None, parameters: Mapping[str, str]
) -> PutBody:
    """Open the body of a PUT (an `OpenBody`): refused before it is read where that can be."""
    content_hash, ext = parse_content_name(parameters["name"])
    created = created_of(request.query)
    if length is not None and room.max_upload is not None and length > room.max_upload:
        raise too_large(room.max_upload)
    upload = room.uploads.open(hash_type_of(content_hash), length)
    upload.sink.on_pressure(request.channel.pause_intake, request.channel.resume_intake)
    return PutBody(upload, content_hash, ext, room.max_upload, created)


def created_of(query: bytes) -> int | None:
    """When what is sent came first, in ms since 1970; None where that is not said."""
    given = parse_qs(query.decode("ascii", "replace"), keep_blank_values=True).get("created")
    if given is None:
        return None
    text = given[-1]
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST):
        raise BadInput(f"The time {shown(text)} is not a number of ms since 1970")
    return int(text)

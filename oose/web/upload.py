"""The body of `POST /content/upload`: a form whose files go to stores as they arrive."""

from collections.abc import Mapping
from typing import Any, Protocol

from twisted.internet.defer import DeferredSemaphore

from oose.address import extension_of, parse_hash_type
from oose.media_types import parse_media_type
from oose.together import together
from oose.uploads import Upload, Uploads
from oose.web.form import FilePart, FileSink, Form, Source, boundary_of
from oose.web.put import too_large

AT_ONCE = 8  # files of a form that are made durable side by side


class TakesForms(Protocol):
    """A room with such a route: `max_upload` in bytes, None without a limit."""

    uploads: Uploads
    max_upload: int | None
    default_hash_type: str


async def form_body(
    room: TakesForms, request: Any, length: int | None, parameters: Mapping[str, str]
) -> Form:
    """Open the form (an `OpenBody`); `DiskFull` before it is read where no store has room."""
    boundary = boundary_of(request.header(b"content-type"))
    if length is not None and room.max_upload is not None and length > room.max_upload:
        raise too_large(room.max_upload)
    room.uploads.check_room(length)
    source = Source(request.channel.pause_intake, request.channel.resume_intake)

    def open_file(part: FilePart) -> tuple[FileSink, Upload]:
        hash_type = parse_hash_type(part.fields.get("hashType", room.default_hash_type))
        upload = room.uploads.open(hash_type, length)
        upload.sink.on_pressure(source.pause, source.resume)
        return upload.sink, upload

    return Form(boundary, open_file, source, room.max_upload)


async def settle_all(form: Form) -> Mapping[str, Mapping[str, Any]]:
    """Keep every file of a form that has arrived whole; what the client is told, by field."""
    if len(form.files) == 1:
        return {form.files[0].key: await settle_part(form.files[0])}
    turn = DeferredSemaphore(AT_ONCE)

    async def settle(part: FilePart) -> Mapping[str, Any]:
        await turn.acquire()
        try:
            return await settle_part(part)
        finally:
            turn.release()

    results = await together(settle(part) for part in form.files)
    return {part.key: result for part, result in zip(form.files, results, strict=True)}


async def settle_part(part: FilePart) -> Mapping[str, Any]:
    """Keep one file."""
    upload: Upload = part.taker
    ext = extension_of(part.name, part.mime_type)
    mime_type = parse_media_type(part.mime_type, ext)
    kept = await upload.settle(ext, mime_type)
    record = kept.record
    return {
        "key": part.key,
        "name": part.name,
        "encoding": part.encoding,
        "mimetype": record.mime_type,
        "ext": record.mime_extension,
        "size": record.size,
        "hash": record.hash,
        upload.hash_type: record.hash,
        "hashType": upload.hash_type,
        "count": kept.count,
        "wanted": kept.wanted,
    }

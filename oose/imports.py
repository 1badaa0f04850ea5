"""Content that comes from a web server, by `/content/retrieve`."""

from collections.abc import Mapping
from typing import Any

from oose.address import parse_extension
from oose.media_types import parse_media_type
from oose.retrieve import Head, Retriever, Source, extension_from
from oose.sink import Sink
from oose.uploads import Upload, Uploads


class Imports:
    """Fetches files and keeps them as if they had been uploaded."""

    def __init__(self, retriever: Retriever, uploads: Uploads) -> None:
        self._retriever = retriever
        self._uploads = uploads

    async def retrieve(self, source: Source, hash_type: str, ext: str | None) -> Mapping[str, Any]:
        """Fetch and keep; what the client is told. Errors as in `Retriever.fetch`."""
        uploads: list[Upload] = []
        heads: list[Head] = []

        async def begin(head: Head) -> Sink:
            uploads.append(self._uploads.open(hash_type, head.length))
            heads.append(head)
            return uploads[0].sink

        try:
            await self._retriever.fetch(source, begin)
            content_type = (heads[0].content_type or "").partition(";")[0].strip()
            ext = ext or parse_extension(extension_from(source, content_type))
            kept = await uploads[0].settle(ext, parse_media_type(content_type, ext))
        finally:
            for upload in uploads:
                await upload.abandon()
        record = kept.record
        return {
            "hash": record.hash,
            "extension": record.mime_extension,
            hash_type: record.hash,
            "hashType": hash_type,
            "count": kept.count,
            "wanted": kept.wanted,
        }

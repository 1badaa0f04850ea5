"""One delivery: conditions and ranges looked at, the head written, the bytes sent (RFC 9110)."""

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from attrs import frozen
from twisted.internet.interfaces import IReactorTime

from oose.conditions import Verdict, evaluate, range_applies
from oose.deliver.sending import KernelSender, ReadAheadSender, Sender
from oose.ranges import Span, byteranges, content_range, parse_range
from oose.shield import shield
from oose.volume import OpenFile
from oose.web.answers import Answer, Headers
from oose.web.intake import IntakeRequest

STATIC = "public, max-age=31536000, immutable"  # a hash's bytes never change
PURCHASED = "private"


@frozen
class Outgoing:
    """What is said of a file that is sent: `etag` is its hash, `cache` its Cache-Control."""

    etag: str
    mime_type: str
    disposition: str
    cache: str

    def headers(self) -> Headers:
        """The headers that every answer with (part of) the file has, a 304 too."""
        return (
            (b"ETag", b'"%s"' % self.etag.encode("ascii")),
            (b"Cache-Control", self.cache.encode("ascii")),
            (b"Content-Type", self.mime_type.encode("ascii")),
            (b"Content-Disposition", self.disposition.encode("latin-1")),
            (b"Accept-Ranges", b"bytes"),
            (b"X-Content-Type-Options", b"nosniff"),
            (b"Access-Control-Allow-Origin", b"*"),  # players on any page may read what is open
        )


class Deliveries:
    """Sends files; `patience` is how long (seconds) a client may take nothing."""

    def __init__(self, clock: IReactorTime, patience: float) -> None:
        self._clock = clock
        self._patience = patience
        self.sent = 0  # bytes
        self.running = 0

    def load(self) -> int:
        """How many files are being sent now."""
        return self.running

    def describe(self) -> Mapping[str, int]:
        """For `/stats`: files being sent now, bytes sent since the start."""
        return {"running": self.running, "bytes": self.sent}

    async def deliver(
        self,
        request: IntakeRequest,
        outgoing: Outgoing,
        open_file: Callable[[], Awaitable[OpenFile]],
        *,
        internal: str | None = None,
    ) -> Answer | None:
        """Answer `request` with the file, or the part of it that is asked for.

        With `internal`, an nginx location, nginx sends it (X-Accel-Redirect); conditions
        are still judged here, as nginx would judge them by an ETag of its own.
        """
        verdict = evaluate(
            etag=outgoing.etag,
            method=request.method.decode("ascii"),
            if_match=request.header(b"if-match"),
            if_none_match=request.header(b"if-none-match"),
        )
        if verdict is Verdict.NOT_MODIFIED:
            return Answer(304, b"", outgoing.headers())
        if verdict is Verdict.PRECONDITION_FAILED:
            return Answer(412, b'{"error": "The content is not what If-Match names"}')
        if internal is not None:
            redirect = (b"X-Accel-Redirect", internal.encode("ascii"))
            return Answer(200, b"", (*outgoing.headers(), redirect))
        await shield(self._send(request, outgoing, open_file))
        return None

    async def _send(
        self,
        request: IntakeRequest,
        outgoing: Outgoing,
        open_file: Callable[[], Awaitable[OpenFile]],
    ) -> None:
        file = await open_file()
        self.running += 1
        try:
            if not request.is_gone and await self._send_file(request, outgoing, file):
                request.finish()
        finally:
            self.running -= 1
            self.sent += request.sentLength
            file.close()

    async def _send_file(self, request: IntakeRequest, outgoing: Outgoing, file: OpenFile) -> bool:
        spans = self._spans(request, outgoing.etag, file.size)
        headers = outgoing.headers()
        parts: Sequence[bytes | Span] = [Span(0, file.size)]
        if spans is not None and len(spans) == 1:
            parts = list(spans)
            headers += ((b"Content-Range", content_range(spans[0], file.size).encode("ascii")),)
        elif spans is not None:
            boundary = secrets.token_hex(16)
            parts = byteranges(spans, file.size, outgoing.mime_type, boundary)
            kind = f"multipart/byteranges; boundary={boundary}"
            headers += ((b"Content-Type", kind.encode("ascii")),)
        request.begin(200 if spans is None else 206, headers)
        length = sum(len(p) if isinstance(p, bytes) else p.stop - p.start for p in parts)
        request.responseHeaders.setRawHeaders(b"content-length", [b"%d" % length])
        request.write(b"")
        if request.method == b"HEAD":
            return True
        return await self._send_parts(request, parts, file)

    def _spans(self, request: IntakeRequest, etag: str, size: int) -> Sequence[Span] | None:
        wanted = request.header(b"range")
        if wanted is None or request.method == b"HEAD":
            return None
        if not range_applies(request.header(b"if-range"), etag):
            return None
        return parse_range(wanted, size)

    async def _send_parts(
        self, request: IntakeRequest, parts: Sequence[bytes | Span], file: OpenFile
    ) -> bool:
        if file.whole is not None:
            pieces = [p if isinstance(p, bytes) else file.whole[p.start : p.stop] for p in parts]
            request.write(b"".join(pieces))
            return True
        sender = self._sender(request, file)
        sender.start()
        try:
            for each in parts:
                if isinstance(each, bytes):
                    request.write(each)
                elif not await sender.send(each):
                    return False
        finally:
            sender.end()
        return True

    def _sender(self, request: Any, file: OpenFile) -> Sender:
        kind = ReadAheadSender if request.isSecure() else KernelSender
        return kind(request, file, self._clock, self._patience)

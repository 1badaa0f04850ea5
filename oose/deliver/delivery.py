"""One delivery: conditions and ranges looked at, the head written, the bytes sent (RFC 9110)."""

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence

from attrs import frozen
from twisted.internet.interfaces import IReactorTime

from oose.conditions import Verdict, evaluate, range_applies
from oose.deliver.content import Content
from oose.deliver.flow import Flow
from oose.deliver.internal import JUDGED_BY_NGINX, Internal
from oose.deliver.sending import LocalFile
from oose.log import part
from oose.ranges import Span, byteranges, content_range, parse_range
from oose.shield import shield
from oose.volume import OpenFile
from oose.web.answers import HASH_HEADER, Answer, Headers
from oose.web.intake import IntakeRequest

_log = part("delivery")


@frozen
class Outgoing:
    """What is said of a file that is sent: `etag` is its hash, `cache` its Cache-Control."""

    etag: str
    mime_type: str
    disposition: str
    cache: str

    def headers(self) -> Headers:
        """The headers that every answer with (part of) the file has."""
        return (*self.unchanged(), (b"Content-Type", self.mime_type.encode("ascii")))

    def for_nginx(self, internal: Internal) -> Headers:
        """Those of an answer that has nginx send it, which says by itself that it takes ranges.

        What is cut out of a film is not what the hash is of.
        """
        left_out = {b"Accept-Ranges"} | ({b"ETag"} if internal.is_cut else set())
        renamed = (b"Cache-Control", b"Content-Disposition") if internal.is_named else ()
        kept = tuple(
            (b"X-OOSE-" + name if name in renamed else name, value)
            for name, value in self.headers()
            if name not in left_out
        )
        told = (b"X-Accel-Redirect", internal.uri.encode("ascii"))
        return (*kept, told, (HASH_HEADER, self.etag.encode("ascii")))

    def unchanged(self) -> Headers:
        """Those of a 304: without what describes a body (RFC 9110 section 15.4.5)."""
        return (
            (b"ETag", b'"%s"' % self.etag.encode("ascii")),
            (b"Cache-Control", self.cache.encode("ascii")),
            (b"Content-Disposition", self.disposition.encode("latin-1")),
            (b"Accept-Ranges", b"bytes"),
            (b"X-Content-Type-Options", b"nosniff"),
            (b"Access-Control-Allow-Origin", b"*"),  # players on any page may read what is open
        )


@frozen
class Head:
    """The head of an answer, which goes out with its first bytes."""

    status: int
    headers: Headers

    def begin(self, request: IntakeRequest) -> None:
        """Have the next write send it."""
        request.begin(self.status, self.headers)

    def take_back(self, request: IntakeRequest) -> None:
        """It is not sent after all, unless it was: another answer may be."""
        if not request.startedWriting:
            for name, _ in self.headers:
                request.responseHeaders.removeHeader(name)


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
        internal: Internal | None = None,
    ) -> Answer | None:
        """Answer `request` with the file, or the part of it that is asked for.

        With `internal` nginx sends it (X-Accel-Redirect); conditions are still judged here, where
        the hash is the ETag. What nginx would make another answer of is sent from here.
        """
        if internal is not None and internal.is_cut:
            return Answer(200, b"", outgoing.for_nginx(internal))
        answer = judged(request, outgoing)
        if answer is not None:
            return answer
        if internal is not None and nginx_does_as_we_do(request):
            return Answer(200, b"", outgoing.for_nginx(internal))
        await shield(self._open_and_send(request, outgoing, open_file))
        return None

    async def carry(
        self, request: IntakeRequest, outgoing: Outgoing, content: Content
    ) -> Answer | None:
        """Answer `request` with content that comes from wherever; it is closed in the end."""
        answer = judged(request, outgoing)
        if answer is not None:
            content.close()
            return answer
        await shield(self._send(request, outgoing, content))
        return None

    async def _open_and_send(
        self,
        request: IntakeRequest,
        outgoing: Outgoing,
        open_file: Callable[[], Awaitable[OpenFile]],
    ) -> None:
        await self._send(request, outgoing, LocalFile(await open_file()))

    async def _send(self, request: IntakeRequest, outgoing: Outgoing, content: Content) -> None:
        self.running += 1
        try:
            complete = not request.is_gone and await self._send_content(request, outgoing, content)
            if complete and not request.is_gone:  # who has it all may be gone before we know
                request.finish()
        finally:
            self.running -= 1
            self.sent += request.sentLength
            _log.debug("{hash}: {n} bytes sent", hash=outgoing.etag, n=request.sentLength)
            content.close()

    async def _send_content(
        self, request: IntakeRequest, outgoing: Outgoing, content: Content
    ) -> bool:
        size = content.size
        spans = wanted_spans(request, outgoing.etag, size)
        headers = outgoing.headers()
        parts: Sequence[bytes | Span] = [Span(0, size)]
        if spans is not None and len(spans) == 1:
            parts = list(spans)
            headers += ((b"Content-Range", content_range(spans[0], size).encode("ascii")),)
        elif spans is not None:
            boundary = secrets.token_hex(16)
            parts = byteranges(spans, size, outgoing.mime_type, boundary)
            kind = f"multipart/byteranges; boundary={boundary}"
            headers += ((b"Content-Type", kind.encode("ascii")),)
        length = sum(len(part) for part in parts)
        head = Head(200 if spans is None else 206, (*headers, (b"Content-Length", b"%d" % length)))
        if request.method == b"HEAD":
            head.begin(request)
            return True
        return await self._send_parts(request, head, parts, content)

    async def _send_parts(
        self, request: IntakeRequest, head: Head, parts: Sequence[bytes | Span], content: Content
    ) -> bool:
        whole = content.whole
        if whole is not None:
            head.begin(request)
            pieces = [p if isinstance(p, bytes) else whole[p.start : p.stop] for p in parts]
            request.write(b"".join(pieces))
            return True
        flow = Flow(request, self._clock, self._patience)
        flow.start()
        try:
            await content.ready(flow, next(part for part in parts if isinstance(part, Span)))
            if not flow.stopped:
                head.begin(request)
                return await send_all(flow, parts, content)
        except Exception:
            head.take_back(request)
            raise
        finally:
            flow.end()
        return False


def nginx_does_as_we_do(request: IntakeRequest) -> bool:
    """Whether nginx would answer as is done here: it looks at ranges for `HEAD`, too."""
    if request.method == b"HEAD" and request.header(b"range"):
        return False
    return not any(map(request.header, JUDGED_BY_NGINX))


def judged(request: IntakeRequest, outgoing: Outgoing) -> Answer | None:
    """The answer to a conditional request that gets no bytes, None where they are to be sent."""
    verdict = evaluate(
        etag=outgoing.etag,
        method=request.method.decode("ascii"),
        if_match=request.header(b"if-match"),
        if_none_match=request.header(b"if-none-match"),
    )
    if verdict is Verdict.NOT_MODIFIED:
        return Answer(304, b"", outgoing.unchanged())
    if verdict is Verdict.PRECONDITION_FAILED:
        return Answer(412, b'{"error": "The content is not what If-Match names"}')
    return None


def wanted_spans(request: IntakeRequest, etag: str, size: int) -> Sequence[Span] | None:
    """What the request's `Range` asks for; None for all of it."""
    wanted = request.header(b"range")
    if wanted is None or request.method == b"HEAD":
        return None
    if not range_applies(request.header(b"if-range"), etag):
        return None
    return parse_range(wanted, size)


async def send_all(flow: Flow, parts: Sequence[bytes | Span], content: Content) -> bool:
    """Send framing and spans in their order; False when the client has left."""
    for each in parts:
        if isinstance(each, bytes):
            flow.write(each)
        elif not await content.send(flow, each):
            return False
    return True

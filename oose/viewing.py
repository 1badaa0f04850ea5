"""Where a viewer is sent: a store that has the content, with what was asked for in the URL."""

from collections.abc import Callable
from urllib.parse import parse_qs, quote

from twisted.internet.interfaces import IReactorTime

from oose.address import extension_of, parse_hash, parse_token
from oose.demand.counter import uncounted
from oose.errors import BadInput, NotAllowed, NotFound, Unavailable
from oose.existence import Existence
from oose.log import part
from oose.media_types import is_video
from oose.metadata.records import InventoryRecord
from oose.purchases import Purchase
from oose.purchasing import PurchaseDesk
from oose.readers import Readers
from oose.referrers import referrer_allowed
from oose.registry import Peer, Registry
from oose.stats import Hits
from oose.vouchers import VOUCHER, Vouchers
from oose.web.answers import HASH_HEADER, Answer
from oose.web.client import ClientAddress
from oose.web.intake import IntakeRequest

MEANINGLESS = b"start=0"  # what nginx's mp4 and flv modules need to be asked for a whole file
_log = part("viewing")


class Viewing:
    """Redirects viewers. `domain` is the cluster's, where it has one.

    With `vouchers` a store need not look up itself what is only remembered here. `count` is told
    the hash of what each viewer is sent to.
    """

    def __init__(
        self,
        desk: PurchaseDesk,
        existence: Existence,
        registry: Registry,
        readers: Readers,
        clients: ClientAddress,
        clock: IReactorTime,
        *,
        domain: str | None,
        deny_static: frozenset[str],
        vouchers: Vouchers | None = None,
        count: Callable[[str], None] = uncounted,
    ) -> None:
        self.content_hits = Hits()
        self.store_hits = Hits()
        self._desk = desk
        self._existence = existence
        self._registry = registry
        self._readers = readers
        self._clients = clients
        self._clock = clock
        self._domain = domain
        self._deny_static = deny_static
        self._vouchers = vouchers
        self._count = count

    async def purchased(self, request: IntakeRequest, token: str, filename: str) -> Answer:
        """To purchased content; `NotFound` or, for a page that may not show it, `NotAllowed`."""
        try:
            parse_token(token)
        except BadInput:
            raise NotFound("There is nothing at this path") from None
        if filename in {".", ".."}:  # a browser would take it for a folder
            raise NotFound("There is nothing at this path")
        purchase, voucher = await self._opened(token)
        if not referrer_allowed(purchase.referrers, request.header(b"referer")):
            raise NotAllowed("This page may not show this content")
        record = await self._reader(purchase.hash)
        query = with_start(request.query) if is_video(purchase.ext) else request.query
        query = joined(query, voucher)
        return self._redirect(request, record, f"/play/{token}/{quote(filename, safe='')}", query)

    async def static(self, request: IntakeRequest, asked: str, filename: str) -> Answer:
        """To content that needs no purchase; `NotAllowed` for types that do."""
        try:
            content_hash = parse_hash(asked)
        except BadInput:
            raise NotFound("There is nothing at this path") from None
        self._refuse_denied(extension_of(filename, ""))
        record = await self._reader(content_hash)
        self._refuse_denied(record.mime_extension)
        return self._redirect(request, record, f"/static/{record.relative_path}", request.query)

    async def _opened(self, token: str) -> tuple[Purchase, bytes]:
        """The purchase, and a voucher for the query where it is remembered only."""
        now = int(self._clock.seconds() * 1000)
        try:
            return await self._desk.current(token, now), b""
        except Unavailable:
            purchase = self._desk.last_known(token, now)
            if purchase is None:
                raise
        if self._vouchers is None:
            return purchase, b""
        voucher = quote(self._vouchers.issue(purchase, now), safe="")
        return purchase, f"{VOUCHER}={voucher}".encode("ascii")

    def _refuse_denied(self, ext: str) -> None:
        if ext in self._deny_static:
            raise NotAllowed(f"Content of the type {ext!r} must be purchased")

    async def _reader(self, content_hash: str) -> InventoryRecord:
        records = await self._existence.last_known(content_hash)
        if not records:
            raise NotFound("The content was not found")
        candidates = self._existence.candidates(records)
        if not candidates:
            raise Unavailable("No store with the content is available", retry_after=5)
        self.content_hits.count(content_hash)
        return self._readers.in_order(candidates)[0]

    def _redirect(
        self, request: IntakeRequest, record: InventoryRecord, path: str, query: bytes
    ) -> Answer:
        store = self._registry.serving(record.place)
        assert store is not None
        self.store_hits.count(record.place)
        self._readers.sent_to(record.place)
        self._count(record.hash)
        _log.debug("{hash} from {place}", hash=record.hash, place=record.place)
        target = self._base(request, store) + path
        location = target.encode("ascii") + (b"?" + query if query else b"")
        headers = (
            (b"Location", location),
            (b"Cache-Control", b"no-store"),
            (b"Access-Control-Allow-Origin", b"*"),
            (HASH_HEADER, record.hash.encode("ascii")),
        )
        return Answer(302, b"", headers)

    def _base(self, request: IntakeRequest, store: Peer) -> str:
        if self._domain is not None:
            scheme = "https" if self._clients.is_secure(request) else "http"
            return f"{scheme}://{store.name}.{self._domain}"
        if self._clients.forwarded_scheme(request) == "https":
            return "https" + store.url[store.url.index("://") :]
        return store.url


def with_start(query: bytes) -> bytes:
    """The query, with `start=0` where it says neither `start` nor `html5`."""
    names = parse_qs(query, keep_blank_values=True)
    if b"start" in names or b"html5" in names:
        return query
    return joined(query, MEANINGLESS)


def joined(query: bytes, more: bytes) -> bytes:
    """Both, of which either may be empty."""
    return b"&".join(each for each in (query, more) if each)

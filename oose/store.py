"""A store's routes: one disk's files, put there by peers and fetched by viewers."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import parse_qs

from attrs import asdict, frozen
from klein import Klein

from oose.address import parse_content_name, parse_relative_path, parse_token
from oose.arrivals import Arrivals
from oose.deliver.caching import PURCHASED, STATIC
from oose.deliver.delivery import Deliveries, Outgoing
from oose.deliver.internal import ACCEL, NAMED, NOT_AGAIN, Internal, internal_place
from oose.disposition import content_disposition
from oose.errors import (
    BadInput,
    ChecksumMismatch,
    NotAllowed,
    NotFound,
    OoseError,
    Unavailable,
)
from oose.holdings import Holdings
from oose.media_types import media_type_of
from oose.metadata.records import InventoryRecord
from oose.peers import PeerClient
from oose.purchases import Purchase
from oose.purchasing import PurchaseDesk
from oose.registry import Registry
from oose.restoring import Restoring
from oose.sweeping.disk_sweeps import DiskSweeps
from oose.uploads import Uploads
from oose.verifying.verification import Verification
from oose.verifying.verifier import Outcome
from oose.vouchers import VOUCHER, Voucher, Vouchers
from oose.web.answers import Answer, json_answer
from oose.web.fields import Fields, json_body
from oose.web.intake import IntakeRequest
from oose.web.put import PutBody, put_body
from oose.web.receive import ArrivalBody, arrival_of, commit_body, receive_body
from oose.web.room import Lobby
from oose.web.routing import Access, Routes

routes = Routes()
MOST_TIME = 2**53  # ms since 1970
MOST_RATE = 2**53  # bytes a second


@frozen
class StoreParts:
    """What a store is put together from; `vouchers` are those of the cluster's prisms."""

    lobby: Lobby
    holdings: Holdings
    uploads: Uploads
    restoring: Restoring
    desk: PurchaseDesk
    deliveries: Deliveries
    registry: Registry
    peers: PeerClient
    deny_static: frozenset[str]
    internal: str | None
    max_upload: int | None
    vouchers: Vouchers | None = None
    verification: Verification | None = None
    sweeps: DiskSweeps | None = None


class Store:
    """The room of one store."""

    routes: ClassVar[Routes] = routes
    app: ClassVar[Klein] = routes.app
    server_name = b"oose"

    def __init__(self, parts: StoreParts) -> None:
        self.lobby = parts.lobby
        self.uploads = parts.uploads
        self.max_upload = parts.max_upload
        self.authorise = parts.lobby.authorise
        self.count = parts.lobby.count
        self._parts = parts
        self._holdings = parts.holdings
        self.arrivals = Arrivals(self._is_recorded, parts.lobby.clock)

    # Open.

    @routes.at("/", "GET", "POST")
    async def welcome(self, request: IntakeRequest) -> Answer:
        """Which version answers."""
        return self.lobby.welcome(request)

    @routes.at("/ping", "GET", "POST")
    async def ping(self, request: IntakeRequest) -> Mapping[str, Any]:
        """That it is up."""
        return {"pong": "pong"}

    @routes.at("/stats", "GET", "POST")
    async def stats(self, request: IntakeRequest) -> Mapping[str, Any]:
        """Its counters."""
        return self.lobby.tree()

    # For peers.

    @routes.at("/content/put/<name>", "PUT", access=Access.PEER, body=put_body)
    async def put(self, request: IntakeRequest, body: PutBody, name: str) -> Answer:
        """Take a file under its hash."""
        kept = await body.settle()
        return json_answer({"hash": kept.record.hash, "record": kept.record.to_body()}, 201)

    @routes.at("/content/receive/<hash_type>/<key>", "PUT", access=Access.PEER, body=receive_body)
    async def receive(
        self, request: IntakeRequest, body: ArrivalBody, hash_type: str, key: str
    ) -> Mapping[str, Any]:
        """Take a file whose hash is not known yet; it stays as long as its connection does."""
        await body.seal()
        return {"success": "File received"}

    @routes.at("/content/commit/<key>/<name>", "PUT", access=Access.PEER, body=commit_body)
    async def commit(
        self, request: IntakeRequest, body: ArrivalBody, key: str, name: str
    ) -> Mapping[str, Any]:
        """Make what was received visible, or what comes now."""
        return {"relativePath": await body.commit(*parse_content_name(name))}

    @routes.at("/content/confirm/<key>", "POST", access=Access.PEER)
    async def confirm(self, request: IntakeRequest, key: str) -> Mapping[str, Any]:
        """Take note that the record of what was committed is written."""
        await arrival_of(request, key).end(recorded=True)
        request.channel.release()
        return {"success": "File kept"}

    @routes.at("/content/download", "POST", access=Access.PEER, body=json_body)
    async def download(self, request: IntakeRequest, fields: Fields) -> Answer | None:
        """The bytes."""
        content_hash = fields.hash()
        found = await self._holdings.found(content_hash)
        outgoing = Outgoing(content_hash, media_type_of(found.ext), "inline", PURCHASED)
        return await self._parts.deliveries.deliver(
            request, outgoing, lambda: self._holdings.volume.open(found.relative_path)
        )

    @routes.at("/content/exists", "POST", access=Access.PEER, body=json_body)
    async def exists(self, request: IntakeRequest, fields: Fields) -> Mapping[str, Any]:
        """Whether files are on this disk."""
        asked = fields.hashes()
        if isinstance(asked, str):
            return {"exists": await self._exists(asked)}
        return {content_hash: await self._exists(content_hash) for content_hash in asked}

    @routes.at("/content/detail", "POST", access=Access.PEER, body=json_body)
    async def detail(self, request: IntakeRequest, fields: Fields) -> Mapping[str, Any]:
        """The inventory record of one file, as it is on the disk."""
        content_hash = fields.hash()
        found = await self._holdings.found(content_hash)
        record = await self._holdings.record(content_hash)
        if record is None:
            raise NotFound(f"{content_hash} is on the disk but not in the inventory")
        return {**record.to_body(), "relativePath": found.relative_path, "size": found.size}

    @routes.at("/content/verify", "POST", access=Access.PEER, body=json_body)
    async def verify(self, request: IntakeRequest, fields: Fields) -> Mapping[str, Any]:
        """Read files again and compare."""
        asked = fields.hashes()
        if isinstance(asked, str):
            return {"hash": asked, "status": await self._holdings.verify(asked)}
        found = await self._holdings.verifier.verify_each(asked)
        return {each: judged(each, outcome) for each, outcome in found.items()}

    @routes.at("/verification/start", "POST", access=Access.PEER, body=json_body)
    async def verification_start(self, request: IntakeRequest, fields: Fields) -> Mapping[str, Any]:
        """Read all files of this store again, or those last verified longer ago."""
        older = fields.number("olderThan", least=0, most=MOST_TIME)
        rate = fields.number("rate", least=0, most=MOST_RATE)
        return await self._verification.review((older or 0) / 1000, rate)

    @routes.at("/verification/status", "POST", access=Access.PEER)
    async def verification_status(self, request: IntakeRequest) -> Mapping[str, Any]:
        """How far that has come."""
        return await self._verification.reviewed()

    @routes.at("/verification/stop", "POST", access=Access.PEER)
    async def verification_stop(self, request: IntakeRequest) -> Mapping[str, Any]:
        """Let it be."""
        return await self._verification.stop_review()

    @routes.at("/inventory/scan", "POST", access=Access.PEER, body=json_body)
    async def inventory_scan(self, request: IntakeRequest, fields: Fields) -> Mapping[str, Any]:
        """Begin to sweep the disk, or join the sweep under way."""
        driver = fields.text("driver") if fields.get("driver") is not None else "auto"
        return await self._sweeps.scan(driver, fast=fields.flag("fast"), empty=fields.flag("empty"))

    @routes.at("/inventory/status", "POST", access=Access.PEER)
    async def inventory_status(self, request: IntakeRequest) -> Mapping[str, Any]:
        """How far that is, or how the last one ended."""
        return await self._sweeps.status()

    @routes.at("/content/remove", "POST", access=Access.PEER, body=json_body)
    async def remove(self, request: IntakeRequest, fields: Fields) -> Mapping[str, Any]:
        """Delete a file of this store, or only if it is older than `before`, or before `until`."""
        before = fields.number("before", least=0, most=MOST_TIME)
        until = fields.number("until", least=0, most=MOST_TIME)
        await self._holdings.remove(fields.hash(), before=before, until=until)
        return {"success": "File removed"}

    @routes.at("/content/send", "POST", access=Access.PEER, body=json_body)
    async def send(self, request: IntakeRequest, fields: Fields) -> Mapping[str, Any]:
        """Send a file to another store, which hashes it on arrival."""
        content_hash, _ = parse_content_name(fields.text("file"))
        place = fields.text("store")
        target = self._parts.registry.serving(place)
        if target is None:
            raise NotFound(f"There is no available store {place!r}")
        if place == self._holdings.place:
            raise BadInput("A store cannot send a file to itself")
        found = await self._holdings.found(content_hash)
        record = await self._holdings.record(content_hash)
        created = record.created if record is not None else found.modified
        file = await self._holdings.volume.open(found.relative_path)
        try:
            answer = await self._parts.peers.put_content(
                target.url, content_hash, found.ext, file, created
            )
        except ChecksumMismatch:
            status = await self._holdings.verify(content_hash)
            raise ChecksumMismatch(f"The file changed on its way; here it is {status}") from None
        return {
            "success": "Clone sent",
            "file": f"{content_hash}.{found.ext}",
            "store": {"name": target.name, "prism": target.prism, "url": target.url},
            "details": {"hash": content_hash, "ext": found.ext, "size": file.size},
            "record": answer.get("record"),
        }

    @routes.at("/quarantine/list", "POST", access=Access.PEER, body=json_body)
    async def quarantine_list(self, request: IntakeRequest, fields: Fields) -> Mapping[str, Any]:
        """What was put aside on this disk, and why."""
        after = fields.text("after") if fields.get("after") is not None else ""
        page = await self._parts.restoring.quarantine.page(after)
        return {"files": [asdict(each) for each in page.files], "after": page.after}

    @routes.at("/quarantine/restore", "POST", access=Access.PEER, body=json_body)
    async def quarantine_restore(self, request: IntakeRequest, fields: Fields) -> Mapping[str, Any]:
        """Bring a file back."""
        record = await self._parts.restoring.restore(fields.hash())
        return {"success": "File restored", **record.to_body()}

    # For viewers.

    @routes.at("/play/<token>/<filename>", "GET")
    async def play(self, request: IntakeRequest, token: str, filename: str) -> Answer | None:
        """Purchased content."""
        opened = await self._opened(request, token)
        record = await self._record(opened.hash)
        outgoing = Outgoing(
            opened.hash, media_type_of(opened.ext), disposition(request, filename), PURCHASED
        )
        return await self._deliver(request, outgoing, record)

    @routes.at("/static/<path:path>", "GET")
    async def static(self, request: IntakeRequest, path: str) -> Answer | None:
        """Content that needs no purchase."""
        content_hash, ext = parse_relative_path(path)
        if ext in self._parts.deny_static:
            raise NotAllowed(f"Content of the type {ext!r} must be purchased")
        if not self._holdings.burial.clearance.is_given:
            await self._record(content_hash)
        name = f"{content_hash}.{ext}"
        outgoing = Outgoing(content_hash, media_type_of(ext), disposition(request, name), STATIC)
        volume = self._holdings.volume
        return await self._parts.deliveries.deliver(
            request, outgoing, lambda: volume.open(path), internal=self._internal(request, path)
        )

    @routes.at("/purchase/uri/play/<token>/<filename>", "GET")
    async def purchase_uri(self, request: IntakeRequest, token: str, filename: str) -> Answer:
        """The path that a token stands for, for nginx on this machine."""
        clients = self.lobby.clients
        if not clients.is_near(request):
            raise NotAllowed("Only this machine and trusted proxies may ask this")
        record = await self._record((await self._purchase(token)).hash)
        path = f"content/{record.relative_path}".encode("ascii")
        return Answer(200, path, ((b"Content-Type", b"text/plain; charset=utf-8"),))

    # Behind the routes.

    async def _is_recorded(self, content_hash: str) -> bool:
        return await self._holdings.record(content_hash) is not None

    async def _exists(self, content_hash: str) -> Mapping[str, Any]:
        found = await self._holdings.volume.find(content_hash)
        return {"exists": found is not None, "ext": found.ext if found is not None else ""}

    @property
    def _verification(self) -> Verification:
        if self._parts.verification is None:
            raise Unavailable("Nothing is verified by itself in this process")
        return self._parts.verification

    @property
    def _sweeps(self) -> DiskSweeps:
        if self._parts.sweeps is None:
            raise Unavailable("Nothing is swept in this process")
        return self._parts.sweeps

    async def _purchase(self, token: str) -> Purchase:
        try:
            parse_token(token)
        except BadInput:
            raise NotFound("This purchase does not exist or has expired") from None
        return await self._parts.desk.valid(token, self.lobby.now())

    async def _opened(self, request: IntakeRequest, token: str) -> Purchase | Voucher:
        """The purchase, or what a prism said of it where it cannot be looked up."""
        try:
            return await self._purchase(token)
        except Unavailable:
            voucher = self._voucher(request, token)
            if voucher is None:
                raise
            return voucher

    def _voucher(self, request: IntakeRequest, token: str) -> Voucher | None:
        given = said(request, VOUCHER)
        if self._parts.vouchers is None or not given:
            return None
        return self._parts.vouchers.honour(token, given[-1], self.lobby.now())

    async def _record(self, content_hash: str) -> InventoryRecord:
        record = await self._holdings.own_record(content_hash)
        if record is None:
            raise NotFound("The content is not on this store")
        return record

    async def _deliver(
        self, request: IntakeRequest, outgoing: Outgoing, record: InventoryRecord
    ) -> Answer | None:
        return await self._parts.deliveries.deliver(
            request,
            outgoing,
            lambda: self._holdings.open(record),
            internal=self._internal(request, record.relative_path),
        )

    def _internal(self, request: IntakeRequest, path: str) -> Internal | None:
        prefix, accel = self._parts.internal, request.header(ACCEL)
        if prefix is None or accel == NOT_AGAIN:
            return None
        start = said(request, "start")
        return internal_place(prefix, path, start[0] if start else "", is_named=accel == NAMED)


def judged(content_hash: str, outcome: Outcome) -> Mapping[str, Any]:
    """What verification of one of many files came to."""
    if isinstance(outcome, OoseError):
        return {"hash": content_hash, "status": "unknown", "error": outcome.message}
    return {"hash": content_hash, "status": outcome}


def disposition(request: IntakeRequest, filename: str) -> str:
    """The `Content-Disposition` that the query's `attach` asks for."""
    attach = said(request, "attach")
    return content_disposition(attach[0] if attach else None, filename)


def said(request: IntakeRequest, name: str) -> Sequence[str]:
    """What the query says for a name, as often as it does."""
    query = parse_qs(request.query.decode("utf-8", "replace"), keep_blank_values=True)
    return query.get(name, ())

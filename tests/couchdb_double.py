"""A server that answers as CouchDB 3 does where the compatible one for tests does not.

It keeps documents with their conflicts, and a test tells it how its cluster is doing: writes that
are accepted only (202), another node's writer beside one's own, ranges that miss fresh writes,
users locked out, rights revoked, a database made anew. Everything else is as plain as can be.
"""

import json
from base64 import b64decode
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any
from urllib.parse import unquote

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from tests.real import reactor

ADMIN, ADMIN_PASSWORD = "root", "the root of it"
ACCOUNT, PASSWORD = "oose", "oose at couchdb"
LOCKED_AFTER = 5
JSON = Mapping[str, Any]
lives = count(1_700_000_000)


@frozen
class Refused(Exception):
    status: int
    error: str
    reason: str = ""


@frozen
class Leaf:
    """A revision that nothing follows."""

    rev: str
    body: JSON
    is_deleted: bool = False

    @property
    def order(self) -> tuple[bool, int, str]:
        """The winner is the highest: CouchDB's order, which every node agrees on."""
        number, _, digest = self.rev.partition("-")
        return not self.is_deleted, int(number), digest


@frozen
class Rival:
    """Another writer on another node, at the same time; `is_seen` when readers see theirs."""

    body: JSON
    is_seen: bool


@define
class Store:
    """One database."""

    life: int = field(factory=lambda: next(lives))
    leaves: dict[str, list[Leaf]] = field(factory=dict)
    written: list[str] = field(factory=list)
    waiting: list[Deferred[None]] = field(factory=list)
    security: JSON = field(factory=lambda: {"members": {"roles": ["_admin"]}})

    def winner(self, name: str) -> Leaf | None:
        return max(self.leaves.get(name, []), key=lambda leaf: leaf.order, default=None)

    def live(self, name: str) -> Leaf | None:
        leaf = self.winner(name)
        return None if leaf is None or leaf.is_deleted else leaf

    def note(self, name: str) -> None:
        self.written.append(name)
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            if not each.called:
                each.callback(None)

    @property
    def seq(self) -> str:
        return seq_of(len(self.written))


def seq_of(number: int) -> str:
    return f"{number}-g1AAAACLeJzLYWBgYM{number:x}"


@define(eq=False)
class Cluster(Resource):
    """What the tests script, and the state."""

    isLeaf = True  # noqa: N815 # Twisted's

    stores: dict[str, Store] = field(factory=dict)
    users: dict[str, str] = field(factory=dict)  # passwords
    failed: dict[str, int] = field(factory=dict)
    asked: list[str] = field(factory=list)
    hidden: set[str] = field(factory=set)  # ids that ranges miss
    rivals: list[Rival] = field(factory=list)  # of the next writes
    is_degraded: bool = False  # two of three nodes are down
    is_revoked: bool = False  # the account has no rights any more
    answers: list[tuple[int, object]] = field(factory=list)  # said instead, to the next requests
    port: int = 0

    def __attrs_post_init__(self) -> None:
        Resource.__init__(self)
        self.users |= {ADMIN: ADMIN_PASSWORD, ACCOUNT: PASSWORD}

    def make(self, *names: str) -> None:
        """Databases that the account may use."""
        for name in names:
            self.stores[name] = Store(security={"members": {"names": [ACCOUNT]}})

    def make_anew(self, name: str) -> None:
        """As an administrator would who restores an empty one."""
        old = self.stores[name]
        self.stores[name] = Store(security=old.security)
        for each in old.waiting:
            each.callback(None)

    def render(self, request: Request) -> Any:
        work = Deferred.fromCoroutine(self._answer(request))
        _ = request.notifyFinish().addErrback(lambda _: work.cancel())
        _ = work.addErrback(lambda failure: failure.trap(CancelledError) and None)
        return NOT_DONE_YET

    async def _answer(self, request: Request) -> None:
        status, value = await self._outcome(request)
        request.setResponseCode(status)
        request.setHeader("Content-Type", "application/json")
        request.write(value if isinstance(value, bytes) else json.dumps(value).encode() + b"\n")
        request.finish()

    async def _outcome(self, request: Request) -> tuple[int, object]:
        path = request.uri.decode()
        self.asked.append(f"{request.method.decode()} {path}")
        if self.answers:
            return self.answers.pop(0)
        try:
            body = self._body(request)
            parts = [unquote(each) for each in path.partition("?")[0].strip("/").split("/")]
            if parts == [""]:
                return 200, {"couchdb": "Welcome", "version": "3.4.3"}
            if parts == ["_session"]:
                return self._session(request, body)
            return await self._database(request, parts, body)
        except Refused as refused:
            return refused.status, {"error": refused.error, "reason": refused.reason}

    def _body(self, request: Request) -> Any:
        assert request.content is not None
        text = request.content.read()
        if not text:
            return None
        if request.getHeader("Content-Type") != "application/json":
            raise Refused(415, "bad_content_type")
        return json.loads(text)

    # Who asks.

    def _who(self, request: Request) -> str | None:
        header = request.getHeader("Authorization")
        if header is None:
            return None
        name, _, password = b64decode(header.removeprefix("Basic ")).decode().partition(":")
        self._check(name, password)
        return name

    def _check(self, name: str, password: str) -> None:
        if self.failed.get(name, 0) >= LOCKED_AFTER:
            raise Refused(403, "forbidden", "Account is temporarily locked.")
        if self.users.get(name) != password:
            if name in self.users:
                self.failed[name] = self.failed.get(name, 0) + 1
            raise Refused(401, "unauthorized", "Name or password is incorrect.")
        self.failed.pop(name, None)

    def _session(self, request: Request, body: Any) -> tuple[int, object]:
        if request.method == b"POST":
            if not body.get("name") or not body.get("password"):
                raise Refused(400, "bad_request", "request body must contain a username")
            self._check(body["name"], body["password"])
            request.setHeader("Set-Cookie", "AuthSession=secret; Version=1; Path=/; HttpOnly")
            return 200, {"ok": True, "name": body["name"], "roles": []}
        who = self._who(request)
        roles = ["_admin"] if who == ADMIN else []
        return 200, {"ok": True, "userCtx": {"name": who, "roles": roles}}

    def _store(self, request: Request, name: str) -> Store:
        who = self._who(request)
        if who is None:
            raise Refused(401, "unauthorized", "You are not authorized to access this db.")
        if name not in self.stores:
            raise Refused(404, "not_found", "Database does not exist.")
        store = self.stores[name]
        members = store.security.get("members", {}).get("names", [])
        if who != ADMIN and (self.is_revoked or who not in members):
            raise Refused(403, "forbidden", "You are not allowed to access this db.")
        return store

    # A database.

    async def _database(
        self, request: Request, parts: Sequence[str], body: Any
    ) -> tuple[int, object]:
        name, *rest = parts
        if request.method == b"PUT" and not rest:
            return self._make(request, name)
        store = self._store(request, name)
        if rest and rest[0] == "_design":
            return self._design(request, store, "/".join(rest), body)
        if rest and not rest[0].startswith("_"):
            return self._one(request, store, "/".join(rest), body)
        return await self._all(request, store, rest, body)

    async def _all(
        self, request: Request, store: Store, rest: Sequence[str], body: Any
    ) -> tuple[int, object]:
        match rest:
            case []:
                return 200, {"update_seq": store.seq, "instance_start_time": str(store.life)}
            case ["_security"]:
                if request.method == b"PUT":
                    store.security = body
                return 200, {"ok": True} if request.method == b"PUT" else store.security
            case ["_bulk_get"]:
                return 200, {"results": [self._got(store, each["id"]) for each in body["docs"]]}
            case ["_bulk_docs"]:
                rows = [self._write(store, each) for each in body["docs"]]
                is_doubtful = any(row.get("accepted") for row in rows)
                return 202 if is_doubtful else 201, rows
            case ["_all_docs"]:
                return 200, self._rows(store, _values(request))
            case ["_all_docs", "queries"]:
                return 200, {"results": [self._rows(store, each) for each in body["queries"]]}
        values = {key.decode(): each[0].decode() for key, each in request.args.items()}
        return 200, await self._changes(store, values)

    def _one(self, request: Request, store: Store, name: str, body: Any) -> tuple[int, object]:
        if request.method == b"PUT":
            return 201, self._write(store, {**body, "_id": name})
        return 200, self._document(store, name)

    def _design(self, request: Request, store: Store, name: str, body: Any) -> tuple[int, object]:
        name, _, view = name.partition("/_view/")
        document = self._document(store, name) if request.method == b"GET" else None
        if document is not None:
            return 200, self._held(store, _values(request)) if view else document
        if self._who(request) != ADMIN:
            raise Refused(401, "unauthorized", "You are not a db or server admin.")
        row = self._write(store, {**body, "_id": name})
        if "error" in row:
            raise Refused(409, row["error"], row["reason"])
        return 201, row

    def _make(self, request: Request, name: str) -> tuple[int, object]:
        if self._who(request) != ADMIN:
            raise Refused(401, "unauthorized", "You are not a server admin.")
        if name in self.stores:
            raise Refused(412, "file_exists", "The database could not be created")
        self.stores[name] = Store()
        return 201, {"ok": True}

    def _document(self, store: Store, name: str) -> JSON:
        leaf = store.live(name)
        if leaf is None:
            raise Refused(404, "not_found", "deleted" if store.winner(name) else "missing")
        others = [
            each.rev for each in store.leaves[name] if each is not leaf and not each.is_deleted
        ]
        conflicts = {"_conflicts": others} if others else {}
        return {"_id": name, "_rev": leaf.rev, **leaf.body, **conflicts}

    def _got(self, store: Store, name: str) -> JSON:
        leaf = store.winner(name)
        if leaf is None:
            missing = {"id": name, "rev": "undefined", "error": "not_found", "reason": "missing"}
            return {"id": name, "docs": [{"error": missing}]}
        deleted = {"_deleted": True} if leaf.is_deleted else {}
        return {
            "id": name,
            "docs": [{"ok": {"_id": name, "_rev": leaf.rev, **leaf.body, **deleted}}],
        }

    def _rows(self, store: Store, asked: JSON) -> JSON:
        low = asked.get("startkey", asked.get("start_key")).encode()
        high = asked.get("endkey", asked.get("end_key")).encode()
        if low > high:
            raise Refused(400, "query_parse_error", "No rows can match your key range")
        names = sorted(
            (
                name
                for name in store.leaves
                if low <= name.encode() <= high and name not in self.hidden and store.live(name)
            ),
            key=str.encode,
        )
        rows = []
        for name in names[: asked.get("limit")]:
            document = self._document(store, name)
            row = {"id": name, "key": name, "value": {"rev": document["_rev"]}}
            rows.append({**row, "doc": document} if asked.get("include_docs") else row)
        return {"total_rows": len(names), "offset": 0, "rows": rows}

    def _held(self, store: Store, asked: JSON) -> JSON:
        """What the view's function makes of the documents."""
        low, high = (tuple(each.encode() for each in asked[key]) for key in ("startkey", "endkey"))
        if low > high:
            raise Refused(400, "query_parse_error", "No rows can match your key range")
        rows = []
        for name in store.leaves:
            leaf, (_, colon, place) = store.live(name), name.partition(":")
            key = (place.encode(), name.encode())
            if leaf is not None and colon and low <= key <= high:
                told = ("relativePath", "size", "createdAt", "verifiedAt")
                value = [leaf.rev, *(leaf.body.get(each) for each in told)]
                rows.append((key, {"id": name, "key": [place, name], "value": value}))
        in_order = [row for _, row in sorted(rows, key=lambda each: each[0])]
        return {"total_rows": len(store.leaves), "offset": 0, "rows": in_order[: asked["limit"]]}

    async def _changes(self, store: Store, values: Mapping[str, str]) -> JSON:
        start = int(values["since"].partition("-")[0])
        if start >= len(store.written):
            waiting: Deferred[None] = Deferred()
            store.waiting.append(waiting)
            patience = int(values["timeout"]) / 1000
            await waiting.addTimeout(patience, reactor, lambda value, _: None)
        end = min(len(store.written), start + int(values["limit"]))
        names = dict.fromkeys(store.written[min(start, end) : end])
        rows = [{"seq": seq_of(end), "id": name, "changes": []} for name in names]
        return {"results": rows, "last_seq": seq_of(end), "pending": 0}

    # Writes.

    def _write(self, store: Store, document: JSON) -> JSON:
        name = document["_id"]
        body = {key: value for key, value in document.items() if not key.startswith("_")}
        leaves = store.leaves.setdefault(name, [])
        rev = document.get("_rev")
        parent = next((each for each in leaves if each.rev == rev and not each.is_deleted), None)
        if rev is None and store.live(name) is None:
            parent = store.winner(name)
        elif parent is None:
            return {"id": name, "error": "conflict", "reason": "Document update conflict."}
        number = 1 if parent is None else int(parent.rev.partition("-")[0]) + 1
        leaf = Leaf(f"{number}-5{len(store.written):07x}", body, "_deleted" in document)
        if parent is not None:
            leaves.remove(parent)
        leaves.append(leaf)
        rival = self.rivals.pop(0) if self.rivals else None
        if rival is not None:
            digest = "f" if rival.is_seen else "0"
            leaves.append(Leaf(f"{number}-{digest}{len(store.written):07x}", rival.body))
        store.note(name)
        row = {"ok": True, "id": name, "rev": leaf.rev}
        return {**row, "accepted": True} if rival is not None or self.is_degraded else row


def _values(request: Request) -> JSON:
    return {key.decode(): json.loads(each[0]) for key, each in request.args.items()}


@asynccontextmanager
async def served(cluster: Cluster) -> AsyncIterator[Cluster]:
    """Let it listen on a port of its own."""
    site = Site(cluster)
    site.noisy = False
    site.displayTracebacks = False
    listening: Any = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(site)
    cluster.port = listening.getHost().port
    try:
        yield cluster
    finally:
        await listening.stopListening()

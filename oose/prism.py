"""A prism's routes: users log in, upload, ask and purchase; viewers are sent to a store."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from attrs import frozen
from klein import Klein

from oose.address import parse_extension, parse_hash, parse_hash_type, parse_token
from oose.contents import Content
from oose.downloads import Downloads
from oose.errors import NotFound
from oose.existence import Existence
from oose.imports import Imports
from oose.logins import Logins
from oose.peers.quarantines import Quarantines
from oose.prism_caches import PrismCaches
from oose.protection import Protection
from oose.purchases import Session
from oose.purchasing import MOST_LIFE, PurchaseDesk, as_answer
from oose.referrers import parse_referrers
from oose.removal import Removal, Removed
from oose.retrieve import parse_source
from oose.uploads import Uploads
from oose.viewing import Viewing
from oose.web.answers import Answer, json_answer
from oose.web.fields import Fields, json_body
from oose.web.form import Form
from oose.web.gate import TOKEN_HEADER
from oose.web.intake import IntakeRequest
from oose.web.put import PutBody, put_body
from oose.web.room import Lobby
from oose.web.routing import Access, Routes
from oose.web.upload import form_body, settle_all

routes = Routes()
CROSSDOMAIN = b"""<?xml version="1.0"?>
<!DOCTYPE cross-domain-policy SYSTEM "http://www.adobe.com/xml/dtds/cross-domain-policy.dtd">
<cross-domain-policy><allow-access-from domain="*" /></cross-domain-policy>
"""
MOST_TRIES = 100
MOST_TIMEOUT = 60_000  # ms


@frozen
class PrismParts:
    """What a prism is put together from. `purchase_life` is ms."""

    lobby: Lobby
    logins: Logins
    uploads: Uploads
    existence: Existence
    desk: PurchaseDesk
    viewing: Viewing
    downloads: Downloads
    imports: Imports
    caches: PrismCaches
    removal: Removal
    protection: Protection
    quarantines: Quarantines
    max_upload: int | None
    default_hash_type: str
    purchase_life: int


class Prism:
    """The room of a prism."""

    routes: ClassVar[Routes] = routes
    app: ClassVar[Klein] = routes.app
    server_name = b"oose"

    def __init__(self, parts: PrismParts) -> None:
        self.lobby = parts.lobby
        self.uploads = parts.uploads
        self.max_upload = parts.max_upload
        self.default_hash_type = parts.default_hash_type
        self.authorise = parts.lobby.authorise
        self.count = parts.lobby.count
        self._parts = parts

    # Public.

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

    @routes.at("/crossdomain.xml", "GET")
    async def crossdomain(self, request: IntakeRequest) -> Answer:
        """What old players ask for."""
        return Answer(200, CROSSDOMAIN, ((b"Content-Type", b"text/x-cross-domain-policy"),))

    @routes.at("/user/login", "POST", body=json_body)
    async def login(self, request: IntakeRequest, fields: Fields) -> Mapping[str, Any]:
        """Make a session."""
        login = await self._parts.logins.login(
            fields.text("username", limit=256),
            fields.text("password", limit=1024),
            self.lobby.clients.address(request),
            self.lobby.now(),
        )
        return {"success": "User logged in", "session": session_answer(login.token, login.session)}

    @routes.at("/<token>/<filename>", "GET")
    async def play(self, request: IntakeRequest, token: str, filename: str) -> Answer:
        """Send a viewer with a purchase to a store."""
        return await self._parts.viewing.purchased(request, token, filename)

    @routes.at("/static/<content_hash>/<filename>", "GET")
    async def static(self, request: IntakeRequest, content_hash: str, filename: str) -> Answer:
        """Send a viewer to a store that has content which needs no purchase."""
        return await self._parts.viewing.static(request, content_hash, filename)

    # With a session.

    @routes.at("/user/logout", "POST", access=Access.SESSION)
    async def logout(self, request: IntakeRequest) -> Mapping[str, Any]:
        """End the session that asks."""
        await self._parts.logins.logout(request.header(TOKEN_HEADER) or "")
        return {"success": "User logged out"}

    @routes.at("/user/session/validate", "POST", access=Access.SESSION)
    async def validate(self, request: IntakeRequest) -> Mapping[str, Any]:
        """The session that asks."""
        token = request.header(TOKEN_HEADER) or ""
        answer = session_answer(token, request.session) if request.session else {}
        return {"success": "Session valid", "session": answer}

    @routes.at("/content/upload", "POST", access=Access.SESSION, body=form_body)
    async def upload(self, request: IntakeRequest, form: Form) -> Answer:
        """Keep the files of a form."""
        files = await settle_all(form)
        told = {"success": "File(s) uploaded", "data": form.fields, "files": files}
        hashes = [str(each["hash"]) for each in files.values()]
        return json_answer(told, about=hashes[0] if len(hashes) == 1 else None)

    @routes.at("/content/retrieve", "POST", access=Access.SESSION, body=json_body)
    async def retrieve(self, request: IntakeRequest, fields: Fields) -> Mapping[str, Any]:
        """Keep a file from a web server."""
        source = parse_source(fields.get("request"))
        hash_type = parse_hash_type(fields.get("hashType") or self.default_hash_type)
        given = fields.get("extension")
        ext = parse_extension(given) if given else None
        return await self._parts.imports.retrieve(source, hash_type, ext)

    @routes.at("/content/detail", "POST", access=Access.SESSION, body=json_body)
    async def detail(self, request: IntakeRequest, fields: Fields) -> Mapping[str, Any]:
        """Where content is."""
        return await self._parts.existence.answer(fields.hashes())

    @routes.at("/content/download", "POST", access=Access.SESSION, body=json_body)
    async def download(self, request: IntakeRequest, fields: Fields) -> Answer | None:
        """The bytes."""
        return await self._parts.downloads.send(request, fields.hash())

    @routes.at("/content/purchase", "POST", access=Access.SESSION, body=json_body)
    async def purchase(self, request: IntakeRequest, fields: Fields) -> Mapping[str, Any]:
        """Open content to viewers for a time."""
        content_hash = fields.hash()
        ext = parse_extension(fields.get("ext"))
        referrers = parse_referrers(fields.get("referrer"))
        life = fields.number("life", least=1, most=MOST_LIFE) or self._parts.purchase_life
        existence = self._parts.existence
        if not existence.candidates(await existence.records(content_hash)):
            raise NotFound(f"{content_hash} was not found")
        desk = self._parts.desk
        return as_answer(await desk.sell(content_hash, ext, referrers, life, self.lobby.now()))

    @routes.at("/content/purchase/remove", "POST", access=Access.SESSION, body=json_body)
    async def remove_purchase(self, request: IntakeRequest, fields: Fields) -> Mapping[str, Any]:
        """End a purchase."""
        token = parse_token(fields.get("token"))
        count = int(await self._parts.desk.remove(token))
        return {"token": token, "count": count, "success": "Purchase removed"}

    # For peers and tools.

    @routes.at("/content/exists", "POST", access=Access.PEER, body=json_body)
    async def exists(self, request: IntakeRequest, fields: Fields) -> Mapping[str, Any]:
        """Where content is, past the cache if need be."""
        tries = fields.number("tryCount", least=1, most=MOST_TRIES)
        timeout = fields.number("timeout", least=1, most=MOST_TIMEOUT)
        if tries is None and timeout is None:
            return await self._parts.existence.answer(fields.hashes())
        return await self._parts.existence.insist(
            fields.hashes(), tries or MOST_TRIES, (timeout or MOST_TIMEOUT) / 1000
        )

    @routes.at("/content/put/<name>", "PUT", access=Access.PEER, body=put_body)
    async def put(self, request: IntakeRequest, body: PutBody, name: str) -> Answer:
        """Keep a file under its hash on one of the stores."""
        kept = await body.settle()
        file = f"{kept.record.hash}.{kept.record.mime_extension}"
        return json_answer({"success": "File uploaded", "file": file}, 201)

    @routes.at("/content/remove", "POST", access=Access.PEER, body=json_body)
    async def remove(self, request: IntakeRequest, fields: Fields) -> Mapping[str, Any]:
        """Remove content, with all of its clones; or say what that would come to."""
        asked = fields.hashes()
        removal = self._parts.removal
        pretend = fields.truth("pretend", default=False)
        done = await (removal.foresee if pretend else removal.remove_all)(listed(asked))
        success = "Content would be removed" if pretend else "Content removed"
        answers = {key: {"success": success, **removed_answer(each)} for key, each in done.items()}
        return answers[asked] if isinstance(asked, str) else answers

    @routes.at("/content/protect", "POST", access=Access.PEER, body=json_body)
    async def protect(self, request: IntakeRequest, fields: Fields) -> Mapping[str, Any]:
        """Let no tool remove content, or let them again."""
        asked = fields.hashes()
        protection = self._parts.protection
        change = protection.protect
        if not fields.truth("protected", default=True):
            change = protection.release
        answers = {key: content_answer(each) for key, each in (await change(listed(asked))).items()}
        return answers[asked] if isinstance(asked, str) else answers

    @routes.at("/content/protected", "POST", access=Access.PEER, body=json_body)
    async def protected(self, request: IntakeRequest, fields: Fields) -> Mapping[str, Any]:
        """What is protected, some of it at a time."""
        after = parse_hash(fields.get("after")) if fields.get("after") is not None else ""
        page = await self._parts.protection.page(after)
        return {"hashes": page.hashes, "after": page.after}

    @routes.at("/quarantine/list", "POST", access=Access.PEER, body=json_body)
    async def quarantine_list(self, request: IntakeRequest, fields: Fields) -> Mapping[str, Any]:
        """Which stores there are, or what a store has put aside and why."""
        quarantines = self._parts.quarantines
        if fields.get("store") is None:
            return {"stores": quarantines.places(), "away": quarantines.away()}
        after = fields.text("after") if fields.get("after") is not None else None
        return await quarantines.page(fields.text("store"), after)

    @routes.at("/quarantine/restore", "POST", access=Access.PEER, body=json_body)
    async def quarantine_restore(self, request: IntakeRequest, fields: Fields) -> Mapping[str, Any]:
        """Have a store bring a file back."""
        return await self._parts.quarantines.restore(fields.text("store"), fields.hash())

    @routes.at("/cache/detail", "POST", access=Access.PEER, body=json_body)
    async def cache_detail(self, request: IntakeRequest, fields: Fields) -> Mapping[str, Any]:
        """What is in a cache."""
        return self._parts.caches.detail(fields.get("command"))

    @routes.at("/cache/flush", "POST", access=Access.PEER, body=json_body)
    async def cache_flush(self, request: IntakeRequest, fields: Fields) -> Mapping[str, Any]:
        """Empty a cache."""
        return {"success": "ok", "count": self._parts.caches.flush(fields.get("command"))}


def listed(asked: str | Sequence[str]) -> Sequence[str]:
    """One hash as the list of it."""
    return [asked] if isinstance(asked, str) else asked


def removed_answer(removed: Removed) -> Mapping[str, Any]:
    """What has become of content."""
    answer = {"hash": removed.hash, "removed": removed.removed, "waiting": removed.waiting}
    return answer if removed.purchases is None else {**answer, "purchases": removed.purchases}


def content_answer(content: Content) -> Mapping[str, Any]:
    """What people have said of content; None where they have not."""
    return {
        "hash": content.hash,
        "protected": content.protected,
        "removedAt": content.removed,
        "wanted": content.wanted,
    }


def session_answer(token: str, session: Session) -> Mapping[str, Any]:
    """A session as its owner is told of it."""
    data = {"username": session.username, "expires": session.expires}
    return {"token": token, "ip": session.ip, "data": data}

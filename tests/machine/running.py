"""One machine in this process: a prism and its stores on real sockets, disks and threads."""

import json
import tomllib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import define, field

from oose.databases import OneMachine
from oose.embedded import EmbeddedDatabase
from oose.settings import Settings
from oose.settings.reader import check
from oose.tap import OoseService, put_together
from tests.machine.talk import FORM, Response, basic, exchange, form, parse, request


@define
class Machine:
    """A started machine; `token` is a session's."""

    service: OoseService
    settings: Settings
    token: str = ""
    failures: list[None] = field(factory=list)

    @property
    def ports(self) -> list[int]:
        """Of the stores, then of the prism."""
        return [bound.port for bound in self.service._bound]

    @property
    def database(self) -> EmbeddedDatabase:
        """Where it keeps what is not content."""
        databases = self.service._assembly.databases
        assert isinstance(databases, OneMachine)
        return databases.database

    @property
    def login(self) -> Mapping[str, str]:
        """The profile of the first user."""
        return tomllib.loads((self.settings.root / "login.toml").read_text())

    def basic(self, kind: str) -> Mapping[str, str]:
        """The header with the own credentials of the `prism` or `store`."""
        own = json.loads((self.settings.root / "secrets.json").read_text())[kind]
        return basic((own["username"], own["password"]))

    def content(self, store: int = 0) -> list[Path]:
        """The files of a store."""
        root = self.settings.stores[store].root / "content"
        return sorted(path for path in root.rglob("*") if path.is_file())

    async def leftovers(self) -> list[Path]:
        """What lies in the `incoming` of any store, once what was confirmed is cleared away."""
        for holdings in self.service._assembly.holdings:
            await holdings.volume.settled()
        roots = [each.root / "incoming" for each in self.settings.stores]
        return [path for root in roots for path in root.iterdir()]

    async def ask(
        self,
        target: str,
        value: object = None,
        *,
        method: str = "",
        store: int | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Response:
        """One request: to the prism with the session, or to a store with its credentials."""
        given = {"X-OOSE-Token": self.token} if store is None else dict(self.basic("store"))
        if value is not None:
            body = json.dumps(value).encode()
            given["Content-Type"] = "application/json"
        given.update(headers or {})
        method = method or ("GET" if body is None else "POST")
        port = self.ports[-1 if store is None else store]
        return parse(await exchange(port, request(method, target, given, body)))

    async def view(self, target: str, method: str = "GET", **headers: str) -> Response:
        """What a viewer gets who follows redirects."""
        answer = await self.ask(target, method=method, headers=headers)
        while answer.status == 302:
            place = answer.headers["location"].removeprefix("http://127.0.0.1:")
            port, slash, path = place.partition("/")
            answer = parse(await exchange(int(port), request(method, slash + path, headers)))
        return answer

    async def upload(
        self, data: bytes, name: str = "notes.txt", kind: str = "text/plain", **fields: str
    ) -> Any:
        """Upload one file; what the prism says of it."""
        body = form(*fields.items(), ("file", name, kind, data))
        answer = await self.ask("/content/upload", headers=FORM, body=body)
        assert answer.status == 200, answer.body
        return answer.json()["files"]["file"]

    async def purchase(self, content_hash: str, ext: str = "txt", **more: Any) -> Any:
        """Purchase content for any page."""
        asked = {"hash": content_hash, "ext": ext, "referrer": "*", **more}
        answer = await self.ask("/content/purchase", asked)
        assert answer.status == 200, answer.body
        return answer.json()

    async def log_in(self) -> None:
        """Open a session as the first user."""
        who = {name: self.login[name] for name in ("username", "password")}
        self.token = (await self.ask("/user/login", who)).json()["session"]["token"]


def one_machine(root: Path, **sections: Any) -> Settings:
    """A configuration of one prism and one store on free ports below `root`."""
    names = {
        "root": str(root / "data"),
        "prism": {"enabled": True, "port": 0},
        "store": {"enabled": True, "port": 0, "min_free": 0},
        **sections,
    }
    return check(names, None)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Machine]:
    """Start a machine, log in where it has a prism, and stop it in the end."""
    failures: list[None] = []
    service = put_together(settings, lambda: failures.append(None))
    machine = Machine(service, settings, failures=failures)
    service.privilegedStartService()
    service.startService()
    try:
        assert service.starting is not None
        await service.starting
        if settings.prism.enabled and not failures and settings.ssl is None:
            await machine.log_in()
        yield machine
    finally:
        if service.running:
            await service.stopService()

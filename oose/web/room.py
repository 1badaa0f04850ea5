"""What a prism and a store have in common as rooms: welcome, ping, stats, who may come in."""

from collections.abc import Mapping
from typing import Any

from attrs import define
from twisted.internet.interfaces import IReactorTime

from oose.stats import Stats
from oose.web.answers import Answer, json_answer
from oose.web.client import ClientAddress
from oose.web.gate import Gate
from oose.web.intake import IntakeRequest
from oose.web.routing import Access

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>OOSE</title>
<style>body{{font:16px/1.5 system-ui;margin:4rem auto;max-width:40rem}}</style>
<h1>Welcome to OOSE</h1>
<p>Version {version}. This {kind} keeps and delivers media files; it is up and answers
<a href="/ping">/ping</a> and <a href="/stats">/stats</a>.</p></html>
"""


@define
class Lobby:
    """The open routes of a room of some `kind`, and its gate."""

    kind: str
    gate: Gate
    clients: ClientAddress
    stats: Stats
    clock: IReactorTime

    async def authorise(self, request: IntakeRequest, access: Access) -> None:
        """See `Room.authorise`."""
        await self.gate.authorise(request, access)

    def count(self, endpoint: str, status: int) -> None:
        """See `Room.count`."""
        self.stats.count(endpoint, status)

    def now(self) -> int:
        """The time in ms since 1970."""
        return int(self.clock.seconds() * 1000)

    def welcome(self, request: IntakeRequest) -> Answer:
        """`/`: for a browser a page, else JSON."""
        if "text/html" in (request.header(b"accept") or ""):
            page = PAGE.format(version=self.stats.version, kind=self.kind)
            headers = ((b"Content-Type", b"text/html; charset=utf-8"),)
            return Answer(200, page.encode("utf-8"), headers)
        return json_answer({"message": f"Welcome to OOSE version {self.stats.version}"})

    def tree(self) -> Mapping[str, Any]:
        """`/stats`."""
        return self.stats.tree(self.clock.seconds())

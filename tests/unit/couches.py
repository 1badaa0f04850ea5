"""Clients of a CouchDB for tests, with a clock that stands still."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

from attrs import evolve, frozen
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from oose.couchdb import CouchClient, CouchDocuments
from oose.metadata.documents import Database
from oose.settings.model import CouchSettings
from oose.tls import client_policy
from tests.couchdb_double import ACCOUNT, ADMIN, ADMIN_PASSWORD, PASSWORD, Cluster, served
from tests.fault_proxy import FaultProxy, proxied
from tests.real import reactor

NAMES = ("oose-peer", "oose-inventory", "oose-content", "oose-heartbeat")


@frozen
class Couch:
    """A CouchDB with databases of ours, what goes wrong on the way to it, and our client."""

    cluster: Cluster
    proxy: FaultProxy
    clock: Clock
    client: CouchClient

    @property
    def settings(self) -> CouchSettings:
        return self.client.settings

    def documents(self, name: Database = "peer") -> CouchDocuments:
        return CouchDocuments(self.client, name)

    async def late(self, work: Deferred[Any], fault: Awaitable[None]) -> None:
        """Let the time for a request pass, once a fault has struck it."""
        await fault
        assert not work.called
        self.clock.advance(self.settings.timeout)

    def as_admin(self) -> CouchClient:
        settings = evolve(self.settings, username=ADMIN, password=ADMIN_PASSWORD)
        return client_at(settings, self.clock)


def client_at(settings: CouchSettings, clock: Clock) -> CouchClient:
    return CouchClient(reactor, client_policy(False, own=None), settings, clock=clock)


@asynccontextmanager
async def couch_at(port: int | None = None) -> AsyncIterator[Couch]:
    """Its client talks to the server at `port` where given, else to the double behind a proxy."""
    clock = Clock()
    async with served(Cluster()) as cluster, proxied(cluster.port) as proxy:
        cluster.make(*NAMES)
        url = f"http://127.0.0.1:{port or proxy.port}"
        client = client_at(CouchSettings(url, ACCOUNT, PASSWORD), clock)
        yield Couch(cluster, proxy, clock, client)
        await client.close()

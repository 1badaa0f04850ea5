"""A started cluster as the probes see it: what to ask of it, and how to wait for its word."""

import os
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from attrs import define

from install.cluster.cluster import USER, Cluster
from tests.probe.client import Client, Refused

T = TypeVar("T")
TEMPO = (
    '{"start_delay": 0.5, "frequency": 0.5, "retries": 3, "ping_response_timeout": 1,'
    ' "vote_life": 6, "vote_prune_frequency": 3}'
)
SOON = 60.0  # seconds that votes and returns may take here


@define
class Running:
    """The cluster and a way in at each prism."""

    cluster: Cluster

    def stranger(self, prism: str) -> Client:
        """A way in for who has no session."""
        context = ssl.create_default_context(cafile=self.cluster.certificate)
        return Client(self.cluster.url(prism), context)

    def client(self, prism: str) -> Client:
        """A user's way in, logged in there."""
        client = self.stranger(prism)
        password = (self.cluster.folder / "user-password").read_text().strip()
        within(SOON, lambda: client.log_in(USER, password))
        return client

    def settled(self, prism: str) -> Client:
        """The same, when that prism uses all stores: they may have been away until just now."""
        client = self.client(prism)
        within(SOON, lambda: spread(client))
        return client

    def peers(self) -> Mapping[str, Mapping[str, Any]]:
        """The peers by name, as the database has them."""
        return {each["name"]: each for each in self.cluster.couch.documents("oose-peer").values()}

    def wait_until(self, available: bool, names: Iterable[str]) -> None:
        """Wait until the cluster says so of each."""
        wanted = set(names)

        def look() -> None:
            peers = self.peers()
            late = [name for name in wanted if peers[name]["available"] is not available]
            if late:
                raise Refused(f"{late} are not yet available={available}")

        within(SOON, look)


def within(seconds: float, call: Callable[[], T], pause: float = 0.1) -> T:
    """What `call` gives, tried again while it fails, for so long."""
    return by(time.monotonic() + seconds, call, pause)


def by(until: float, call: Callable[[], T], pause: float = 0.1) -> T:
    """The same, up to a time of the monotonic clock; after it there is one try."""
    while True:
        try:
            return call()
        except (Refused, AssertionError):
            if time.monotonic() > until:
                raise
            time.sleep(pause)


def spread(client: Client) -> tuple[bytes, str, list[str]]:
    """New content with a clone in each site, as it comes when all are back; its hash and places."""
    data = os.urandom(300_000)
    content_hash = client.upload(data)["hash"]
    places = list(client.detail(content_hash)["map"])
    assert {place.partition(":")[0] for place in places} == {"prism1", "prism2"}
    assert len(places) == 2
    return data, content_hash, places

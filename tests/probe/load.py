"""Uploads, downloads and viewers that go on while something happens."""

import os
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

from attrs import define, field

from tests.probe.client import Client, Refused
from tests.probe.tended import view

SIZES = (60_000, 2_500_000)  # one that is written whole, one in pieces


@define(eq=False)
class Load:
    """What was uploaded, by hash; how many answers there were, and those that were none."""

    clients: Sequence[Client]
    uploaded: dict[str, bytes] = field(factory=dict)
    uploads: int = 0
    reads: int = 0
    refused: list[str] = field(factory=list)
    refused_viewers: list[str] = field(factory=list)
    working: list[Future[None]] = field(factory=list)

    def upload(self, client: Client) -> None:
        data = os.urandom(random.choice(SIZES))
        try:
            content_hash = client.upload(data)["hash"]
        except Refused as error:
            self.refused.append(str(error))
            return
        self.uploaded[content_hash] = data
        self.uploads += 1

    def read(self, client: Client) -> None:
        if not self.uploaded:
            return
        content_hash, data = random.choice(list(self.uploaded.items()))
        try:
            assert client.detail(content_hash)["exists"]
            assert client.download(content_hash) == data
        except Refused as error:
            self.refused.append(str(error))
        try:
            assert view(client, content_hash) == data
        except Refused as error:
            self.refused_viewers.append(str(error))
        self.reads += 1

    def goes_on(self) -> Callable[[], None]:
        """To be waited for: some more of all of it."""
        uploads, reads = self.uploads + 5, self.reads + 5

        def look() -> None:
            self.check()
            assert self.uploads >= uploads
            assert self.reads >= reads

        return look

    def check(self) -> None:
        """Raise what was wrong, if anything was."""
        for each in self.working:
            if each.done():
                each.result()


@contextmanager
def under_load(*clients: Client) -> Iterator[Load]:
    """It goes on until it is left; a wrong answer is raised then."""
    load = Load(clients)
    is_over = Event()

    def again_and_again(work: Callable[[Client], None]) -> None:
        while not is_over.is_set():
            for client in clients:
                work(client)

    with ThreadPoolExecutor(2) as pool:
        load.working += (pool.submit(again_and_again, work) for work in (load.upload, load.read))
        try:
            yield load
        finally:
            is_over.set()
    load.check()

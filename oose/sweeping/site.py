"""A store as a sweep works on it: its disk, its records, and how many requests they may cost."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from attrs import define, field

from oose.contents import Content, Contents
from oose.disk import Disk, Found
from oose.errors import Unavailable
from oose.existence import Existence
from oose.holdings import Holdings
from oose.media_types import media_type_of
from oose.metadata.documents import Document, Inventory, Stale, Write
from oose.metadata.records import InventoryRecord, record_id
from oose.pace import Pace
from oose.sweeping.counts import Counts
from oose.sweeping.layout import Seen, parse

T = TypeVar("T")
BATCH = 1000  # records in one go
WRITES = 250  # of them in one request, where the database is elsewhere
LOOKS = 100  # at single files in one step


@define
class Site:
    """What the parts of a sweep share. `now` is ms since 1970, `requests` a pace.

    Where the folder `content` has become another meanwhile, everything ends with `Unavailable`.
    """

    store: Holdings
    inventory: Inventory
    contents: Contents
    existence: Existence
    requests: Pace
    counts: Counts
    now: Callable[[], int]
    _ground: tuple[int, int] | None = field(default=None, init=False)

    @property
    def disk(self) -> Disk:
        """The disk, for calls that block."""
        return self.store.volume.disk

    async def run(self, call: Callable[..., T], *args: Any) -> T:
        """Run a call that blocks for a moment, in the disk's pool."""
        return await self.store.volume.pool.run(call, *args)

    def check(self) -> None:
        """`Unavailable` unless the disk is ours and was there all the time. Blocks."""
        self.disk.check()
        if self._ground not in {None, self.disk.ground}:
            raise Unavailable(f"{self.disk.content} is not the folder that it was")
        self._ground = self.disk.ground

    def look_at(self, content_hash: str, path: str) -> Found | None:
        """The file of a hash at a path that is one of its own. Blocks."""
        name = parse(path)
        if name is None or name[0] != content_hash:
            return None
        return self.disk.look_at(path)

    # Requests.

    async def read(self, hashes: Sequence[str]) -> Mapping[str, Document]:
        """The store's records of at most `BATCH` hashes as they are now, by hash."""
        if not hashes:
            return {}
        await self.requests.take(1)
        found = await self.inventory.get_many([self.id_of(each) for each in hashes])
        return {each.partition(":")[0]: document for each, document in found.items()}

    async def write(self, writes: Sequence[Write]) -> Mapping[str, str]:
        """Write at most `BATCH` records; new revisions by hash, without those of stale ones."""
        if not writes:
            return {}
        await self.requests.take(-(-len(writes) // WRITES))
        answers = await self.inventory.put_many(writes)
        made = {
            write.id.partition(":")[0]: answer
            for write, answer in zip(writes, answers, strict=True)
            if not isinstance(answer, Stale)
        }
        for each in made:
            self.existence.forget(each)
        return made

    async def notes(self, hashes: Sequence[str]) -> Mapping[str, Content]:
        """What is noted of content now."""
        await self.requests.take(1)
        return await self.contents.get_many(hashes)

    def id_of(self, content_hash: str) -> str:
        """The id of the store's record."""
        return record_id(content_hash, self.store.prism, self.store.store)

    def record_of(self, seen: Seen) -> Write:
        """The write of a record for a file that has none."""
        record = InventoryRecord(
            hash=seen.hash,
            prism=self.store.prism,
            store=self.store.store,
            mime_type=media_type_of(seen.ext),
            mime_extension=seen.ext,
            relative_path=seen.path,
            size=seen.size,
            created=min(seen.created, self.now()),
        )
        return Write(record.id, record.to_body())

"""Disks for the tests of sweeps: trees of files of any kind, and what a lister makes of them."""

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from attrs import define, evolve, field
from hypothesis import strategies as st

from oose.address import HASH_TYPES, old_relative_path, relative_path
from oose.contents import Contents
from oose.embedded import EmbeddedDocuments
from oose.holdings import Holdings
from oose.metadata.documents import Document, Held, Inventory, Stale, Write
from oose.metadata.records import InventoryRecord
from oose.settings.model import InventorySettings
from oose.sweeping.disk_sweeps import DiskSweeps, Means
from oose.sweeping.layout import REST, SLICES, Seen
from oose.sweeping.listing import Lister
from tests.unit.keeping import NOW, Keeping

T = TypeVar("T")
HASHES = [
    hashlib.new(kind, f"{kind} {number}".encode()).hexdigest()
    for kind in HASH_TYPES
    for number in range(4)
]


@define
class Listed:
    """All that a lister has told."""

    files: dict[str, list[Seen]] = field(factory=dict)
    strangers: list[str] = field(factory=list)
    links: int = 0
    problems: dict[str, str] = field(factory=dict)

    def seen(self) -> list[Seen]:
        return sorted(each for some in self.files.values() for each in some)


def list_all(lister: Lister, parts: Sequence[str] = (*SLICES, REST)) -> Listed:
    listed = Listed()
    for part in parts:
        files: list[Seen] = []
        while True:
            page = lister.read(part)
            files += page.files
            listed.strangers += page.strangers
            listed.links += page.links
            if page.problem is not None:
                listed.problems[part] = page.problem
            if page.is_last:
                break
        if files:
            listed.files[part] = sorted(files)
    listed.strangers.sort()
    return listed


def expected(content: Path) -> tuple[list[Seen], list[str], int]:
    """What there is, told by other means: files, strangers, and how many links of 2.x."""
    files, strangers, links = [], [], 0
    by_place = {}
    for content_hash in HASHES:
        for ext in EXTENSIONS:
            for form in (relative_path, old_relative_path):
                by_place[form(content_hash, ext)] = (content_hash, ext)
    for place in content.rglob("*"):
        status = place.lstat()
        path = str(place.relative_to(content))
        if path in by_place and stat.S_ISREG(status.st_mode):
            when = max(0, status.st_mtime_ns // 1_000_000)
            files.append(Seen(*by_place[path], path, status.st_size, when))
        elif place.is_symlink() and is_without_extension(path):
            links += 1
        elif not stat.S_ISDIR(status.st_mode):
            strangers.append(path)
    return sorted(files), sorted(strangers), links


def is_without_extension(path: str) -> bool:
    """Whether version 2.x would have put a link there."""
    digits = path.replace("/", "")
    pairs = [digits[at : at + 2] for at in range(0, len(digits), 2)]
    is_hash = set(digits) <= set("0123456789abcdef") and len(pairs) in {16, 20, 28, 32, 48, 64}
    return is_hash and path == "/".join(pairs)


EXTENSIONS = ["mp4", "txt", "tar-gz_1"]
EXTS = st.sampled_from(EXTENSIONS)
PLACES = st.builds(
    lambda form, content_hash, ext: form(content_hash, ext),
    st.sampled_from([relative_path, old_relative_path]),
    st.sampled_from(HASHES),
    EXTS,
)
NAMES = (
    st.binary(min_size=1, max_size=12).map(os.fsdecode)
    | st.sampled_from(["00", "0a", "ff", "FF", "f 1 2 00", "a\nb", "\udcff", "find: '00'"])
).filter(lambda name: "/" not in name and "\0" not in name and name not in {".", ".."})
LINKS = st.sampled_from(HASHES).map(lambda each: old_relative_path(each, "x").removesuffix(".x"))
TAILS = st.sampled_from(["X", "\n"])
NEARLY = st.builds(lambda place, tail: place + tail, PLACES, TAILS | st.just(".tmp")) | st.builds(
    lambda place, tail: place + tail, LINKS, TAILS
)
WITHIN = st.builds(lambda place, name: f"{place.rpartition('/')[0]}/{name}", PLACES, NAMES)
FOREIGN = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
KINDS = st.sampled_from(["file", "file", "file", "empty", "link", "fifo", "folder"])
TIMES = st.integers(-(10**12), 4 * 10**18)  # ns
Entry = tuple[str, str, int, int]
ENTRIES: st.SearchStrategy[list[Entry]] = st.lists(
    st.tuples(PLACES | LINKS | NEARLY | WITHIN | FOREIGN, KINDS, st.integers(1, 5000), TIMES),
    max_size=25,
)


def make(content: Path, entries: Sequence[Entry]) -> None:
    """Make what can be made of `entries`; where two are in each other's way the first is there."""
    for path, kind, size, when in entries:
        place = content / path
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            if kind == "link":
                place.symlink_to("..")
            elif kind == "fifo":
                os.mkfifo(place)
            elif kind == "folder":
                place.mkdir()
            else:
                with place.open("xb") as file:
                    file.write(b"x" * (0 if kind == "empty" else size))
                os.utime(place, ns=(when, when))
        except (FileExistsError, NotADirectoryError):
            continue


Hook = Callable[[str], Awaitable[None]]


async def nothing(name: str) -> None:
    """What happens beside a sweep unless a test says otherwise."""


@define
class Hooked:
    """A pool, and an inventory, before and after each of whose calls something may happen.

    The database's pages may be as they were earlier: what is `unlisted` is missing from them.
    """

    inventory: Inventory
    hook: Hook = nothing
    unlisted: set[str] = field(factory=set)
    asked: Counter[str] = field(factory=Counter)

    async def run(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        name = getattr(call, "__name__", "")
        await self.hook(f"before {name}")
        result = call(*args, **kwargs)
        await self.hook(f"after {name}")
        return result

    async def held(self, place: str, prefix: str = "", **more: Any) -> Sequence[Held]:
        rows = await self._ask("held", self.inventory.held(place, prefix, **more))
        return [each for each in rows if each.hash not in self.unlisted]

    async def get_many(self, ids: Sequence[str]) -> Mapping[str, Document]:
        return await self._ask("get_many", self.inventory.get_many(ids))

    async def put_many(self, writes: Sequence[Write]) -> Sequence[str | Stale]:
        return await self._ask("put_many", self.inventory.put_many(writes))

    async def _ask(self, name: str, question: Coroutine[Any, Any, T]) -> T:
        self.asked[name] += 1
        try:
            await self.hook(f"before {name}")
        except BaseException:
            question.close()
            raise
        answer = await question
        await self.hook(f"after {name}")
        return answer


@define
class Sweeping:
    """One store whose disk is swept."""

    keeping: Keeping
    store: Holdings
    contents: Contents
    hooked: Hooked
    means: Means
    sweeps: DiskSweeps

    @classmethod
    async def begin(cls, folder: Path, **settings: Any) -> "Sweeping":
        keeping = await Keeping.begin(folder)
        hooked = Hooked(keeping.inventory)
        store = await keeping.start(pool=hooked)
        contents = Contents(EmbeddedDocuments(keeping.database, "content"))
        given = {"files": None, "requests": None, "driver": "native", **settings}
        inventory: Any = hooked
        means = Means(
            inventory,
            contents,
            keeping.existence,
            InventorySettings(**given),
            keeping.clock,
            keeping.now,
        )
        made = cls(keeping, store, contents, hooked, means, DiskSweeps(store, means))
        made.sweeps.start()
        return made

    @property
    def content(self) -> Path:
        return self.store.volume.disk.content

    def restart(self) -> None:
        """The process is another from here on."""
        self.sweeps = DiskSweeps(self.store, self.means)
        self.sweeps.start()

    async def scan(self, driver: str = "native") -> Mapping[str, Any]:
        """Sweep all of it, now; how that ended."""
        await self.sweeps.scan(driver, fast=False)
        await self.sweeps.ended()
        return await self.sweeps.status()

    def file(self, path: str, data: bytes = b"data", when: int = NOW - 1000) -> Path:
        """A file on the disk, last written at `when` (ms)."""
        place = self.content / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        os.utime(place, ns=(when * 1_000_000, when * 1_000_000))
        return place

    async def record(self, content_hash: str, path: str, size: int = 4, **more: Any) -> None:
        """A record of the store."""
        record = InventoryRecord(
            hash=content_hash,
            prism="p1",
            store="s1",
            mime_type="video/mp4",
            mime_extension=path.rpartition(".")[2],
            relative_path=path,
            size=size,
            created=more.pop("created", NOW - 1000),
            **more,
        )
        await self.keeping.inventory.put(record.id, record.to_body())

    async def records(self) -> dict[str, InventoryRecord]:
        """All there are, by hash."""
        rows = await self.keeping.inventory.range("", "\uffff")
        return {row.body["hash"]: InventoryRecord.from_document(row) for row in rows}

    async def bury(self, content_hash: str, when: int = NOW) -> None:
        """Note that content was removed at `when` (ms)."""
        await self.contents.change(content_hash, lambda each: evolve(each, removed=when))

    def aside(self) -> list[str]:
        """What is in quarantine, without the notes."""
        names = (each.name for each in self.store.volume.disk.quarantine.iterdir())
        return sorted(each for each in names if not each.endswith(".why.json"))

    def there(self) -> list[str]:
        """The files on the disk."""
        found = (each for each in self.content.rglob("*") if not each.is_dir())
        return sorted(str(each.relative_to(self.content)) for each in found)

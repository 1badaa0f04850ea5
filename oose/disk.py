"""One store's disk: blocking calls on plain files, laid out as docs/concepts.md shows.

No Twisted here: `oose.volume` runs these calls in the disk's own pool of threads.
"""

import errno
import json
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from attrs import define, field, frozen

from oose.address import old_relative_path, parse_content_name, parse_relative_path, relative_path
from oose.durable import FILE_MODE, FOLDER_MODE, draft_prefix, sync_folder, unpublish, write_whole
from oose.errors import BadInput, NotFound, Unavailable
from oose.incoming import FULL, Incoming, explained
from oose.locks import Lock, lock

IDENTITY = "oose-store.json"
LOCK = "oose-store.lock"
OPEN = "oose-static-open"  # there while nginx may send static content without asking
WHY = ".why.json"  # what follows the name of a file in quarantine, for the note beside it
READING = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe must not hold it up


class NotOurs(Exception):
    """The folder is not this store's disk: not mounted, another's, or not ours to begin with."""


@frozen
class Space:
    """Bytes of the file system: all, and those that may still be written."""

    capacity: int
    free: int


@frozen
class Found:
    """A content file on the disk: its path below `content`, its extension and size in bytes.

    `modified` is when it was last written, in ms since 1970.
    """

    relative_path: str
    ext: str
    size: int
    modified: int = field(default=0, eq=False)


@frozen
class Intent:
    """A file of `incoming` that a crash left behind.

    `hash` and `ext` are set when it was being made visible.
    """

    path: Path
    hash: str | None
    ext: str | None

    @property
    def place(self) -> str | None:
        """Where it was being made visible: a path below `content`."""
        if self.hash is None or self.ext is None:
            return None
        return relative_path(self.hash, self.ext)


@define
class Disk:
    """The folder `root` of the store `name`, which keeps `min_free` bytes free.

    Paths that come in and go out are relative to `content`, as in inventory records.
    """

    root: Path
    name: str
    min_free: int
    content: Path = field(init=False)  # where the files are
    incoming: Path = field(init=False)  # where files are received
    _signature: Path = field(init=False)  # where it says whose it is
    _identity: str | None = field(default=None, init=False)
    _lock: Lock | None = field(default=None, init=False)
    _seen: tuple[int, int, int] | None = field(default=None, init=False)
    _ground: tuple[int, int] | None = field(default=None, init=False)  # which folder `content` is

    def __attrs_post_init__(self) -> None:
        self.content = self.root / "content"
        self.incoming = self.root / "incoming"
        self._signature = self.root / IDENTITY

    @property
    def quarantine(self) -> Path:
        """Where files go that failed verification."""
        return self.root / "quarantine"

    # Whose disk is it?

    def enroll(self, known: str | None, *, may_create: bool) -> str:
        """Make sure that the disk is this store's and return its identity; at start.

        `known` is the identity that the peer record remembers. An empty root becomes this store's
        disk when `may_create`: there is no such record and nothing in the inventory. Raises
        `NotOurs`, with nothing written, when it cannot be told to be ours.
        """
        try:
            identity = self._read_identity()
        except FileNotFoundError:
            identity = self._create(known, may_create=may_create)
        if known is not None and identity != known:
            raise NotOurs(f"{self.root} is the disk of another store that was also {self.name!r}")
        if known is not None and not self.content.is_dir():  # an empty one would say: all is gone
            raise NotOurs(f"{self.content} is not there: the store's files are elsewhere")
        for folder in (self.content, self.incoming, self.quarantine):
            folder.mkdir(exist_ok=True, mode=FOLDER_MODE)
        sync_folder(self.root)
        self._identity = identity
        self._seen, self._ground = self._look(), self._tread()
        return identity

    def is_signed(self) -> bool:
        """Whether it says that it is this store's disk; `NotOurs` where it is another's."""
        try:
            self._read_identity()
        except FileNotFoundError:
            return False
        return True

    def sign(self) -> None:
        """Have it say so, also where it is not empty: for `oose.moving.adoption`."""
        if not self.is_signed():
            self._identify()

    def hold(self) -> None:
        """Have the enrolled disk for this process alone; `InUse` when another has it."""
        if self._lock is not None:
            return
        try:
            self._lock = lock(self.root / LOCK)
        except OSError as error:
            if error.errno != errno.EROFS:  # where nobody can write nobody can do harm
                raise

    def release(self) -> None:
        """Let another process have it."""
        if self._lock is not None:
            self.close_to_nginx()
            self._lock.release()
            self._lock = None

    def check(self) -> None:
        """Raise `Unavailable` unless the disk is still there and the one that was enrolled.

        Its `content` is the folder that it was, unless the whole disk has come anew.
        """
        try:
            seen, ground = self._look(), self._tread()
            ours = seen == self._seen or self._read_identity() == self._identity
        except (OSError, NotOurs):
            raise self._away() from None
        if self._seen is None or not ours:
            raise self._away()
        if ground != self._ground and seen[:2] == self._seen[:2]:
            raise Unavailable(f"{self.content} is not the folder that it was when this began")
        self._seen, self._ground = seen, ground

    @property
    def ground(self) -> tuple[int, int] | None:
        """Device and inode of `content` as it was when that was last checked."""
        return self._ground

    def _away(self) -> Unavailable:
        return Unavailable(
            f"The disk of the store {self.name!r} is not there; nothing is written to its place"
        )

    def _look(self) -> tuple[int, int, int]:
        status = self._signature.stat()
        return status.st_dev, status.st_ino, status.st_mtime_ns

    def _tread(self) -> tuple[int, int]:
        status = self.content.stat()
        return status.st_dev, status.st_ino

    def _read_identity(self) -> str:
        path = self._signature
        try:
            who = json.loads(path.read_text("utf-8"))
            store, identity = who["store"], who["id"]
        except (ValueError, KeyError, TypeError):
            raise NotOurs(f"{path} cannot be read as a store's identity") from None
        if store != self.name:
            raise NotOurs(f"{self.root} is the disk of the store {store!r}, not of {self.name!r}")
        return str(identity)

    def _create(self, known: str | None, *, may_create: bool) -> str:
        if known is not None or not may_create:
            raise NotOurs(
                f"{self.root} has no {IDENTITY}: the disk is not mounted. Mount it; where it is"
                " lost for good and this is a new one give the store another name in the"
                f" configuration, and say `oose peer remove {self.name}`"
            )
        with suppress(FileExistsError):
            self.root.mkdir(parents=True)
        path = self.root / IDENTITY
        there = [entry for entry in self.root.iterdir() if entry.name != "lost+found"]
        if any(not entry.name.startswith(draft_prefix(path)) for entry in there):
            raise NotOurs(f"{self.root} is not empty and has no {IDENTITY}")
        for draft in there:  # the first start was cut short
            draft.unlink()
        return self._identify()

    def _identify(self) -> str:
        identity = secrets.token_hex(16)
        text = json.dumps({"store": self.name, "id": identity})
        write_whole(self.root / IDENTITY, text)
        return identity

    def open_to_nginx(self) -> None:
        """Say that what is static may be sent without asking whether it was removed."""
        with suppress(OSError):  # where nothing can be written nginx asks
            (self.root / OPEN).touch(mode=FILE_MODE)

    def close_to_nginx(self) -> None:
        """Say that it may not."""
        with suppress(OSError):
            (self.root / OPEN).unlink()

    # Room.

    def space(self) -> Space:
        """How much there is, as a user without privileges sees it."""
        status = os.statvfs(self.root)
        return Space(status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize)

    # Bytes in.

    def create(self) -> Incoming:
        """Begin to receive a file."""
        self.check()
        return Incoming.create(self.name, self.content, self.incoming, self.min_free)

    def begin(self, content_hash: str, ext: str) -> Incoming:
        """Begin to receive a file whose hash is known; the disk has been checked."""
        place = relative_path(content_hash, ext)
        return Incoming.create(self.name, self.content, self.incoming, self.min_free, place)

    def left_behind(self) -> Iterator[Intent]:
        """What a crash left in `incoming`."""
        for path in sorted(self.incoming.iterdir()):
            if not path.is_dir():
                try:
                    yield Intent(path, *parse_content_name(path.name.partition(".")[2]))
                except BadInput:
                    yield Intent(path, None, None)

    def settle(self, intent: Intent, *, recorded: bool) -> None:
        """Clear up after a crash: what was being made visible stays only when it was `recorded`."""
        if intent.place is not None and not recorded:
            unpublish(self.content / intent.place, intent.path)
        intent.path.unlink()

    # What is there.

    def find(self, content_hash: str) -> Found | None:
        """The file of that hash, in today's layout or that of 2.x."""
        return next(self.find_all(content_hash), None)

    def find_all(self, content_hash: str) -> Iterator[Found]:
        """The same where there are several, whoever has put them there."""
        for form in (relative_path, old_relative_path):
            path = PurePosixPath(form(content_hash, "x"))
            stem = path.stem + "."
            for name in sorted(self._names(path.parent)):
                if name.startswith(stem):
                    found = self.look_at(str(path.with_name(name)))
                    if found is not None:
                        yield found

    def _names(self, folder: PurePosixPath) -> Sequence[str]:
        with explained(self.name), suppress(FileNotFoundError, NotADirectoryError):
            return os.listdir(self.content / folder)  # noqa: PTH208 # names are enough
        return ()

    def look_at(self, path: str) -> Found | None:
        """The content file at a relative path, None where there is no plain file."""
        with explained(self.name), suppress(FileNotFoundError, NotADirectoryError, NotFound):
            _, ext = parse_relative_path(path)
            status = (self.content / path).lstat()
            if stat.S_ISREG(status.st_mode):
                return Found(path, ext, status.st_size, status.st_mtime_ns // 1_000_000)
        return None

    def open(self, path: str) -> tuple[int, int]:
        """Open the file at a relative path for reading: descriptor and size; `NotFound`."""
        descriptor, status = self.open_file(path)
        return descriptor, status.st_size

    def open_file(self, path: str) -> tuple[int, os.stat_result]:
        """The same, with all that the system tells of it."""
        with explained(self.name):
            try:
                descriptor = os.open(f"{self.root}/content/{path}", READING)
            except OSError as error:
                if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO}:
                    raise NotFound("The file is not on this store") from None
                raise
            try:
                status = os.fstat(descriptor)
            except OSError:
                os.close(descriptor)
                raise
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise NotFound("The file is not on this store")
        return descriptor, status

    def remove(self, path: str) -> bool:
        """Delete the file at a relative path; whether it was there."""
        with explained(self.name):
            try:
                (self.content / path).unlink()
            except FileNotFoundError:
                return False
            sync_folder((self.content / path).parent)
            return True

    def set_aside(self, path: str, content_hash: str, why: str) -> bool:
        """Move a file to quarantine, with `why` beside it; whether it was there.

        On a full disk without: a file that must not be served is more than a note on it.
        """
        ext = path.rpartition(".")[2]
        target = self.quarantine / f"{content_hash}.{ext}"
        if target.exists():  # an earlier one stays too
            target = self.quarantine / f"{content_hash}.{secrets.token_hex(4)}.{ext}"
        note = target.with_name(target.name + WHY)
        with explained(self.name):
            try:
                write_whole(note, why)
            except OSError as error:
                if error.errno not in FULL:
                    raise
            try:
                (self.content / path).rename(target)
            except FileNotFoundError:
                note.unlink(missing_ok=True)
                return False
            sync_folder(self.quarantine)
            sync_folder((self.content / path).parent)
            return True

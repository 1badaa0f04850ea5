import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from oose.errors import DiskFull, OoseError, Unavailable
from oose.incoming import AlreadyThere, Incoming, explained, unavailable
from tests.unit.faults import before, descriptors, fail

DATA = b"a film"
HASH = hashlib.sha1(DATA).hexdigest()
PLACE = f"{HASH[:2]}/{HASH[2:4]}/{HASH}.mp4"

Begin = Callable[[], Incoming]


@pytest.fixture
def content(tmp_path: Path) -> Path:
    (tmp_path / "content").mkdir()
    (tmp_path / "incoming").mkdir()
    return tmp_path / "content"


@pytest.fixture
def begin(content: Path) -> Begin:
    return lambda: Incoming.create("disk1", content, content.parent / "incoming", 0)


def received(content: Path) -> list[Path]:
    return sorted((content.parent / "incoming").iterdir())


def visible(content: Path) -> list[str]:
    return sorted(str(p.relative_to(content)) for p in content.rglob("*") if not p.is_dir())


# The way of a file


def test_a_file_is_visible_only_when_it_is_whole(begin: Begin, content: Path) -> None:
    incoming = begin()
    incoming.write([DATA[:3]])
    assert visible(content) == []
    incoming.write([DATA[3:]])
    assert visible(content) == []
    incoming.commit(HASH, "mp4")
    assert incoming.place == PLACE
    assert visible(content) == [PLACE]
    assert (content / PLACE).read_bytes() == DATA


def test_a_file_is_durable_before_it_is_visible(
    begin: Begin, content: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    incoming = begin()
    incoming.write([DATA])
    order: list[str] = []
    for call in ("fdatasync", "link", "fsync"):
        real = getattr(os, call)

        def seen(*args: object, call: str = call, real: Callable[..., object] = real) -> None:
            order.append(call)
            real(*args)

        monkeypatch.setattr(os, call, seen)
    incoming.commit(HASH, "mp4")
    assert order == ["fdatasync", "link", "link"]  # the first finds no folder


def test_until_it_is_confirmed_incoming_tells_how_to_undo_it(begin: Begin, content: Path) -> None:
    incoming = begin()
    incoming.write([DATA])
    incoming.commit(HASH, "mp4")
    (intent,) = received(content)
    assert intent.name.endswith(f".{HASH}.mp4")
    incoming.confirm()
    assert received(content) == []
    assert visible(content) == [PLACE]


def test_the_intent_is_there_before_the_file_is_visible(
    begin: Begin, content: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    incoming = begin()
    incoming.write([DATA])
    there: list[str] = []
    before(monkeypatch, "link", lambda: there.extend(p.name for p in received(content)))
    incoming.commit(HASH, "mp4")
    assert [name.partition(".")[2] for name in there] == [f"{HASH}.mp4"]


def test_nothing_is_left_of_what_is_withdrawn(begin: Begin, content: Path) -> None:
    incoming = begin()
    incoming.write([DATA])
    incoming.withdraw()
    assert received(content) == []
    assert descriptors(str(content.parent)) == 0


def test_what_is_visible_can_still_be_withdrawn(begin: Begin, content: Path) -> None:
    incoming = begin()
    incoming.write([DATA])
    incoming.commit(HASH, "mp4")
    incoming.withdraw()
    assert visible(content) == []
    assert received(content) == []


def test_a_withdrawn_file_takes_nobody_elses_with_it(begin: Begin, content: Path) -> None:
    """Two uploads of the same content: the later one stays when the earlier is withdrawn."""
    first, second = begin(), begin()
    for each in (first, second):
        each.write([DATA])
        each.commit(HASH, "mp4")
    first.withdraw()
    second.confirm()
    assert visible(content) == [PLACE]
    assert received(content) == []


def test_a_file_without_a_record_is_replaced(begin: Begin, content: Path) -> None:
    (content / PLACE).parent.mkdir(parents=True)
    (content / PLACE).write_bytes(b"rotten")
    incoming = begin()
    incoming.write([DATA])
    incoming.commit(HASH, "mp4")
    assert (content / PLACE).read_bytes() == DATA


def test_a_file_that_is_there_is_not_replaced_where_that_is_not_wanted(
    begin: Begin, content: Path
) -> None:
    first, second = begin(), begin()
    first.write([DATA])
    first.commit(HASH, "mp4")
    second.place = PLACE
    second.write([b"other"])
    with pytest.raises(AlreadyThere, match=PLACE):
        second.publish(over=False)
    second.withdraw()
    assert (content / PLACE).read_bytes() == DATA
    assert received(content) == [first.path]
    assert descriptors(str(content.parent)) == 0


def test_an_empty_file_is_a_file_too(begin: Begin, content: Path) -> None:
    nothing = hashlib.sha1(b"").hexdigest()
    incoming = begin()
    incoming.commit(nothing, "bin")
    assert incoming.final.read_bytes() == b""


def test_a_sealed_file_holds_no_descriptor_until_it_is_committed(
    begin: Begin, content: Path
) -> None:
    incoming = begin()
    incoming.write([DATA])
    incoming.seal()
    assert descriptors(str(content.parent)) == 0
    incoming.seal()
    incoming.commit(HASH, "mp4")
    assert (content / PLACE).read_bytes() == DATA


# Room


def test_a_disk_keeps_its_least_room(content: Path) -> None:
    incoming = Incoming.create("disk1", content, content.parent / "incoming", 1 << 62)
    with pytest.raises(DiskFull, match="'disk1' is full"):
        incoming.write([DATA])
    assert received(content)[0].stat().st_size == 0
    incoming.withdraw()
    assert received(content) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_meanwhile_is_full(
    begin: Begin, content: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    incoming = begin()
    incoming.write([DATA])
    fail(monkeypatch, "writev", code)
    with pytest.raises(DiskFull, match="'disk1' is full"):
        incoming.write([DATA])
    incoming.withdraw()
    assert received(content) == []
    assert descriptors(str(content.parent)) == 0


# Faults


@pytest.mark.parametrize("code", [errno.EIO, errno.EROFS])
def test_a_file_that_cannot_be_begun_leaves_nothing(
    begin: Begin, content: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    fail(monkeypatch, "open", code, on="incoming")
    with pytest.raises(Unavailable, match=os.strerror(code)):
        begin()
    assert received(content) == []
    assert descriptors(str(content.parent)) == 0


@pytest.mark.parametrize(
    ("call", "where"),
    [
        ("fdatasync", "incoming"),  # the bytes
        ("close", "incoming"),
        ("rename", "incoming"),  # the intent
        ("mkdir", "content"),
        ("link", "content"),  # the name
    ],
)
@pytest.mark.parametrize("code", [errno.EIO, errno.EROFS, errno.ENOSPC])
def test_a_commit_that_fails_anywhere_can_be_withdrawn(
    begin: Begin,
    content: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    where: str,
    code: int,
) -> None:
    incoming = begin()
    incoming.write([DATA])
    with monkeypatch.context() as faulty:
        fail(faulty, call, code, on=where, times=1)
        with pytest.raises(DiskFull if code == errno.ENOSPC else Unavailable, match="disk1"):
            incoming.commit(HASH, "mp4")
    incoming.withdraw()
    assert visible(content) == []
    assert received(content) == []


def test_a_descriptor_is_closed_once_even_where_closing_fails(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A number that is closed twice may be somebody else's by then."""
    closed: list[int] = []

    def close(descriptor: int) -> None:
        closed.append(descriptor)
        raise OSError(errno.EIO, "Input/output error")

    incoming = begin()
    with monkeypatch.context() as faulty:
        faulty.setattr(os, "close", close)
        with pytest.raises(Unavailable):
            incoming.seal()
        incoming.withdraw()
    assert len(closed) == 1
    os.close(closed[0])


def test_withdrawing_from_a_dead_disk_fails_without_a_word(
    begin: Begin, content: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stays in `incoming` is cleared at the next start."""
    incoming = begin()
    incoming.write([DATA])
    with monkeypatch.context() as faulty:
        for call in ("close", "unlink"):
            fail(faulty, call, errno.EIO, on="incoming")
        incoming.withdraw()
    assert len(received(content)) == 1


def test_the_intent_stays_where_the_file_could_not_be_taken_away(
    begin: Begin, content: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    incoming = begin()
    incoming.write([DATA])
    incoming.commit(HASH, "mp4")
    fail(monkeypatch, "unlink", errno.EROFS, on="content")
    incoming.withdraw()
    assert visible(content) == [PLACE]
    assert len(received(content)) == 1


def test_a_confirmation_that_fails_is_told(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    incoming = begin()
    incoming.commit(HASH, "mp4")
    fail(monkeypatch, "unlink", errno.EIO, on="incoming")
    with pytest.raises(Unavailable, match="The disk of the store 'disk1' failed: Input/output"):
        incoming.confirm()


# Words


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (OSError(errno.ENOSPC, "x"), 507, "The store 'a' is full"),
        (OSError(errno.EDQUOT, "x"), 507, "The store 'a' is full"),
        (OSError(errno.EIO, "x"), 503, "The disk of the store 'a' failed: Input/output error"),
        (OSError("no number"), 503, "The disk of the store 'a' failed: Input/output error"),
    ],
)
def test_a_failed_disk_is_explained_without_its_paths(
    error: OSError, status: int, words: str
) -> None:
    answer = unavailable("a", error)
    assert (answer.status, answer.message) == (status, words)


def test_only_the_systems_errors_are_explained() -> None:
    with pytest.raises(OoseError) as told, explained("a"):
        raise PermissionError(errno.EACCES, "x", "/secret/path")
    assert "secret" not in told.value.message
    assert isinstance(told.value.__cause__, PermissionError)
    with pytest.raises(KeyError), explained("a"):
        raise KeyError
    with explained("a"):
        pass

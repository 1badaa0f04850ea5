"""What was answered is there whole after a crash; what was not is gone."""

import hashlib
import socket
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.machine.talk import FORM, form
from tests.process.twistd import Place, Running, started

MB = 1_000_000


def wait_for(what: Callable[[], object]) -> None:
    """Wait until something has happened that the program does not announce."""
    for _ in range(6000):
        if what():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen within a minute")


def begin_upload(running: Running, data: bytes, send: int | None) -> socket.socket:
    """Send the first `send` bytes of an upload and leave it at that."""
    body = form(("file", "film.mp4", "video/mp4", data))
    head = (
        f"POST /content/upload HTTP/1.1\r\nHost: x\r\nX-OOSE-Token: {running.token}\r\n"
        f"Content-Type: {FORM['Content-Type']}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", running.place.ports[0]))
    connection.sendall(head.encode() + body[:send])
    return connection


def records(place: Place) -> int:
    """How many clones the inventory knows, looked up in the file itself."""
    with sqlite3.connect(place.root / "oose.sqlite") as database:
        rows = database.execute("SELECT count(*) FROM documents WHERE db = 'inventory'")
        return int(rows.fetchone()[0])


def test_a_kill_in_the_middle_of_an_upload_leaves_nothing(tmp_path: Path) -> None:
    place = Place.make(tmp_path)
    with started(place) as running, begin_upload(running, b"x" * 20 * MB, 12 * MB):
        wait_for(lambda: any(path.stat().st_size for path in place.files("incoming")))
        running.kill()
    assert place.files("incoming")
    with started(place):
        assert place.files("incoming") == []
        assert place.files("content") == []
        assert records(place) == 0


def test_a_kill_between_rename_and_record_leaves_nothing(tmp_path: Path) -> None:
    place = Place.make(tmp_path)
    with started(place) as running:
        database = sqlite3.connect(place.root / "oose.sqlite", isolation_level=None)
        database.execute("BEGIN IMMEDIATE")  # no record can be written now
        with begin_upload(running, b"film" * 1000, None):
            wait_for(lambda: place.files("content"))
            running.kill()
        database.execute("ROLLBACK")
        database.close()
    assert place.files("content")
    assert place.files("incoming")
    with started(place) as running:
        assert place.files("incoming") == []
        assert place.files("content") == []
        assert records(place) == 0
        assert running.upload(b"film" * 1000)[0] == 200


def test_a_kill_after_the_answer_loses_nothing(tmp_path: Path) -> None:
    place = Place.make(tmp_path)
    data = b"film" * 1_000_000
    with started(place) as running:
        status, answer = running.upload(data)
        running.kill()
        assert status == 200
    content_hash = answer["files"]["file"]["hash"]
    with started(place) as running:
        assert place.files("incoming") == []
        [path] = place.files("content")
        assert path.read_bytes() == data
        assert path.name == f"{content_hash}.txt"
        assert running.post("/content/detail", {"hash": content_hash})["exists"]


def test_a_kill_among_many_uploads_keeps_exactly_what_was_answered(tmp_path: Path) -> None:
    place = Place.make(tmp_path)
    answered: list[bytes] = []

    def upload(number: int) -> None:
        data = b"%d" % number * 1000
        try:
            status, _ = running.upload(data)
        except OSError:
            return  # the process is gone
        assert status == 200
        answered.append(data)

    with started(place) as running, ThreadPoolExecutor(8) as many:
        jobs = [many.submit(upload, number) for number in range(400)]
        wait_for(lambda: len(answered) >= 40)
        running.kill()
        for job in jobs:
            job.result()
    assert len(answered) < 400
    with started(place) as running:
        assert place.files("incoming") == []
        kept = {path.stem: path.read_bytes() for path in place.files("content")}
        assert all(hashlib.sha1(data).hexdigest() == name for name, data in kept.items())
        for data in answered:
            content_hash = hashlib.sha1(data).hexdigest()
            assert kept[content_hash] == data
            assert running.post("/content/detail", {"hash": content_hash})["count"] == 1
        assert records(place) == len(kept)


def test_a_client_that_leaves_leaves_nothing(tmp_path: Path) -> None:
    place = Place.make(tmp_path)
    with started(place) as running:
        with begin_upload(running, b"x" * 20 * MB, 12 * MB):
            wait_for(lambda: place.files("incoming"))
        wait_for(lambda: not place.files("incoming"))
        assert running.upload(b"hello")[0] == 200

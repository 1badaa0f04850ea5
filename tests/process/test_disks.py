"""Disks that fill up or fail, in a mount namespace of the process's own."""

import json
import os
from pathlib import Path

from tests.machine.talk import FORM, form
from tests.process.test_crashes import begin_upload, wait_for
from tests.process.twistd import Place, started

MB = 1_000_000


def small_disk(folder: Path, signal: Path | None = None) -> list[str]:
    """What runs a command with a tmpfs of 24 MB at `folder`.

    It turns read-only when something is written into the pipe `signal`.
    """
    folder.mkdir(parents=True)
    script = f"mount -t tmpfs -o size=24m tmpfs '{folder}' && "
    if signal is not None:
        script += f"{{ (read x < '{signal}'; mount -o remount,ro '{folder}') & }} && "
    script += 'exec "$@"'
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]


def disk_files(pid: int, folder: Path, name: str) -> list[Path]:
    """The files of a disk as the process sees it."""
    below = Path(f"/proc/{pid}/root{folder}/{name}")
    return [path for path in below.rglob("*") if path.is_file()]


def test_a_full_disk_refuses_before_the_body_and_cleans_up_after_it(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    place = Place.make(tmp_path, store=f"'root': {str(disk)!r}, 'min_free': '2MB'")
    with started(place, small_disk(disk)) as running:
        pid = running.process.pid
        status, _ = running.upload(b"a" * 10 * MB)
        assert status == 200
        with begin_upload(running, b"b" * 40 * MB, 1000) as connection:
            early = connection.recv(65536)
        assert early.startswith(b"HTTP/1.1 507")
        body = form(("file", "a.txt", "text/plain", b"c" * 20 * MB))
        chunked = {**FORM, "Transfer-Encoding": "chunked"}
        pieces = b"".join(
            b"%x\r\n%s\r\n" % (len(body[at : at + MB]), body[at : at + MB])
            for at in range(0, len(body), MB)
        )
        status, answer = running.ask("POST", "/content/upload", pieces + b"0\r\n\r\n", chunked)
        assert status == 507
        assert "full" in json.loads(answer)["error"] or "room" in json.loads(answer)["error"]
        wait_for(lambda: not disk_files(pid, disk, "incoming"))
        assert len(disk_files(pid, disk, "content")) == 1
        assert running.upload(b"d" * 1000)[0] == 200


def test_a_disk_that_turns_read_only_refuses_and_still_serves(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    disk = tmp_path / "disk"
    place = Place.make(tmp_path, store=f"'root': {str(disk)!r}")
    with started(place, small_disk(disk, pipe)) as running:
        status, answer = running.upload(b"hello")
        assert status == 200
        content_hash = answer["files"]["file"]["hash"]
        pipe.write_text("now\n")
        mounts = Path(f"/proc/{running.process.pid}/mountinfo")
        wait_for(lambda: any(f" {disk} ro," in line for line in mounts.read_text().splitlines()))
        status, answer = running.upload(b"other")
        assert status == 503
        assert "Read-only" in answer["error"]
        asked = json.dumps({"hash": content_hash}).encode()
        headers = {"Content-Type": "application/json"}
        assert running.ask("POST", "/content/download", asked, headers) == (200, b"hello")
        assert running.upload(b"hello")[0] == 200  # it is there already

"""Resident memory above idle, while large files come and go."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import mkdtemp

from benchmarks.fetching import fetch_at_once
from benchmarks.report import Row
from benchmarks.running import MEGABYTE, WORK, Oose, different_bytes, oose, sell, send_file


def run() -> list[Row]:
    WORK.mkdir(parents=True, exist_ok=True)
    rows = []
    for what, asked, load in (
        ("one upload of 4 GiB", 40, one_large),
        ("8 uploads of 512 MiB at once", 80, eight_uploads),
        ("8 downloads of 512 MiB at once", 40, eight_downloads),
    ):
        with oose(Path(mkdtemp(dir=WORK)) / "oose") as server:
            path = sell(server, upload_small(server))
            fetch_at_once(server.store_port, path, 1)  # what is loaded once is not the load's
            if load is eight_downloads:
                upload(server, 512)
            idle = server.resident()
            server.reset_peak()
            load(server)
            more = server.resident("VmHWM") - idle
        rows.append(Row(f"memory: {what}", f"{more:.0f} MB", f"at most {asked} MB", more <= asked))
    return rows


def upload(server: Oose, megabytes: int) -> None:
    send_file(server.port, server.token, different_bytes(megabytes), megabytes * MEGABYTE)


def upload_small(server: Oose) -> str:
    upload(server, 1)
    return largest(server).stem


def largest(server: Oose) -> Path:
    files = (server.root / "store1" / "content").rglob("*.mp4")
    return max(files, key=lambda path: path.stat().st_size)


def one_large(server: Oose) -> None:
    upload(server, 4096)
    largest(server).unlink()


def eight_uploads(server: Oose) -> None:
    with ThreadPoolExecutor(8) as many:
        for job in [many.submit(upload, server, 512) for _ in range(8)]:
            job.result()


def eight_downloads(server: Oose) -> None:
    fetch_at_once(server.store_port, sell(server, largest(server).stem), 8)

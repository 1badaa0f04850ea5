"""GET of 1 GiB over plain HTTP, built-in delivery against nginx sending the same file."""

from pathlib import Path
from tempfile import mkdtemp

from benchmarks.fetching import fetch_at_once
from benchmarks.report import Row, median
from benchmarks.running import MEGABYTE, WORK, nginx, oose, sell, upload_one

MEGABYTES = 1024
PAIRS = 5


def run() -> list[Row]:
    WORK.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(dir=WORK))
    rows = []
    with oose(folder / "oose") as server:
        content_hash = upload_one(server, MEGABYTES)
        path = sell(server, content_hash)
        root = server.root / "store1" / "content"
        plain = f"/{content_hash[:2]}/{content_hash[2:4]}/{content_hash}.mp4"
        with nginx(folder / "nginx", root) as other:
            for streams in (1, 8):
                ours, theirs = [], []
                for _ in range(PAIRS):
                    theirs.append(speed(other.port, plain, streams))
                    ours.append(speed(server.store_port, path, streams))
                ratio = median([o / t for o, t in zip(ours, theirs, strict=True)])
                name = f"GET of 1 GiB, {streams} at once"
                rows += [
                    Row(f"{name}, nginx", f"{median(theirs):.0f} MiB/s"),
                    Row(f"{name}, oose", f"{median(ours):.0f} MiB/s"),
                    Row(f"{name}, ratio", f"{ratio:.2f}", "at least 0.8", ratio >= 0.8),
                ]
    return rows


def speed(port: int, path: str, streams: int) -> float:
    seconds, count = fetch_at_once(port, path, streams)
    if count < MEGABYTES * MEGABYTE * streams:
        raise RuntimeError(f"only {count} bytes came")
    return count / MEGABYTE / seconds

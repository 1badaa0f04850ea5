"""Small requests, 32 connections of `wrk`, against a bare twisted.web resource; small uploads."""

import re
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp

from benchmarks.report import Row, median
from benchmarks.running import REPOSITORY, WORK, free_port, oose, started, upload_one

SECONDS = 5
PAIRS = 5
UPLOAD_SECONDS = 8  # at the speeds of this kind of machine more than 10,000 uploads

DETAIL = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["X-OOSE-Token"] = "{token}"
wrk.body = '{{"hash": "{hash}"}}'
"""
SMALL = """
local pad = string.rep("x", 4080)
local count = {start}
function request()
    count = count + 1
    local data = string.format("%016d", count) .. pad
    {body}
    return wrk.format("{method}", "{path}", headers, body)
end
"""
FORM = """
    local body = '--b\\r\\nContent-Disposition: form-data; name="file"; filename="a.txt"\\r\\n' ..
        'Content-Type: text/plain\\r\\n\\r\\n' .. data .. '\\r\\n--b--\\r\\n'
    local headers = {{}}
    headers["Content-Type"] = "multipart/form-data; boundary=b"
    headers["X-OOSE-Token"] = "{token}"
"""


def run() -> list[Row]:
    WORK.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(dir=WORK))
    port = free_port()
    bare = [sys.executable, "-m", "benchmarks.bare", str(port)]
    with oose(folder / "oose") as server, started(bare, port, cwd=REPOSITORY):
        detail = folder / "detail.lua"
        detail.write_text(DETAIL.format(token=server.token, hash=upload_one(server, 1)))
        ping, details = [], []
        for _ in range(PAIRS):
            constant = wrk(port, "/", 32)
            ping.append(wrk(server.port, "/ping", 32) / constant)
            details.append(wrk(server.port, "/content/detail", 32, detail) / constant)
    rows = [
        Row("GET /ping against a bare resource", f"{median(ping):.2f}", "at least 0.7"),
        Row("POST /content/detail against it", f"{median(details):.2f}", "at least 0.4"),
    ]
    return [
        Row(row.what, row.figure, row.asked, float(row.figure) >= float(row.asked.split()[-1]))
        for row in rows
    ] + uploads(folder)


def uploads(folder: Path) -> list[Row]:
    """Uploads of 4 KiB, 16 at a time, each fsynced."""
    port = free_port()
    kept = folder / "kept"
    kept.mkdir()
    bare = [sys.executable, "-m", "benchmarks.bare", str(port), str(kept)]
    ours, theirs = [], []
    with oose(folder / "small") as server, started(bare, port, cwd=REPOSITORY):
        form = FORM.format(token=server.token)
        for number in range(PAIRS):
            script = folder / "small.lua"
            put = "local body, headers = data, nil"
            text = {"start": number * 10**9, "method": "PUT", "path": "/", "body": put}
            script.write_text(SMALL.format(**text))
            theirs.append(wrk(port, "/", 16, script, UPLOAD_SECONDS))
            text |= {"method": "POST", "path": "/content/upload", "body": form}
            script.write_text(SMALL.format(**text))
            ours.append(wrk(server.port, "/", 16, script, UPLOAD_SECONDS))
    ratio = median([o / t for o, t in zip(ours, theirs, strict=True)])
    return [
        Row("uploads of 4 KiB, 16 at a time, bare", f"{median(theirs):.0f} /s"),
        Row("uploads of 4 KiB, 16 at a time, oose", f"{median(ours):.0f} /s"),
        Row("ratio", f"{ratio:.2f}", "at least 0.5", ratio >= 0.5),
    ]


def wrk(
    port: int,
    path: str,
    connections: int,
    script: Path | None = None,
    seconds: int = SECONDS,
    host: str = "127.0.0.1",
) -> float:
    """Requests a second; `RuntimeError` when any was refused."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s"]
    command += ["-s", str(script)] if script else []
    ended = subprocess.run(
        [*command, f"http://{host}:{port}{path}"], capture_output=True, text=True, check=True
    )
    if "Non-2xx" in ended.stdout or "Socket errors" in ended.stdout:
        raise RuntimeError(ended.stdout)
    found = re.search(r"Requests/sec:\s+([\d.]+)", ended.stdout)
    if found is None:
        raise RuntimeError(ended.stdout)
    return float(found[1])

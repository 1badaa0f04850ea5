"""A real browser plays what a page may show, from the middle too, and nothing on another page."""

import io
import json
import math
import os
import subprocess
import wave
from array import array
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from urllib.parse import parse_qsl, urlsplit

from attrs import define, field

from tests.machine.talk import FORM, form
from tests.process.twistd import Place, Running, started

PATIENCE = 120.0  # seconds that a browser may take on a busy machine; it needs far less
RATE = 44_100
SECONDS = 12
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)
PAGE = """<!DOCTYPE html>
<title>A page with sound</title>
<audio preload="auto"></audio>
<script>
const audio = document.querySelector("audio");
const next = name => new Promise(done => audio.addEventListener(name, done, {once: true}));
const report = what => fetch("/report?" + new URLSearchParams(what));
audio.addEventListener("error", () => report({error: audio.error.code}));
async function listen() {
    audio.src = SOURCE;
    await next("loadedmetadata");
    const sought = Promise.all([next("seeked"), next("canplay")]);
    audio.currentTime = audio.duration / 2;
    await sought;
    report({duration: audio.duration, currentTime: audio.currentTime});
}
listen().catch(error => report({failure: error}));
</script>
"""


def tone() -> bytes:
    """A WAV file of about a megabyte."""
    samples = array("h", (int(9000 * math.sin(n / 16)) for n in range(RATE * SECONDS)))
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(RATE)
        wav.writeframes(samples.tobytes())
    return file.getvalue()


@define
class Pages:
    """A web server with one page, which plays `source`, and what that page has reported."""

    source: str
    port: int = 0
    reports: "Queue[Mapping[str, str]]" = field(factory=Queue)


class Page(BaseHTTPRequestHandler):
    """One request of the browser."""

    def __init__(self, pages: Pages, *arguments: object) -> None:
        self._pages = pages
        super().__init__(*arguments)  # type: ignore[arg-type] # the server knows which

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        body = b""
        if parts.path == "/report":
            self._pages.reports.put(dict(parse_qsl(parts.query)))
        elif parts.path == "/page":
            body = PAGE.replace("SOURCE", repr(self._pages.source)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Nothing for the terminal."""


@contextmanager
def pages_with(source: str) -> Iterator[Pages]:
    """The web server, in a thread of its own."""
    pages = Pages(source)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Page, pages)) as server:
        pages.port = server.server_port
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield pages
        finally:
            server.shutdown()
            thread.join()


def browse(folder: Path, pages: Pages, host: str) -> Mapping[str, str]:
    """Open the page at `host` in a new browser; what it reports."""
    folder.mkdir()
    log = folder / "log"
    with log.open("wb") as output:
        browser = subprocess.Popen(
            ["chromium", *FLAGS, f"--user-data-dir={folder}", f"http://{host}:{pages.port}/page"],
            stdout=output,
            stderr=output,
            env={**os.environ, "HOME": str(folder)},
        )
    try:
        return pages.reports.get(timeout=PATIENCE)
    except Empty:
        raise AssertionError(f"The page reports nothing: {log.read_text()}") from None
    finally:
        browser.terminate()
        browser.wait(PATIENCE)


def sell(running: Running, data: bytes) -> str:
    """Where pages of localhost may play a sound."""
    body = form(("file", "tone.wav", "audio/wav", data))
    status, text = running.ask("POST", "/content/upload", body, FORM)
    assert status == 200, text
    content_hash = json.loads(text)["files"]["file"]["hash"]
    asked = {"hash": content_hash, "ext": "wav", "referrer": "localhost"}
    token = running.post("/content/purchase", asked)["token"]
    return f"http://127.0.0.1:{running.place.ports[0]}/{token}/tone.wav"


def test_a_page_that_may_plays_from_the_middle_and_another_does_not(tmp_path: Path) -> None:
    with started(Place.make(tmp_path)) as running, pages_with(sell(running, tone())) as pages:
        refused = browse(tmp_path / "another", pages, "127.0.0.1")
        assert refused == {"error": "4"}  # MEDIA_ERR_SRC_NOT_SUPPORTED: what an HTTP error is
        played = browse(tmp_path / "own", pages, "localhost")
        assert {name: float(text) for name, text in played.items()} == {
            "duration": SECONDS,
            "currentTime": SECONDS / 2,
        }
        assert pages.reports.empty()

"""A real nginx sends the bytes after oose has said yes."""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_port
from tests.process.test_crashes import wait_for
from tests.process.twistd import Place, Running, started

CONFIGURATION = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://127.0.0.1:{store}; }}
        location /oose-internal/ {{ internal; alias {disk}/content/; }}
    }}
}}
"""


@contextmanager
def nginx(folder: Path, running: Running) -> Iterator[int]:
    """An nginx before the store; the port it listens on."""
    port = free_port()
    file = folder / "nginx.conf"
    place = running.place
    file.write_text(
        CONFIGURATION.format(
            user="user root;" if os.geteuid() == 0 else "",  # or it cannot reach the test's folder
            folder=folder,
            port=port,
            store=place.ports[1],
            disk=place.disk,
        )
    )
    process = subprocess.Popen(["/usr/sbin/nginx", "-e", str(folder / "error.log"), "-c", file])
    try:
        wait_for((folder / "nginx.pid").exists)
        yield port
    finally:
        process.terminate()
        process.wait()


def test_nginx_sends_purchased_content_and_keeps_its_internal_location(tmp_path: Path) -> None:
    place = Place.make(tmp_path, store="'accel_redirect': True")
    data = bytes(range(256)) * 10_000
    with started(place) as running, nginx(tmp_path, running) as port:
        status, answer = running.upload(data)
        assert status == 200
        content_hash = answer["files"]["file"]["hash"]
        asked = {"hash": content_hash, "ext": "txt", "referrer": "*"}
        token = running.post("/content/purchase", asked)["token"]
        target = f"/play/{token}/a.txt"
        assert running.ask("GET", target, port=port) == (200, data)
        part = running.ask("GET", target, headers={"Range": "bytes=5-9"}, port=port)
        assert part == (206, data[5:10])
        known = {"If-None-Match": f'"{content_hash}"'}
        assert running.ask("GET", target, headers=known, port=port) == (304, b"")
        path = f"/oose-internal/{content_hash[:2]}/{content_hash[2:4]}/{content_hash}.txt"
        assert running.ask("GET", path, port=port)[0] == 404
        running.post("/content/purchase/remove", {"token": token})
        assert running.ask("GET", target, port=port)[0] == 404
    assert hashlib.sha1(data).hexdigest() == content_hash

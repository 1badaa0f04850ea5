"""A store dies in the middle of an upload or a download, and nobody outside notices."""

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPSConnection
from urllib.parse import urlsplit

import pytest

from install.cluster.cluster import STORES
from tests.machine.talk import FORM, form
from tests.probe.client import Client
from tests.probe.running import SOON, Running, within

SIZE = 48 * 1024 * 1024


@pytest.fixture
def client(running: Running) -> Iterator[Client]:
    """A way in; what a test has killed comes back after it."""
    yield running.settled("prism1")
    for peer in running.cluster.peers.values():
        if peer.process is not None and peer.process.poll() is not None:
            peer.start()
    running.wait_until(True, running.cluster.peers)


def receiving(running: Running) -> list[str]:
    """The stores that have a file in `incoming`."""
    folder = running.cluster.folder
    return [name for name in STORES if any((folder / name / name / "incoming").iterdir())]


def connect(client: Client) -> HTTPSConnection:
    parts = urlsplit(client.url)
    return HTTPSConnection(str(parts.hostname), parts.port, timeout=60, context=client.context)


def test_an_upload_goes_on_when_a_chosen_store_is_killed(running: Running, client: Client) -> None:
    data = os.urandom(SIZE)
    body = form(("file", "film.txt", "text/plain", data))
    connection = connect(client)
    connection.putrequest("POST", "/content/upload")
    for name, value in {**FORM, "X-OOSE-Token": client.token}.items():
        connection.putheader(name, value)
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders()
    half = len(body) // 2
    connection.send(body[:half])

    def two_receive() -> list[str]:
        found = receiving(running)
        assert len(found) == 2
        return found

    chosen = within(SOON, two_receive)
    running.cluster.peers[chosen[0]].kill()
    connection.send(body[half:])
    answer = connection.getresponse()
    file = json.loads(answer.read())["files"]["file"]
    connection.close()
    assert answer.status == 200
    assert file["hash"] == hashlib.sha1(data).hexdigest()
    assert file["count"] == 2
    places = client.detail(file["hash"])["map"]
    assert len({place.rpartition(":")[2] for place in places} - {chosen[0]}) == 2
    assert client.download(file["hash"]) == data


def test_a_download_goes_on_from_another_clone(running: Running, client: Client) -> None:
    data = os.urandom(SIZE)
    content_hash = client.upload(data)["hash"]
    connection = connect(client)
    headers = {"X-OOSE-Token": client.token, "Content-Type": "application/json"}
    connection.request(
        "POST", "/content/download", json.dumps({"hash": content_hash}).encode(), headers
    )
    answer = connection.getresponse()
    begun = answer.read(256 * 1024)
    sending = [
        name
        for name in STORES
        if json.loads(client.ask("GET", f"{running.cluster.url(name)}/stats")[2])["deliveries"][
            "running"
        ]
    ]
    assert sending
    for name in sending:
        running.cluster.peers[name].kill()
    rest = answer.read()
    connection.close()
    assert begun + rest == data


def test_two_prisms_that_take_the_same_content_at_once_keep_two_clones(
    running: Running, client: Client
) -> None:
    other = running.settled("prism2")
    for _ in range(5):
        data = os.urandom(100_000)
        with ThreadPoolExecutor(2) as pool:
            files = list(pool.map(partial(Client.upload, data=data), (client, other)))
        assert {file["hash"] for file in files} == {hashlib.sha1(data).hexdigest()}
        found = running.cluster.couch.documents("oose-inventory")
        clones = [key for key in found if key.startswith(files[0]["hash"] + ":")]
        assert len(clones) == 2
        folder = running.cluster.folder
        on_disk = [
            path for path in folder.rglob(f"{files[0]['hash']}.*") if "content" in path.parts
        ]
        assert len(on_disk) == 2

"""Clients that stall, and many slow ones beside a fast one."""

import socket
from contextlib import ExitStack
from pathlib import Path

from tests.process.test_crashes import MB, begin_upload, wait_for
from tests.process.twistd import Place, started


def test_an_upload_that_stalls_is_ended_after_the_configured_time(tmp_path: Path) -> None:
    place = Place.make(tmp_path)
    with started(place) as running:
        with begin_upload(running, b"x" * 20 * MB, 12 * MB) as connection:
            answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"Nothing was received for 1 seconds" in answer
        wait_for(lambda: not place.files("incoming"))


def test_a_fast_client_is_served_beside_200_slow_ones(tmp_path: Path) -> None:
    place = Place.make(tmp_path, more="prism['idle_timeout'] = store['idle_timeout'] = '1h'")
    with started(place) as running, ExitStack() as slow:
        data = b"x" * 8 * MB
        status, answer = running.upload(data)
        assert status == 200
        sold = running.post(
            "/content/purchase",
            {"hash": answer["files"]["file"]["hash"], "ext": "txt", "referrer": "*"},
        )
        target = f"/play/{sold['token']}/a.txt"
        for _ in range(100):
            slow.enter_context(begin_upload(running, data, 2 * MB))
        for _ in range(100):
            reader = slow.enter_context(socket.create_connection(("127.0.0.1", place.ports[1])))
            reader.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wait_for(lambda: len(place.files("incoming")) == 100)
        status, body = running.ask("GET", target, port=place.ports[1])
        assert (status, body) == (200, data)
        assert running.upload(b"y" * 8 * MB)[0] == 200
        assert running.ask("GET", "/ping")[0] == 200

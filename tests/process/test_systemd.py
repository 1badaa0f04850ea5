"""The real process under systemd's protocols: readiness, watchdog, and sockets handed over."""

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from threading import Lock

import pytest
from attrs import define

from tests.machine.talk import FORM, form
from tests.ports import free_port
from tests.process.output import Output
from tests.process.test_crashes import wait_for
from tests.process.twistd import TWISTD, Place, Running
from tests.systemd import PATIENCE, Ear, Unit, ear

REQUESTS = 1000
RESTARTS = 3
CLIENTS = 8
COUNTING = Lock()


@define
class Service:
    """A place whose rooms get their sockets from the test."""

    place: Place
    unit: Unit

    @property
    def ear(self) -> Ear:
        return self.unit.ear

    def running(self) -> Running:
        """What to ask a process with that is ready."""
        process: subprocess.Popen[str] = self.unit.process  # type: ignore[assignment] # not read
        running = Running(self.place, process, [], Output(self.unit.logs[-1], process))
        running.log_in()
        return running


@contextmanager
def service(folder: Path, *names: str, config: str = "", **more: str) -> Iterator[Service]:
    """A service that has not begun; sockets of the prism and the store, in this order, by name."""
    with ExitStack() as stack:
        place = Place.make(folder, more=config)
        sockets = {
            name: stack.enter_context(socket.create_server(("127.0.0.1", port), backlog=512))
            for name, port in zip(names, place.ports, strict=False)
        }
        listening = stack.enter_context(ear(str(folder / "notify")))
        unit = Unit(place.command(), folder, sockets, listening, more)
        stack.callback(unit.kill)
        yield Service(place, unit)


def pings(port: int) -> bool:
    """Whether somebody answers there, now."""
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    finally:
        connection.close()


def test_it_is_ready_when_its_ports_answer_and_says_when_it_stops(tmp_path: Path) -> None:
    with service(tmp_path) as made:  # without sockets, so that each would refuse
        made.unit.start()
        heard = made.ear.hear()
        assert all(pings(port) for port in made.place.ports)
        assert heard[0] == "READY=1"
        assert re.fullmatch(r"STATUS=OOSE [\d.]+ is ready", heard[1])
        assert made.unit.stop() == -signal.SIGTERM
        assert made.ear.heard() == [
            ["STOPPING=1", "STATUS=Lets what is under way finish, for up to 30 s"]
        ]


def test_while_it_waits_for_databases_it_says_so_and_asks_for_time(tmp_path: Path) -> None:
    nobody = free_port()
    config = (
        f"couchdb = {{'url': 'http://127.0.0.1:{nobody}', 'username': 'u', 'password': 'p'}}\n"
        f"redis = {{'url': 'redis://127.0.0.1:{nobody}'}}\n"
        "prism |= {'username': 'u', 'password': 'p' * 20}\n"
        "store |= {'username': 'u', 'password': 'p' * 20}\n"
    )
    with service(tmp_path, config=config) as made:
        made.unit.start()
        for _ in range(2):  # attempts
            status, extended = made.ear.hear()
            assert status.startswith("STATUS=Waiting for the databases: ")
            assert extended == "EXTEND_TIMEOUT_USEC=60000000"
        made.unit.send(signal.SIGTERM)
        heard = made.ear.hear_until("STOPPING=1")
        assert not any("READY=1" in each for each in heard)
        assert made.unit.wait() == -signal.SIGTERM


def is_stopped(pid: int) -> bool:
    """Whether the process holds still."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("T")


def test_the_watchdog_hears_of_a_reactor_that_runs_and_of_no_other(tmp_path: Path) -> None:
    with service(tmp_path, "prism1", WATCHDOG_USEC="100000") as made:
        made.unit.start_until_ready()
        for _ in range(3):
            assert made.ear.hear() == ["WATCHDOG=1"]
        process = made.unit.process
        assert process is not None
        made.unit.send(signal.SIGSTOP)
        wait_for(lambda: is_stopped(process.pid))
        made.ear.heard()
        made.ear.socket.settimeout(1.0)  # ten times as long as systemd would wait
        with pytest.raises(TimeoutError):
            made.ear.socket.recv(1)
        made.unit.send(signal.SIGCONT)
        assert made.ear.hear() == ["WATCHDOG=1"]
        assert made.unit.stop() == -signal.SIGTERM


def test_sockets_are_taken_by_name_and_by_address_and_no_child_inherits_anything(
    tmp_path: Path,
) -> None:
    with service(tmp_path, "prism1", "oose-store@a.socket") as made:
        made.unit.start_until_ready()
        assert all(pings(port) for port in made.place.ports)
        process = made.unit.process
        assert process is not None
        assert f"http://127.0.0.1:{made.place.ports[1]}" in made.unit.log()
        inodes = {os.fstat(each.fileno()).st_ino for each in made.unit.sockets.values()}
        taken = {}
        for each in Path(f"/proc/{process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # what was open for a moment
                if each.stat().st_ino in inodes:
                    info = (each.parents[1] / "fdinfo" / each.name).read_text()
                    flags = int(info.split("flags:")[1].split()[0], 8)
                    taken[each.name] = bool(flags & os.O_CLOEXEC)
        assert len(taken) == 2
        assert all(taken.values())
        assert made.unit.stop() == -signal.SIGTERM


def test_a_daemon_takes_the_sockets_before_it_leaves_its_parent(tmp_path: Path) -> None:
    with service(tmp_path, "prism1", "store1") as made:
        pidfile, logfile = tmp_path / "oose.pid", tmp_path / "oose.log"
        config = str(made.place.config())
        arguments = [f"--pidfile={pidfile}", f"--logfile={logfile}", "oose", "--config", config]
        made.unit.command = [TWISTD, *arguments]
        made.unit.start()
        assert made.unit.wait() == 0
        assert made.ear.hear()[0] == "READY=1"
        pid = int(pidfile.read_text())
        try:
            assert all(pings(port) for port in made.place.ports)
        finally:
            os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not Path(f"/proc/{pid}").exists())


def test_a_socket_for_which_there_is_no_room_ends_the_start_with_a_message(tmp_path: Path) -> None:
    with service(tmp_path, "prism1") as made, socket.create_server(("127.0.0.1", 0)) as other:
        made.unit.sockets = {**made.unit.sockets, "other.socket": other}
        made.unit.start()
        assert made.unit.wait() == 1
        [line] = made.unit.log().splitlines()
        port = other.getsockname()[1]
        assert line.startswith(f"Cannot start: systemd listens on 127.0.0.1:{port} ('other.socket'")
        assert "prism1 on 127.0.0.1:" in line


def test_what_is_no_socket_ends_the_start_with_a_message(tmp_path: Path) -> None:
    with service(tmp_path) as made, socket.socket() as closed:
        made.unit.sockets = {"x": closed}
        made.unit.start()
        assert made.unit.wait() == 1
        assert made.unit.log().startswith("Cannot start: What systemd handed over as 'x' is no TCP")


@define
class Clients:
    """Ask without a pause until they are told to leave; a wrong answer, or none, raises."""

    running: Running
    asked: Mapping[str, str]
    sold: str  # where the store delivers what was bought
    answered: int = 0
    leave: bool = False

    def ask_one(self, number: int) -> None:
        """What one of them does: some ask the prism, some the store, some on one connection."""
        asks_the_prism, keeps_alive = number % 2 == 0, number % 4 < 2
        connection = HTTPConnection(
            "127.0.0.1", self.running.place.ports[0 if asks_the_prism else 1], timeout=PATIENCE
        )
        headers = {"X-OOSE-Token": self.running.token, "Content-Type": "application/json"}
        while not self.leave:
            if asks_the_prism:
                body = json.dumps(self.asked)
                connection.request("POST", "/content/detail", body, headers)
            else:
                connection.request("GET", self.sold)
            answer = connection.getresponse()
            data = answer.read()
            assert answer.status == 200, data
            assert (b'"exists": true' in data) if asks_the_prism else (data == b"hello")
            if not keeps_alive:
                connection.close()
            with COUNTING:
                self.answered += 1
        connection.close()


def test_a_thousand_requests_during_three_restarts_are_all_answered(tmp_path: Path) -> None:
    with service(tmp_path, "prism1", "store1", config="prism['idle_timeout'] = '1m'") as made:
        made.unit.start_until_ready()
        running = made.running()
        status, answer = running.upload(b"hello")
        assert status == 200
        asked = {"hash": answer["files"]["file"]["hash"]}
        sold = running.post("/content/purchase", {**asked, "ext": "txt", "referrer": "*"})
        clients = Clients(running, asked, f"/play/{sold['token']}/a.txt")
        with ThreadPoolExecutor(CLIENTS) as threads:
            asking = [threads.submit(clients.ask_one, number) for number in range(CLIENTS)]

            def are_answered(goal: int) -> bool:
                return clients.answered >= goal or any(each.done() for each in asking)

            try:
                for restart in range(1, RESTARTS + 1):
                    goal = restart * REQUESTS // (RESTARTS + 1)
                    wait_for(partial(are_answered, goal))
                    assert made.unit.stop() == -signal.SIGTERM
                    made.unit.start_until_ready()
                wait_for(partial(are_answered, REQUESTS))
            finally:
                clients.leave = True
            for each in asking:
                each.result()  # or what has gone wrong
        assert clients.answered >= REQUESTS
        assert made.unit.stop() == -signal.SIGTERM
        assert not any("Cut after" in log.read_text() for log in made.unit.logs)


def test_who_connects_while_nobody_runs_is_answered_by_the_next(tmp_path: Path) -> None:
    with service(tmp_path, "prism1", "store1") as made:
        made.unit.start_until_ready()
        running = made.running()
        assert made.unit.stop() == -signal.SIGTERM
        body = form(("file", "a.txt", "text/plain", b"hello"))
        connection = HTTPConnection("127.0.0.1", made.place.ports[0], timeout=PATIENCE)
        headers = {"X-OOSE-Token": running.token, **FORM}
        connection.request("POST", "/content/upload", body, headers)
        made.unit.start()
        assert connection.getresponse().status == 200
        connection.close()
        assert made.unit.stop() == -signal.SIGTERM

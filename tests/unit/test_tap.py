"""What `twistd oose` takes, and how it ends when it cannot run."""

import gc
import os
import signal
import socket
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, globalLogPublisher
from twisted.python.components import Componentized
from twisted.python.logfile import LogFile

from oose import tap
from oose.settings import Settings
from tests.machine.running import one_machine
from tests.real import reactor
from tests.unit.logged import logged


def options(config: Path | None = None, **twistd: object) -> tap.Options:
    made: Any = tap.Options()
    made.parseOptions(["--config", str(config)] if config else [])
    made.parent = twistd
    options: tap.Options = made
    return options


def written(folder: Path, text: str = "") -> Path:
    path = folder / "local.py"
    path.write_text(
        f"root = {str(folder / 'data')!r}\nstore = {{'enabled': True, 'port': 0}}\n"
        f"prism = {{'enabled': True, 'port': 0}}\n{text}"
    )
    return path


def test_the_configuration_comes_from_the_option_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path)
    assert options(path).settings.path == path
    monkeypatch.setenv("OOSE_CONFIG", str(path))
    assert options().settings.path == path
    monkeypatch.delenv("OOSE_CONFIG")
    assert options().settings.path is None


def test_a_bad_configuration_ends_the_start_with_every_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        options(written(tmp_path, "colour = 1\nprism = 2"))
    assert ended.value.code == tap.EX_CONFIG
    said = capsys.readouterr().err
    assert "colour" in said
    assert "prism" in said


def test_a_mistake_is_answered_with_the_synopsis(capsys: pytest.CaptureFixture[str]) -> None:
    made: Any = tap.Options()
    with pytest.raises(SystemExit) as ended:
        made.parseOptions(["--colour"])
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "[--config FILE]\n" in said
    assert said.endswith("oose: option --colour not recognized\n")


class Application(MultiService, Componentized):
    """What twistd adds its service to."""

    def __init__(self) -> None:
        MultiService.__init__(self)
        Componentized.__init__(self)


def test_the_service_brings_a_log_observer_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    service: Any = tap.makeService(options(written(tmp_path), nodaemon=True))
    application = Application()
    service.setServiceParent(application)
    observe: Any = application.getComponent(ILogObserver)
    observe({"log_format": "hello", "part": "oose:test", "log_time": 0})
    assert "hello" in stream.getvalue()
    service.release()


def test_what_is_made_at_the_start_is_never_looked_through_again(tmp_path: Path) -> None:
    gc.unfreeze()
    service: Any = tap.makeService(options(written(tmp_path), nodaemon=True))
    assert gc.get_freeze_count() > 10_000
    service.release()
    gc.unfreeze()


def test_a_logger_that_twistd_was_given_is_left_alone(tmp_path: Path) -> None:
    for given in ({"logger": "some.observer"}, {"syslog": True}):
        service: Any = tap.makeService(options(written(tmp_path), **given))
        application = Application()
        service.setServiceParent(application)
        assert application.getComponent(ILogObserver) is None
        service.release()


def test_a_log_file_is_where_twistd_would_have_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for given, path in (
        ({"nodaemon": False}, tmp_path / "twistd.log"),
        ({"nodaemon": True, "logfile": "x.log"}, tmp_path / "x.log"),
    ):
        stream = tap.log_stream(given)
        assert isinstance(stream, LogFile)
        assert Path(stream.path) == path
        stream.close()
    assert tap.log_stream({"logfile": "-"}) is sys.stdout
    assert tap.log_stream({"nodaemon": True}) is sys.stdout


def test_what_is_insecure_is_said_at_every_start(tmp_path: Path) -> None:
    seen: list[Any] = []
    publisher: Any = globalLogPublisher
    publisher.addObserver(seen.append)
    try:
        path = written(tmp_path, "insecure = True\nprism['listen'] = '0.0.0.0'")
        service: Any = tap.makeService(options(path, nodaemon=True))
        service.release()
    finally:
        publisher.removeObserver(seen.append)
    assert any("prism.listen" in str(event.get("warning")) for event in seen)


def test_a_root_that_another_process_uses_ends_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = one_machine(tmp_path)
    first = tap.put_together(settings, lambda: None)
    first.claim()
    with pytest.raises(SystemExit) as ended:
        make(settings)
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith(f"Cannot start: {settings.root} is in use by process {os.getpid()}")
    first.release()
    make(settings)


def test_a_port_in_use_ends_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit) as ended:
            make(one_machine(tmp_path, prism={"enabled": True, "port": port}))
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith(f"Cannot start: prism1 cannot listen on 127.0.0.1:{port}: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("text", ["[]", '{"prism": {}}', "nonsense"])
def test_a_file_of_secrets_that_is_none_ends_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    settings = one_machine(tmp_path)
    settings.root.mkdir()
    (settings.root / "secrets.json").write_text(text)
    with pytest.raises(SystemExit) as ended:
        make(settings)
    assert ended.value.code == 1
    assert "secrets.json" in capsys.readouterr().err


def test_a_certificate_that_is_none_ends_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pem = tmp_path / "x.pem"
    pem.write_text("nonsense")
    with pytest.raises(SystemExit):
        make(one_machine(tmp_path, ssl={"pem": str(pem), "verify": False}))
    assert "x.pem" in capsys.readouterr().err


def make(settings: Settings) -> None:
    given: Any = tap.Options()
    given.settings = settings
    given.parent = {"nodaemon": True}
    service: Any = tap.makeService(given)
    service.release()


def test_peers_may_be_verified_by_a_file_of_certificates(tmp_path: Path) -> None:
    first = one_machine(tmp_path, ssl={"pem": "auto"})
    first.root.mkdir()
    pem = tap.own_certificate(first)
    prism = {"enabled": True, "port": 0, "url": "https://prism.example"}
    make(one_machine(tmp_path, prism=prism, ssl={"pem": "auto", "verify": str(pem)}))


def test_a_start_that_failed_ends_with_status_1() -> None:
    code = "import oose.tap as t; t.fail(); print('said')"
    environment = {**os.environ, "PYTHONPATH": str(Path(tap.__file__).parents[1])}
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert (ended.returncode, ended.stdout) == (1, "said\n")


@pytest.mark.parametrize("runs", [True, False])
def test_failing_stops_a_reactor_that_runs(monkeypatch: pytest.MonkeyPatch, *, runs: bool) -> None:
    done: list[str] = []

    class Reactor:
        running = runs

        def stop(self) -> None:
            done.append("stopped")

    monkeypatch.setattr(tap, "reactor", Reactor())
    monkeypatch.setattr("atexit.register", lambda call: done.append(call.__name__))
    monkeypatch.setattr("os._exit", lambda code: done.append(f"exit {code}"))
    tap.fail()
    tap.exit_failed()
    assert done == ["exit_failed", *(["stopped"] if runs else []), "exit 1"]


@pytest_twisted.ensureDeferred
async def test_a_process_of_its_own_answers_further_signals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: dict[int, Any] = {}
    monkeypatch.setattr(signal, "signal", taken.__setitem__)
    service: Any = tap.makeService(options(written(tmp_path), nodaemon=True))
    with logged("info") as messages:
        service.privilegedStartService()
        service.startService()
        await service.starting
        await service.stopService()
        assert set(taken) == {signal.SIGINT, signal.SIGTERM}
        taken[signal.SIGTERM](signal.SIGTERM, None)
        for _ in range(2):  # this may be in the middle of a turn of the reactor
            turn: Deferred[None] = Deferred()
            reactor.callLater(0, turn.callback, None)
            await turn
    assert [each for each in messages if each.startswith("Stopping already")]

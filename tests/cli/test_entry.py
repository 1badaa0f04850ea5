"""How the `oose` command begins: what becomes of an interrupt before it is there."""

import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from oose import __main__ as entry
from oose import __version__, cli
from oose.cli.exits import INTERRUPTED

REPOSITORY = Path(__file__).parents[2]
SCRIPT = "import sys; from oose.__main__ import main; sys.exit(main())"
LOADING = "import signal\nsignal.raise_signal(signal.SIGINT)\nraise ImportError('went on')\n"
SWALLOWED = """\
import signal
class Odd:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
Odd()
raise ImportError('went on')
"""


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{folder}:{REPOSITORY}"},
        check=False,
    )


@pytest.mark.parametrize("module", [LOADING, SWALLOWED])
@pytest.mark.parametrize("command", [("-m", "oose"), ("-c", SCRIPT)])
def test_an_interrupt_while_it_loads_ends_it_like_any_other(
    tmp_path: Path, command: tuple[str, ...], module: str
) -> None:
    (tmp_path / "click.py").write_text(module)
    done = run(tmp_path, *command, "status")
    assert (done.returncode, done.stderr) == (INTERRUPTED, "oose: interrupted\n")
    done = run(tmp_path, *command, "--json", "status")
    assert (done.returncode, done.stderr) == (INTERRUPTED, '{"error": "interrupted"}\n')


@pytest.mark.parametrize("command", [("-m", "oose"), ("-c", SCRIPT)])
def test_it_loads_where_nobody_interrupts(tmp_path: Path, command: tuple[str, ...]) -> None:
    assert run(tmp_path, *command, "--version").stdout == f"oose, version {__version__}\n"


def test_the_installed_script_begins_there() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    script = EntryPoint("oose", project["scripts"]["oose"], "console_scripts")
    assert script.load() is entry.main


@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN])
def test_the_command_itself_is_interrupted_as_before(
    monkeypatch: pytest.MonkeyPatch, handler: signal.Handlers
) -> None:
    seen: list[object] = []
    monkeypatch.setattr(cli, "main", lambda: seen.append(signal.getsignal(signal.SIGINT)))
    signal.signal(signal.SIGINT, handler)
    entry.main()
    assert seen == [handler]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["oose"], "oose: interrupted\n"), (["oose", "--json"], '{"error": "interrupted"}\n')],
)
def test_it_says_so_and_ends_with_the_code_of_commands(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    monkeypatch.setattr(sys, "argv", arguments)
    entry.interrupted(signal.SIGINT, None)
    assert (codes, capfd.readouterr().err) == ([INTERRUPTED], said)
    assert entry.INTERRUPTED == INTERRUPTED

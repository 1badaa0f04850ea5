"""The `oose` command by a process that has imported it already: many in a row begin at once.

`python -m tests.probe.prepared FOLDER` makes FOLDER/oose, a program that has the command done by
a child of this process, with the caller's arguments, environment, folder and files.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import twisted.internet

from install.cluster.servers import REPOSITORY
from oose.cli import main as command

CALL = """\
#!{python} -IS
import json, os, socket, sys
call = {{"arguments": sys.argv[1:], "environment": dict(os.environ), "folder": os.getcwd()}}
with socket.socket(socket.AF_UNIX) as to:
    to.connect({address!r})
    socket.send_fds(to, [b"."], [0, 1, 2])
    to.sendall(json.dumps(call).encode())
    to.shutdown(socket.SHUT_WR)
    code = to.recv(1)
sys.exit(code[0] if code else 1)
"""


@contextmanager
def prepared(folder: Path) -> Iterator[Path]:
    """The folder, which goes into `PATH`, with such a program while it may be called."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.probe.prepared", str(folder)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield folder
        finally:
            process.kill()


def serve(folder: Path) -> NoReturn:
    """Answer calls until somebody ends this process."""
    with socket.socket(socket.AF_UNIX) as listening:
        address = str(folder / "socket")
        listening.bind(address)
        listening.listen()
        program = folder / "oose"
        program.write_text(CALL.format(python=sys.executable, address=address))
        program.chmod(0o755)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            connection, _ = listening.accept()
            with connection:
                if os.fork() == 0:
                    answer(connection)
            reap()


def answer(connection: socket.socket) -> NoReturn:
    """Do what is asked for in this process, which is the caller's alone."""
    _, files, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("rb") as stream:
        call = json.load(stream)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    # What is imported may have brought a reactor, which no two processes may share.
    sys.modules.pop("twisted.internet.reactor", None)
    vars(twisted.internet).pop("reactor", None)
    os.chdir(call["folder"])
    os.environ.clear()
    os.environ.update(call["environment"])
    sys.argv = ["oose", *call["arguments"]]
    code = 1
    try:
        command()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        connection.sendall(bytes([code]))
        os._exit(code)


def reap() -> None:
    """Forget children that have ended."""
    while True:
        try:
            number, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if number == 0:
            return


if __name__ == "__main__":
    serve(Path(sys.argv[1]))

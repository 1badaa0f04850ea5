"""Listing files with one `find` for the whole of a sweep."""

import fcntl
import os
import re
import subprocess
from contextlib import suppress
from pathlib import Path
from threading import Lock

from oose.sweeping.layout import REST, SLICES, Page
from oose.sweeping.native import NativeLister
from oose.sweeping.output import WHAT, Output

AHEAD = 1024 * 1024  # bytes that it may have written and nobody has read yet
DYING = 5.0  # seconds for which a process that was killed is waited for
ENVIRONMENT = {"LC_ALL": "C"}  # it complains in words that are known
_TRIED = re.compile(rb"d [0-9]+ [0-9]+\.[0-9]{10} \.\0")


def understands(find: str) -> bool:
    """Whether the program at `find` is one that writes what is read here. Blocks."""
    asked = [find, ".", "-maxdepth", "0", WHAT[0], "-printf", WHAT[-1]]
    try:
        said = subprocess.run(  # noqa: S603 # nothing in it comes from others
            asked, cwd="/", env=ENVIRONMENT, capture_output=True, check=False
        )
    except OSError:
        return False
    return _TRIED.fullmatch(said.stdout) is not None


class UnixLister:
    """Lists what is below `content` by the program at `find`. Meets `listing.Lister`.

    Where that dies, the slice that it was at is not read, and another goes on with the next.
    """

    driver = "unix"

    def __init__(self, content: Path, find: str) -> None:
        self._content = content
        self._find = find
        self._rest = NativeLister(content)
        self._turn = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._output: Output | None = None
        self._is_interrupted = False

    def read(self, part: str) -> Page:
        """See `Lister.read`."""
        if part == REST:
            return self._rest.read(part)
        with self._turn:
            if self._is_interrupted:
                return Page(is_last=True, problem="The listing was given up")
            output = self._output or self._start(part)
            if output is None:
                return Page(is_last=True)
            page = output.read(part)
            if output.has_failed:
                self._end()
            return page

    def interrupt(self) -> None:
        """See `Lister.interrupt`."""
        self._is_interrupted = True
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """See `Lister.close`."""
        self.interrupt()
        with self._turn:
            self._end()
            self._rest.close()

    def _start(self, part: str) -> Output | None:
        """Begin at `part`; None where there is nothing from there on."""
        there = set(os.listdir(self._content))  # noqa: PTH208 # names are enough
        folders = [each for each in SLICES if each >= part and each in there]
        if not folders:  # it would list all there is
            return None
        self._process = subprocess.Popen(  # noqa: S603 # nothing in it comes from others
            ["find", *folders, *WHAT],  # noqa: S607 # how it calls itself when it complains
            executable=self._find,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self._content,
            env=ENVIRONMENT,
            start_new_session=True,  # the terminal's Ctrl-C is for us
        )
        if self._is_interrupted:  # by one who did not see it yet
            self._process.kill()
        self._output = Output(self._process)
        with suppress(OSError):  # where that is allowed it lists on while records are written
            fcntl.fcntl(self._output.stdout, fcntl.F_SETPIPE_SZ, AHEAD)
        return self._output

    def _end(self) -> None:
        process, self._process, self._output = self._process, None, None
        if process is not None:
            process.kill()
            with suppress(subprocess.TimeoutExpired):  # a disk that hangs does not let it die
                process.wait(DYING)
            for pipe in (process.stdout, process.stderr):
                assert pipe is not None
                pipe.close()

"""What a process prints, in a file: one whose pipe nobody empties stops when that is full."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from attrs import define

PATIENCE = 120.0  # seconds without a line


@define
class Output:
    """The file, read from where it was read last; it belongs to `process`."""

    path: Path
    process: "subprocess.Popen[str]"
    read: int = 0

    def lines(self) -> Iterator[str]:
        """Line by line, waiting for each, until the process has ended."""
        while line := self.line():
            yield line

    def line(self) -> str:
        """The next one, with its end; nothing when the process has ended."""
        latest = time.monotonic() + PATIENCE
        while True:
            is_over = self.process.poll() is not None  # looked at before: it may print its last
            line, newline, _ = self._unread().partition("\n")
            if newline or (is_over and not line):
                self.read += len((line + newline).encode())
                return line + newline
            assert time.monotonic() < latest, f"it prints nothing after {line!r}"
            time.sleep(0.01)

    def rest(self) -> str:
        """All that is there and was not read."""
        text = self._unread()
        self.read += len(text.encode())
        return text

    def _unread(self) -> str:
        with self.path.open("rb") as file:
            file.seek(self.read)
            return file.read().decode()

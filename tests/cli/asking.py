"""The `oose` command, run in this process as a shell would run it."""

import json
from typing import Any

from attrs import frozen
from click.testing import CliRunner

from oose.cli import command


@frozen
class Said:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str
    raw: bytes

    def json(self) -> Any:
        return json.loads(self.out)


@frozen
class Asking:
    """Runs commands."""

    runner: CliRunner

    def __call__(self, *arguments: str, stdin: bytes | str | None = None) -> Said:
        result = self.runner.invoke(command, arguments, input=stdin, prog_name="oose")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr, result.stdout_bytes)

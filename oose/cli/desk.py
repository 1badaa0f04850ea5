"""What every command has at hand: its options, the prism, and where to write."""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import click
from attrs import define, evolve
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column, Table

from oose.cli.prism import Prism
from oose.cli.profile import check_url, home, load_profile

ENDLESS = 1_000_000  # columns, where a program reads: nothing is cut


@define
class Desk:
    """The options before the command, and what they lead to."""

    profile: str | None
    url: str | None
    ca: str | None
    insecure: bool
    as_json: bool
    _prism: Prism | None = None

    def prism(self) -> Prism:
        """The prism that the options, the environment and a profile name."""
        if self._prism is None:
            profile, warning = load_profile(self.profile, os.environ, home())
            if warning is not None:
                self.warn(warning)
            if self.url is not None:
                check_url(self.url, "--url")
                profile = evolve(profile, url=self.url)
            if self.ca is not None:
                profile = evolve(profile, ca=self.ca)
            self._prism = Prism(evolve(profile, insecure=profile.insecure or self.insecure))
        return self._prism

    def close(self) -> None:
        """The command has ended."""
        if self._prism is not None:
            self._prism.close()

    # Results go to stdout, everything else to stderr.

    def result(self, value: object, text: str) -> None:
        """What was asked for: as JSON, or as text for people."""
        if self.as_json:
            click.echo(json.dumps(value))
        else:
            click.echo(text.encode("utf-8", "surrogateescape"))  # names of files as they are

    def table(self, value: object, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """The same as a table."""
        if self.as_json:
            self.result(value, "")
            return
        table = Table(*columns, box=None, pad_edge=False)
        for row in rows:
            table.add_row(*row)
        width = None if sys.stdout.isatty() else ENDLESS
        Console(file=sys.stdout, width=width, highlight=False, markup=False).print(table)

    def warn(self, text: str) -> None:
        """What somebody should know; the command goes on."""
        tell("warning", text, as_json=self.as_json)

    def progress(self) -> Progress:
        """A bar with rate and time left, where somebody watches; gone when it ends."""
        return Progress(
            TextColumn(
                "{task.description}",
                markup=False,
                table_column=Column(no_wrap=True, overflow="ellipsis"),
            ),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=self.as_json or not sys.stderr.isatty(),
            transient=True,
            redirect_stdout=False,  # nothing else is written while a bar is there
            redirect_stderr=False,
        )


def tell(kind: str, text: str, *, as_json: bool) -> None:
    """A line on stderr: `kind` is its name as JSON."""
    click.echo(json.dumps({kind: text}) if as_json else f"oose: {text}", err=True)


def fields(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """A JSON tree as rows of a dotted name and a value; what is called `...At` is ms since 1970."""
    rows: list[tuple[str, str]] = []
    for name, each in value.items():
        if isinstance(each, Mapping):
            rows += fields(each, f"{prefix}{name}.")
        elif name.endswith("At") and isinstance(each, int):
            rows.append((prefix + name, moment(each)))
        else:
            rows.append((prefix + name, str(each)))
    return rows


def moment(milliseconds: int) -> str:
    """A time in this machine's zone; the number where no calendar has it."""
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(milliseconds / 1000))
    except (ValueError, OverflowError, OSError):
        return str(milliseconds)

"""What every command has at hand: its options, the prism, and where to write."""

import json
import os
import sys
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
from rich.table import Table

from oose.cli.prism import Prism
from oose.cli.profile import check_url, home, load_profile


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
                self.say(f"oose: {warning}")
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
        click.echo(json.dumps(value, ensure_ascii=False) if self.as_json else text)

    def table(self, value: object, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """The same as a table."""
        if self.as_json:
            self.result(value, "")
            return
        table = Table(*columns, box=None, pad_edge=False)
        for row in rows:
            table.add_row(*row)
        width = None if sys.stdout.isatty() else 500  # nothing is cut where a program reads
        Console(file=sys.stdout, width=width, highlight=False, markup=False).print(table)

    def say(self, text: str) -> None:
        """A word to whoever watches."""
        click.echo(text, err=True)

    def refuse(self, message: str) -> None:
        """Why the command failed."""
        self.say(json.dumps({"error": message}) if self.as_json else f"oose: {message}")

    def progress(self) -> Progress:
        """Bars with rate and time left, where somebody watches."""
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=self.as_json or not sys.stderr.isatty(),
            transient=True,
        )


def fields(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """A JSON tree as rows of a dotted name and a value."""
    rows: list[tuple[str, str]] = []
    for name, each in value.items():
        if isinstance(each, Mapping):
            rows += fields(each, f"{prefix}{name}.")
        else:
            rows.append((prefix + name, str(each)))
    return rows

"""How far a sweep is and what it found, kept on the disk so that a restart goes on from there."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import define, field

from oose.durable import draft_prefix, write_whole
from oose.sweeping.counts import Counts
from oose.sweeping.layout import SLICES

FILE = "oose-sweep.json"  # in a store's root
PARTS = len(SLICES) + 1  # the slices, and what is in none
VERSION = 1


@define
class Report:
    """One sweep: begun and finished in ms since 1970, at work for `seconds`.

    `next` is the number of the slice that comes next; all before it are done.
    """

    begun: int
    driver: str = ""
    next: int = 0
    seconds: float = 0.0
    finished: int | None = None
    counts: Counts = field(factory=Counts)

    def to_json(self) -> Mapping[str, Any]:
        """As it is kept and told."""
        rate = self.counts.files / self.seconds if self.seconds else 0.0
        return {
            "begunAt": self.begun,
            "finishedAt": self.finished,
            "driver": self.driver,
            "slice": min(self.next, len(SLICES)),
            "slices": len(SLICES),
            "seconds": round(self.seconds, 3),
            "rate": round(rate, 1),
            **self.counts.to_json(),
        }


def save(report: Report, root: Path) -> None:
    """Keep it on the disk; `OSError`. Blocks."""
    value = {**report.to_json(), "version": VERSION, "next": report.next}
    write_whole(root / FILE, json.dumps(value))


def load(root: Path) -> Report | None:
    """What was kept; None where nothing was, or nothing that can be used. `OSError`. Blocks."""
    path = root / FILE
    for draft in root.glob(f"{draft_prefix(path)}*"):  # a crash left it
        draft.unlink(missing_ok=True)
    with suppress(FileNotFoundError, ValueError, LookupError, TypeError, AttributeError):
        return understood(json.loads(path.read_text("utf-8")))
    return None


def understood(value: Mapping[str, Any]) -> Report:
    """A report as it was kept; some error where it is none."""
    finished = value["finishedAt"]
    if value["version"] != VERSION or not 0 <= value["next"] <= PARTS:
        raise ValueError("another's")
    return Report(
        begun=int(value["begunAt"]),
        driver=str(value["driver"]),
        next=int(value["next"]),
        seconds=float(value["seconds"]),
        finished=None if finished is None else int(finished),
        counts=Counts.from_json(value),
    )

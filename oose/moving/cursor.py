"""How far a migration has come, in a small file, so that it goes on there when it was stopped."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import frozen

FILE_NAME = "oose-migrate.json"  # below the configuration's `root`


@frozen
class Reached:
    """`position` and `passed` as `oose.moving.old_source` has them, and what was counted."""

    position: str
    passed: int
    tally: Mapping[str, Any]


@frozen
class Cursor:
    """The file at `path`; it counts only for the same `source` and `target`.

    It is not synced: one that a crash has damaged or set back costs time and nothing else.
    """

    path: Path
    source: str
    target: str

    def load(self) -> Reached | None:
        """Where to go on; None where that is the beginning."""
        try:
            said = json.loads(self.path.read_text("utf-8"))
            if (said["source"], said["target"]) != (self.source, self.target):
                return None
            return Reached(str(said["position"]), int(said["passed"]), dict(said["tally"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, reached: Reached) -> None:
        """Go on there the next time."""
        draft = self.path.with_name(f".{self.path.name}")
        value = {
            "source": self.source,
            "target": self.target,
            "position": reached.position,
            "passed": reached.passed,
            "tally": reached.tally,
        }
        draft.write_text(json.dumps(value), "utf-8")
        draft.replace(self.path)

    def remove(self) -> None:
        """It is done; the next begins at the beginning."""
        with suppress(FileNotFoundError):
            self.path.unlink()

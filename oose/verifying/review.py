"""A look at everything on a store whenever it was last verified: an operator's wish."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define

from oose.errors import OoseError
from oose.verifying.asked import Asked
from oose.verifying.due import Due, Entry
from oose.verifying.manner import Manner
from oose.verifying.tally import Tally
from oose.verifying.verifier import Outcome

DIGITS = 8  # of a hash, which say how far a pass has come
BEGUN, STOPPED, DONE = "begun", "stopped", "done"


@define(eq=False)
class Review:
    """Of all that was `asked` for. `read` is when it was first gone on with, in this process."""

    asked: Asked
    due: Due
    manner: Manner
    tally: Tally
    state: str = BEGUN
    read: int | None = None
    ended: int | None = None
    passed: float = 0.0

    @property
    def is_going(self) -> bool:
        """Whether there is anything left to do."""
        return self.state == BEGUN

    def end(self, state: str, now: int) -> None:
        """It is over."""
        if self.is_going:
            self.state, self.ended = state, now

    def note(self, entries: Sequence[Entry], outcomes: Mapping[str, Outcome]) -> None:
        """So much of it is done."""
        for outcome in outcomes.values():
            self.tally.files["failed" if isinstance(outcome, OoseError) else outcome] += 1
        self.passed = int(entries[-1].hash[:DIGITS], 16) / 16**DIGITS

    def describe(self, now: int) -> Mapping[str, Any]:
        """For whoever waits for it: `passed` is how much of it, from 0 to 1; times in ms.

        `seconds` are those since it was first gone on with in this process, whose counts these are.
        """
        until = now if self.ended is None else self.ended
        return {
            "state": self.state,
            "begunAt": self.asked.begun,
            "endedAt": self.ended,
            "since": self.asked.since,
            "seconds": 0.0 if self.read is None else (until - self.read) / 1000,
            "passed": 1.0 if self.state == DONE else round(self.passed, 6),
            **self.tally.counts(),
        }

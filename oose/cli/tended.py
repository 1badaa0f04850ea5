"""What commands on much content have in common: how it is worked on, shown and summed up."""

import functools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import click
from attrs import asdict, define, field, fields, frozen
from rich.filesize import decimal

from oose.cli.counted import counted
from oose.cli.desk import Desk
from oose.cli.exits import FAILED
from oose.cli.interrupting import interruptible
from oose.cli.tallies import say_failures
from oose.counting import some
from oose.moving.tally import Tally
from oose.tending.deed import Deed, Note, Outcome
from oose.tending.picking import BLOCK, Picked
from oose.tending.round import Passed, Round, nobody, nowhere

F = TypeVar("F", bound=Callable[..., Any])
WHOLE = 1_000_000  # of a bar
AT_ONCE = 4
NOTES: Mapping[Note, str] = {
    "protected": "protected: no clone of these is removed",
    "waiting": "wait for a store that is away",
    "demand": "have more clones for now, as viewers ask for them",
    "later": "left to repair",
}
BLOCK_OPTION = click.option(
    "--block",
    metavar="N",
    type=click.IntRange(1, 10_000),
    default=BLOCK,
    show_default=True,
    help="Contents looked at in one step.",
)
_OPTIONS = (
    click.option("--pretend", is_flag=True, help="Only say what would be done."),
    click.option(
        "--concurrency",
        metavar="N",
        type=click.IntRange(1, 256),
        default=AT_ONCE,
        show_default=True,
        help="Contents worked on at once.",
    ),
    BLOCK_OPTION,
)


@frozen
class Ways:
    """What the options say of how it is done."""

    pretend: bool
    concurrency: int
    block: int


def works(function: F) -> F:
    """A command with these options, which gets them as `ways`."""

    @functools.wraps(function)
    def packed(*args: Any, **given: Any) -> Any:
        ways = Ways(**{each.name: given.pop(each.name) for each in fields(Ways)})
        return function(*args, ways=ways, **given)

    for option in reversed(_OPTIONS):
        packed = option(packed)
    return packed  # type: ignore[return-value]


class Running(Protocol):
    """Work that can be told to stop."""

    @property
    def tally(self) -> Tally:
        """What became of it so far."""
        ...

    def stop(self) -> None:
        """Begin nothing more."""
        ...


@define(eq=False)
class Job:
    """One command's work, called `what` on its bar.

    `lines` and `more` are what is said behind the summary, to people and to programs. `wrong` is
    how much is not as it should be beside that: files that could not be read.
    """

    desk: Desk
    ways: Ways
    what: str
    lines: list[str] = field(factory=list, init=False)
    more: dict[str, Any] = field(factory=dict, init=False)
    wrong: int = field(default=0, init=False)
    was_stopped: bool = field(default=False, init=False)
    _running: Running | None = field(default=None, init=False)

    def round(self, deed: Deed, passed: Passed) -> Round:
        """A round that does this, or says what it would do."""
        ways = self.ways
        return Round(
            deed, ways.concurrency, ways.pretend, self._tell if ways.pretend else nobody, passed
        )

    @contextmanager
    def under_way(self, reactor: Any, running: Running) -> Iterator[None]:
        """While it runs an interrupt ends it at a safe point, and the next one at once."""
        self._running = running

        def stop() -> None:
            self.was_stopped = True
            running.stop()
            self.say("stopping, when what is under way is done; again to cut that short")

        with interruptible(reactor, stop):
            yield

    def say(self, text: str) -> None:
        """Tell something while the bar may be there: it is drawn anew below."""
        if sys.stderr.isatty():
            click.echo("\r\x1b[2K", nl=False, err=True)
        self.desk.warn(text)

    @contextmanager
    def bar(self) -> Iterator[Passed]:
        """How far it is; none where lines are printed meanwhile."""
        if self.ways.pretend:
            yield nowhere
            return
        with counted(self.desk, self.what, WHOLE) as tell:

            def show(passed: float | None, contents: int) -> None:
                tell(int((passed or 0.0) * WHOLE), contents)

            yield show

    @contextmanager
    def summed_up(self) -> Iterator[None]:
        """Says what became of the work within, also where it was cut short.

        The exit code tells whether something failed.
        """
        try:
            yield
        finally:
            self._say()
        if self.was_stopped:
            raise KeyboardInterrupt
        if self.wrong or self._tally.failed:
            raise click.exceptions.Exit(FAILED)

    @property
    def _tally(self) -> Tally:
        return self._running.tally if self._running is not None else Tally()

    def _say(self) -> None:
        if self._running is None:  # nothing was begun
            return
        tally, pretend = self._running.tally, self.ways.pretend
        value = {"pretend": pretend, **tally.to_json(), **self.more}
        self.desk.result(value, "\n".join([*summary(tally, pretend=pretend), *self.lines]))
        say_failures(self.desk, tally, "failed")

    def _tell(self, picked: Picked, outcome: Outcome) -> None:
        if outcome.is_work:
            value = {"hash": picked.hash, **asdict(outcome)}
            self.desk.result(value, f"{picked.hash}  {in_words(outcome)}")


def in_words(outcome: Outcome) -> str:
    """What would be done to one content."""
    words = []
    if outcome.made:
        onto = f" on {outcome.onto}" if outcome.onto is not None else ""
        words.append(f"make {some(outcome.made, 'clone')}{onto}")
    if outcome.removed:
        off = f" from {outcome.off}" if outcome.off is not None else ""
        words.append(f"remove {some(outcome.removed, 'clone')}{off}")
    if outcome.verified:
        words.append(f"verify {some(outcome.verified, 'clone')}")
    return ", ".join(words)


def summary(tally: Tally, *, pretend: bool) -> Sequence[str]:
    """What became of all of it, in a few lines."""
    counts = tally.counts
    lines = [f"{some(counts['contents'], 'content')} looked at"]
    for name, would in (("made", "make"), ("removed", "remove"), ("verified", "verify")):
        if counts[name]:
            size = f", {decimal(counts['bytes'])}" if name == "made" else ""
            verb = f"would {would}" if pretend else name
            lines.append(f"{verb} {some(counts[name], 'clone')}{size}")
    lines += [f"{counts[name]} {words}" for name, words in NOTES.items() if counts[name]]
    if tally.failed:
        lines.append(f"{tally.failed} {'would fail' if pretend else 'failed'}")
    return lines

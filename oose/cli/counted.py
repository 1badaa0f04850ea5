"""A bar for work on many records, where somebody watches."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from oose.cli.desk import Desk

Tell = Callable[[int, int], None]  # how far it is, and how many that were


@contextmanager
def counted(desk: Desk, what: str, total: int | None) -> Iterator[Tell]:
    """A bar on stderr that is gone when the work is over.

    It is full at `total`, in whatever unit, which is not known where None. It shows how
    many there are, how many a second came since it was first told, and the time left.
    """
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[said]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=desk.as_json or not sys.stderr.isatty(),
        transient=True,
        redirect_stdout=False,  # nothing else is written while a bar is there
        redirect_stderr=False,
    )
    with progress:
        task = progress.add_task(what, total=total, said="")
        first: int | None = None

        def tell(passed: int, count: int) -> None:
            nonlocal first
            first = count if first is None else first
            rate = (count - first) / (progress.tasks[0].elapsed or 1.0)
            progress.update(task, completed=passed, said=f"{count:,}, {rate:,.0f} a second")

        yield tell

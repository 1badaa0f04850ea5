"""What a benchmark found, as rows of a table."""

import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen


@frozen
class Row:
    """One figure; `holds` says whether it meets what is asked for."""

    what: str
    figure: str
    asked: str = ""
    holds: bool | None = None


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def machine() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB, Linux {platform.release()},"
        f" Python {platform.python_version()}"
    )


def show(rows: Sequence[Row]) -> None:
    width = max(len(row.what) for row in rows)
    for row in rows:
        verdict = {None: "", True: "ok", False: "MISSED"}[row.holds]
        print(f"{row.what:<{width}}  {row.figure:>18}  {row.asked:<22} {verdict}".rstrip())

"""`python -m benchmarks [NAME...]`: measure, and print a table with the machine."""

import shutil
import sys
from collections.abc import Callable

from benchmarks import (
    cluster,
    delivery,
    demand,
    latency,
    memory,
    migrate,
    nginx,
    repair,
    small,
    sweep,
    upload,
    verify,
)
from benchmarks.report import Row, machine, show
from benchmarks.running import WORK

ALL: dict[str, Callable[[], list[Row]]] = {
    "upload": upload.run,
    "memory": memory.run,
    "delivery": delivery.run,
    "nginx": nginx.run,
    "small": small.run,
    "latency": latency.run,
    "cluster": cluster.run,
    "migrate": migrate.run,
    "demand": demand.run,
    "sweep": sweep.run,
    "verify": verify.run,
    "repair": repair.run,
}


def main() -> None:
    names = sys.argv[1:] or list(ALL)
    rows: list[Row] = []
    try:
        for name in names:
            print(f"measuring {name} ...", file=sys.stderr)
            rows += ALL[name]()
            shutil.rmtree(WORK, ignore_errors=True)
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
    print(machine())
    show(rows)
    sys.exit(any(row.holds is False for row in rows))


main()

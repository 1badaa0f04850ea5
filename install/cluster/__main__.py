"""`make cluster`: start it, show how it is, stop it on Ctrl-C."""

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.console import Console
from rich.live import Live

from install.cluster.cluster import Cluster, Ports
from install.cluster.servers import DidNotStart
from install.cluster.table import status, summary


def main() -> int:
    """Run until somebody has seen enough."""
    console = Console()
    net = os.environ.get("OOSE_CLUSTER_NET", Ports().net)
    cluster = Cluster(Path("data/cluster"), Ports(net))
    signal.signal(signal.SIGTERM, interrupted)
    try:
        console.print("Starting Redis, CouchDB, two prisms and four stores ...")
        cluster.start()
        console.print("Upload something in another terminal; docs/cluster.md is a walk through it:")
        console.print(f"  .venv/bin/oose --profile {cluster.login} upload FILE", soft_wrap=True)
        show(cluster, console)
    except KeyboardInterrupt:
        return 0
    except DidNotStart as error:
        console.print(str(error), soft_wrap=True)
        return 1
    finally:
        console.print("Stopping ...")
        cluster.stop()


def show(cluster: Cluster, console: Console) -> NoReturn:
    """Show how it is; where nobody watches, a line whenever that changes."""
    if console.is_terminal:
        with Live(status(cluster), console=console, auto_refresh=False) as live:
            while True:
                time.sleep(1)
                live.update(status(cluster), refresh=True)
    said = ""
    while True:
        line = summary(cluster)
        if line != said:
            console.print(line, soft_wrap=True)
        said = line
        time.sleep(1)


def interrupted(number: int, frame: FrameType | None) -> None:
    """SIGTERM is Ctrl-C too."""
    raise KeyboardInterrupt


sys.exit(main())

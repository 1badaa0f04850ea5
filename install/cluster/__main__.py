"""`make cluster`: start it, show how it is, stop it on Ctrl-C."""

import signal
import sys
import time
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.live import Live

from install.cluster.cluster import Cluster
from install.cluster.servers import DidNotStart
from install.cluster.table import status


def main() -> int:
    """Run until somebody has seen enough."""
    console = Console()
    cluster = Cluster(Path("data/cluster"))
    signal.signal(signal.SIGTERM, interrupted)
    try:
        console.print("Starting Redis, CouchDB, two prisms and four stores ...")
        cluster.start()
        console.print("Upload something in another terminal; docs/cluster.md is a walk through it:")
        console.print(f"  .venv/bin/oose --profile {cluster.login} upload FILE", soft_wrap=True)
        with Live(status(cluster), console=console, auto_refresh=False) as live:
            while True:
                time.sleep(1)
                live.update(status(cluster), refresh=True)
    except KeyboardInterrupt:
        return 0
    except DidNotStart as error:
        console.print(str(error), soft_wrap=True)
        return 1
    finally:
        console.print("Stopping ...")
        cluster.stop()


def interrupted(number: int, frame: FrameType | None) -> None:
    """SIGTERM is Ctrl-C too."""
    raise KeyboardInterrupt


sys.exit(main())

"""The cluster's databases, made before the first process waits for them."""

import os
from collections.abc import Iterator
from pathlib import PurePosixPath

from attrs import frozen

from oose.installing import layout
from oose.installing.machine import Machine
from oose.installing.machine_files import service_of
from oose.installing.plan import Change
from oose.installing.system import shown

ADMIN = "OOSE_COUCHDB_ADMIN"  # in the environment: `oose couchdb setup` takes it from there
HINT = (
    "CouchDB needs databases and the account of the cluster, once: `oose couchdb setup --admin"
    f" NAME --config {{}}`. With {ADMIN} and {ADMIN}_PASSWORD in the environment `oose install`"
    " does that by itself"
)


@frozen
class Databases:
    """That CouchDB has databases and account for the configuration `file`.

    Where the process runs it has them. Only an administrator can make them.
    """

    file: PurePosixPath

    def changes(self, machine: Machine) -> Iterator[Change]:
        """See `Step`."""
        is_running = shown(machine, f"{service_of(self.file)}.service")["ActiveState"] == "active"
        if ADMIN in os.environ and not is_running:
            command = str(layout.CURRENT / layout.VENV / "bin" / "oose")
            yield Change(
                "make the databases and the account of the cluster in CouchDB",
                lambda: machine.run(command, "couchdb", "setup", "--config", str(self.file)),
            )

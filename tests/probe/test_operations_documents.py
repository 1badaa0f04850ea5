"""Every command in the documents for operators is run, in their order, on a real cluster.

What starts, stops and upgrades services does so here; what else would change a machine is only
looked at, in `tests.unit.test_operations_documents`.
"""

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from attrs import frozen

from install.cluster.cluster import CONFIGURATION
from install.cluster.servers import ADMINISTRATOR, REPOSITORY
from oose.couchdb.index import DESIGN, DOCUMENT
from oose.metadata.documents import DATABASES
from tests.operations import AS_ROOT, DOCUMENTS, Block, blocks, filled
from tests.probe.prepared import prepared
from tests.probe.running import SOON, Running, spread, within
from tests.probe.tended import view
from tests.probe.versions import tree_of

STORE, PRISM = "store4", "prism2"  # which the documents are about
MACHINE = ("prism2", "store3", "store4")  # lost, upgraded and started together
LOST = "10571" * 8
INDEX = f"/oose-inventory/{DOCUMENT}"
SERVICE = re.compile(r"oose-(?:prism|store@(.+))\.service")
VERSION = re.compile(r"(?:/oose-|/releases/)([0-9.]+)(?:-\w+)?")  # of a tree, or of a release


@frozen
class Operator:
    """Somebody who does what a document says; files go into `folder`."""

    running: Running
    programs: Path
    folder: Path
    data: bytes
    content_hash: str

    def do(self, block: Block) -> None:
        """Run a block, or do what its commands would do to a machine."""
        text = filled(block.text, self.meant)
        if block.info == AS_ROOT:
            for line in text.splitlines():
                self.do_as_root(line)
        else:
            self.run(text, f"{block.document.name}, line {block.line}")

    def run(self, text: str, where: str) -> None:
        """Run lines of shell, all of which must succeed."""
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", text],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{where}:\n{text}\n{done.stdout}\n{done.stderr}"

    def do_as_root(self, line: str) -> None:
        """Services are processes here. What else changes a machine is left alone."""
        words = shlex.split(line, comments=True)
        if words[:2] == ["oose", "upgrade"]:
            found = VERSION.search(words[2])
            assert found, line
            self.upgrade(found[1])
        elif words == ["systemctl", "reboot"]:
            self.start_again()
        elif words[:1] == ["systemctl"]:
            self.tell_services(words)

    def tell_services(self, words: Sequence[str]) -> None:
        """What `systemctl` would do to each that it is told of."""
        for found in filter(None, map(SERVICE.fullmatch, words[2:])):
            name = found[1] or PRISM
            server = self.running.cluster.peers[name]
            server.stop()
            if words[1] in {"start", "restart", "enable"}:
                server.start()
                server.wait()
                self.running.wait_until(True, [name])

    def start_again(self) -> None:
        """All of a machine at once; the others do its work meanwhile."""
        peers = self.running.cluster.peers
        for name in MACHINE:
            peers[name].signal(signal.SIGTERM)
        for name in MACHINE:
            peers[name].wait_for_end()
        self.is_served()
        for name in MACHINE:
            peers[name].start()
        for name in MACHINE:
            peers[name].wait()
        self.running.wait_until(True, MACHINE)

    def upgrade(self, version: str) -> None:
        """One service of a machine after the other, as `oose upgrade` does, and back likewise."""
        tree = tree_of(version, self.folder)
        for name in MACHINE:
            server = self.running.cluster.peers[name]
            server.stop()
            self.is_served()
            server.environment = {**server.environment, "PYTHONPATH": str(tree)}
            server.start()
            server.wait()
            self.running.wait_until(True, [name])
            assert self.running.peers()[name]["version"] == version
            self.is_served()

    def is_served(self) -> None:
        """Viewers and applications notice nothing, whichever version their prism asks."""
        client = self.running.client("prism1")
        assert within(SOON, lambda: view(client, self.content_hash)) == self.data
        data = os.urandom(1000)
        uploaded = client.upload(data)["hash"]
        assert within(SOON, lambda: client.download(uploaded)) == data

    @property
    def meant(self) -> Mapping[str, str]:
        """What stands for what."""
        cluster = self.running.cluster
        return {
            "NAME": STORE,
            "PRISM": PRISM,
            "HASH": self.content_hash,
            "/etc/oose/prism.py": str(CONFIGURATION),
            "/etc/oose/ca.pem": str(cluster.certificate),
            "/var/backups/oose": str(self.folder),
            "https://prism1.example.com:5971": cluster.url("prism1"),
            "https://prism2.example.com:5971": cluster.url("prism2"),
            "https://om101.example.com:5972": cluster.url("store1"),
        }

    @property
    def environment(self) -> Mapping[str, str]:
        """An operator's, on the machine of prism1."""
        cluster = self.running.cluster
        return {
            **os.environ,
            **cluster.environment("prism1"),
            "PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}",
            "OOSE_CONFIG": str(CONFIGURATION),
            "OOSE_PROFILE": str(cluster.login),
            "OOSE_COUCHDB_ADMIN": ADMINISTRATOR,
            "OOSE_COUCHDB_ADMIN_PASSWORD": cluster.couch.password,
            "PASSWORD": "the password of alice",
        }


def nothing(operator: Operator) -> None:
    """All is well."""


def lose_content(operator: Operator) -> None:
    """Content of which the only clone was on a store that nobody remembers."""
    place = {"hash": LOST, "prism": PRISM, "store": "gone", "size": 5, "createdAt": 1}
    kind = {"mimeType": "text/plain", "mimeExtension": "txt", "relativePath": "a", "sha256": None}
    record = {**place, **kind, "verifiedAt": None}
    couch = operator.running.cluster.couch
    couch.ask("PUT", f"/oose-inventory/{LOST}:{PRISM}:gone", record)


def lose_a_machine(operator: Operator) -> None:
    """All of its processes end at once, without a word."""
    for name in MACHINE:
        operator.running.cluster.peers[name].kill()
    operator.running.wait_until(False, MACHINE)


def sell(operator: Operator) -> None:
    """Something is in Redis."""
    token = operator.running.client("prism1").purchase(operator.content_hash)
    (operator.folder / "sold").write_text(token)


def lose_couchdb(operator: Operator) -> None:
    """All of oose's databases are gone; peers are stopped."""
    for server in operator.running.cluster.peers.values():
        server.stop()
    for name in DATABASES:
        operator.running.cluster.couch.ask("DELETE", f"/oose-{name}")


def start(operator: Operator) -> None:
    """Start all peers that do not run."""
    for server in operator.running.cluster.peers.values():
        if not server.is_running:
            server.start()
            server.wait()
    operator.running.wait_until(True, operator.running.cluster.peers)


def lose_redis(operator: Operator) -> None:
    """All that Redis had is gone."""
    host, port = operator.running.cluster.redis.address
    operator.run(f"redis-cli -h {host} -p {port} FLUSHALL", "meanwhile")


def deliver(operator: Operator) -> None:
    """What was sold is sold still."""
    token = (operator.folder / "sold").read_text()
    client = operator.running.client("prism1")
    assert within(SOON, lambda: client.deliver(token)) == operator.data


def want_another_index(operator: Operator) -> None:
    """The index of what stores have is that of another version."""
    couch = operator.running.cluster.couch
    found = couch.ask("GET", INDEX)
    another = {"views": {"held": {"map": "function (doc) { emit(doc._id, null); }"}}}
    couch.ask("PUT", INDEX, {**found, **another})


def is_indexed(operator: Operator) -> None:
    """The index is this version's."""
    found = operator.running.cluster.couch.ask("GET", INDEX)
    assert found["views"] == DESIGN["views"]


BEFORE: Mapping[str, Callable[[Operator], None]] = {
    "backup": sell,
    "losing-a-disk": lose_content,
    "losing-a-machine": lose_a_machine,
}
AFTER: Mapping[str, Callable[[Operator], None]] = {"backup": deliver, "upgrading": is_indexed}
BEFORE_BLOCKS: Mapping[tuple[str, str], Callable[[Operator], None]] = {
    ("backup", "oose couchdb setup"): lose_couchdb,
    ("backup", "oose inventory scan"): start,
    ("backup", "oose import"): lose_redis,
    ("upgrading", "oose couchdb setup"): want_another_index,
}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with prepared(tmp_path_factory.mktemp("bin")) as programs:
        yield programs


@pytest.fixture
def operator(running: Running, programs: Path, tmp_path: Path) -> Iterator[Operator]:
    data, content_hash, _ = spread(running.settled("prism1"))
    operator = Operator(running, programs, tmp_path, data, content_hash)
    yield operator
    for server in running.cluster.peers.values():
        if server.environment["PYTHONPATH"] != str(REPOSITORY):
            server.stop()
            server.environment = {**server.environment, "PYTHONPATH": str(REPOSITORY)}
    start(operator)
    for name, peer in running.peers().items():
        if not peer["active"]:
            operator.run(f"oose peer activate {name}", "afterwards")
        if not peer["writable"]:
            operator.run(f"oose peer writable {name}", "afterwards")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_what_a_document_says_can_be_done_and_content_stays(
    document: Path, operator: Operator
) -> None:
    BEFORE.get(document.stem, nothing)(operator)
    for block in blocks(document):
        for (name, beginning), happens in BEFORE_BLOCKS.items():
            if name == document.stem and block.text.startswith(beginning):
                happens(operator)
        operator.do(block)
    AFTER.get(document.stem, nothing)(operator)
    client = operator.running.client("prism1")
    assert within(SOON, lambda: view(client, operator.content_hash)) == operator.data

"""A cluster that tends its content at short intervals, with what is on its disks and recorded."""

import json
import os
import shutil
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from install.cluster.cluster import BIN, CONFIGURATION, PRISMS, STORES, Cluster, Ports
from install.cluster.servers import REPOSITORY
from tests.probe.client import Client, Refused
from tests.probe.running import TEMPO, Running, T, within

LATER = 150.0  # seconds: what has failed is tried again after a minute
PULLED = "store4"  # whose disk is a tmpfs that can be pulled
INVENTORY = "oose-inventory"
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "clones": {
        "maximum": 4,
        "repair_after": "5s",
        "repair_frequency": "4s",
        "bear": 100,  # requests of a few seconds: see `tests.probe.hurried`
        "cool_after": "1s",
    }
}


@frozen
class Lying:
    """A file on a store's disk, or what a record says of one."""

    place: str
    path: str
    size: int


class Tended(Running):
    """The cluster, with what its operator sees of disks and databases."""

    @classmethod
    def below(cls, folder: Path, net: str) -> "Tended":
        """One that is not started yet."""
        cluster = Cluster(folder, Ports(net=net), TEMPO, as_settings({}))
        for prism in map(cluster.peers.__getitem__, PRISMS):
            prism.command = [sys.executable, "-m", "tests.probe.hurried", *prism.command[1:]]
        pulled = cluster.peers[PULLED]
        keep = folder / "tmpfs"
        pulled.command = [*on_a_tmpfs(pulled.folder / PULLED, keep), *pulled.command]
        return cls(cluster)

    # Processes.

    def restart(self, name: str, **settings: Mapping[str, Any]) -> None:
        """Stop a peer, start it with some other settings, and wait until all use it again."""
        peer = self.cluster.peers[name]
        peer.stop()
        self.start(name, **settings)
        self.wait_until(True, [name])

    def start(self, name: str, **settings: Mapping[str, Any]) -> None:
        """Start a peer that has ended, and wait until it listens."""
        peer = self.cluster.peers[name]
        peer.environment = {**peer.environment, **as_settings(settings)}
        peer.start()
        peer.wait()

    # The operator.

    def ask(self, name: str, path: str, value: object) -> Any:
        """Ask a peer as one of them; `Refused`."""
        status, _, text = self.ask_for(f"{self.cluster.url(name)}{path}", value)
        if status != 200:
            raise Refused(f"{name}{path}: {status} {text[:300]!r}")
        return json.loads(text)

    def ask_for(self, url: str, value: object) -> tuple[int, Mapping[str, str], bytes]:
        """The same, whatever the answer is."""
        who = b64encode(f"peer:{self.cluster.password}".encode()).decode()
        headers = {"Authorization": f"Basic {who}", "Content-Type": "application/json"}
        return self.stranger("prism1").ask("POST", url, json.dumps(value).encode(), headers)

    def oose(self, *arguments: str) -> tuple[int, Any]:
        """The command: its exit code, and what it says as JSON."""
        cluster = self.cluster
        environment = {**os.environ, **cluster.environment("prism1")}
        environment |= {"PYTHONPATH": str(REPOSITORY), "OOSE_CONFIG": str(CONFIGURATION)}
        command = [str(BIN / "oose"), "--json", "--profile", str(cluster.login), *arguments]
        run = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        return run.returncode, json.loads(run.stdout) if run.stdout else run.stderr

    def scan(self) -> None:
        """Have all disks swept; each is read to its end."""
        code, said = self.oose("inventory", "scan", "--fast")
        assert [each for each in said if each["state"] != "finished"] == []
        assert code == 0

    def clear(self) -> None:
        """Bring all peers back, and remove all content."""
        for name, peer in self.cluster.peers.items():
            if not peer.is_running:
                self.start(name)
        self.wait_until(True, self.cluster.peers)
        eventually(self._remove_all)

    def _remove_all(self) -> None:
        if hashes := list(self.places()):
            self.oose("remove", "--yes", *hashes)
        if self.on_disks():  # without a record, after a test that has failed
            self.scan()
        assert self.places() == {}
        assert self.on_disks() == set()

    # Disks.

    def root(self, name: str) -> Path:
        """A store's disk as the store sees it."""
        peer = self.cluster.peers[name]
        folder = peer.folder / name
        if name != PULLED or peer.process is None:
            return folder
        return Path(f"/proc/{peer.process.pid}/root{folder}")

    def pull_disk(self) -> Path:
        """Unmount the disk of `PULLED`; the folder that it was mounted on."""
        folder = self.cluster.peers[PULLED].folder / PULLED
        self._in_its_namespace("umount", "-l", str(folder))
        return folder

    def push_disk(self) -> None:
        """Mount it again."""
        folder = self.cluster.peers[PULLED].folder / PULLED
        self._in_its_namespace("mount", "--bind", str(self.cluster.folder / "tmpfs"), str(folder))

    def _in_its_namespace(self, *command: str) -> None:
        process = self.cluster.peers[PULLED].process
        assert process is not None
        inside = ["nsenter", f"--target={process.pid}", "--user", "--preserve-credentials"]
        subprocess.run([*inside, "--mount", *command], check=True)

    def on_disks(self) -> set[Lying]:
        """All content files there are."""
        return {
            Lying(place_of(name), str(path.relative_to(content)), path.stat().st_size)
            for name in STORES
            for content in [self.root(name) / "content"]
            for path in content.rglob("*")
            if path.is_file()
        }

    def quarantined(self, content_hash: str) -> Sequence[str]:
        """The places of the stores that have put a file of it aside."""
        return [
            place_of(name)
            for name in STORES
            if any(
                path.name.startswith(content_hash) and not path.name.endswith(".json")
                for path in (self.root(name) / "quarantine").iterdir()
            )
        ]

    # Databases.

    def documents(self) -> Mapping[str, Mapping[str, Any]]:
        """All inventory records, by id."""
        found = self.cluster.couch.documents(INVENTORY)
        return {key: each for key, each in found.items() if not key.startswith("_")}

    def places(self) -> Mapping[str, Collection[str]]:
        """Where the records say that clones are, by hash."""
        found: dict[str, list[str]] = {}
        for row in self.cluster.couch.ask("GET", f"/{INVENTORY}/_all_docs")["rows"]:
            content_hash, colon, place = row["id"].partition(":")
            if colon:
                found.setdefault(content_hash, []).append(place)
        return found

    def write(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """Write documents into the inventory, as they are."""
        answers = self.cluster.couch.ask("POST", f"/{INVENTORY}/_bulk_docs", {"docs": documents})
        assert [each for each in answers if "error" in each] == []

    # What must be true in the end.

    def agrees(self) -> None:
        """Disks and records do: no file without a record, no record without a file."""
        recorded = {
            Lying(key.partition(":")[2], each["relativePath"], each["size"])
            for key, each in self.documents().items()
        }
        on_disks = self.on_disks()
        assert on_disks - recorded == set()
        assert recorded - on_disks == set()

    def has(self, hashes: Collection[str], count: int = 2) -> None:
        """Each has so many clones, of which the records tell."""
        places = self.places()
        wrong = {each: places.get(each) for each in hashes if len(places.get(each, ())) != count}
        assert not wrong, f"of {len(hashes)} contents {len(wrong)} have not {count}: {wrong}"

    def is_settled(self, hashes: Collection[str], count: int = 2) -> None:
        """Disks and records agree, and each has its clones."""
        self.agrees()
        self.has(hashes, count)


def eventually(call: Callable[[], T]) -> T:
    """What `call` gives once it does not fail; asked seldom, as the machine has other work."""
    return within(LATER, call, pause=0.5)


def as_settings(settings: Mapping[str, Mapping[str, Any]]) -> Mapping[str, str]:
    """The environment that has peers start with these on top of `SETTINGS`."""
    sections = SETTINGS.keys() | settings.keys()
    merged = {each: {**SETTINGS.get(each, {}), **settings.get(each, {})} for each in sections}
    return {"OOSE_CLUSTER_SETTINGS": json.dumps(merged)}


def on_a_tmpfs(folder: Path, keep: Path) -> list[str]:
    """What runs a command with the same tmpfs at two folders, in a namespace of its own.

    It claims as much room as other disks have, so that it gets as many files.
    """
    for each in (folder, keep):
        each.mkdir(parents=True)
    size = shutil.disk_usage(folder).free
    script = (
        f"mount -t tmpfs -o size={size} tmpfs '{keep}' &&"
        f" mount --bind '{keep}' '{folder}' && exec \"$@\""
    )
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]


def place_of(store: str) -> str:
    """As records have it."""
    return f"{'prism1' if store in {'store1', 'store2'} else 'prism2'}:{store}"


def view(client: Client, content_hash: str) -> bytes:
    """What a viewer gets who needs no purchase; `Refused` says the status, and from where."""
    url = f"{client.url}/static/{content_hash}/a.txt"
    status, headers, data = client.ask("GET", url)
    if status == 302:
        url = headers["location"]
        status, _, data = client.ask("GET", url)
    if status != 200:
        raise Refused(f"{status} from {url}: {data[:200]!r}")
    return data

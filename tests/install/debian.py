"""A bare Debian 12 in a folder: namespaces of its own, so that nothing of it is left at the end."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import define, frozen

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = REPOSITORY / ".build"
SUITE = "bookworm"
LONGEST = 600  # seconds that a command may take
PATIENCE = 60.0  # seconds that a service may take to do something
SYSTEMCTL = Path(__file__).with_name("systemctl.py")
TREE = (
    "oose",
    "twisted",
    "install",
    "config",
    "docs",
    "pyproject.toml",
    "setup.py",
    "requirements.lock",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
)
DEVICES = {"null": "1 3", "zero": "1 5", "random": "1 8", "urandom": "1 9", "tty": "5 0"}


@frozen
class Said:
    """How a command in the folder ended, and what it said."""

    code: int
    out: str
    err: str


@define
class Debian:
    """The system in `folder`; `holder` is the process whose end takes its namespaces away."""

    folder: Path
    holder: "subprocess.Popen[bytes]"

    def at(self, path: str) -> Path:
        """With what is mounted within."""
        return Path(f"/proc/{self.init}/root{self.folder}", path.lstrip("/"))

    def run(
        self, *command: str, beside: bool = False, environment: Mapping[str, str] | None = None
    ) -> Said:
        """Run a command within, as root; `beside` the services, in the network that they have."""
        ended = subprocess.run(
            [*entering(self.init, beside=beside), "chroot", str(self.folder), *command],
            env={
                "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME": "/root",
                "LANG": "C.UTF-8",
                "PIP_NO_INDEX": "1",
                "PIP_FIND_LINKS": "/wheels",
                **(environment or {}),
            },
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )
        return Said(ended.returncode, ended.stdout, ended.stderr)

    def good(self, *command: str, beside: bool = False) -> str:
        """The same, of a command that has to succeed: what it printed."""
        said = self.run(*command, beside=beside)
        assert said.code == 0, (command, said.code, said.out[-3000:], said.err[-3000:])
        return said.out

    def fetched(self, url: str, *hosts: str, authority: str) -> bytes:
        """What curl of the machine outside gets beside the services; `hosts` are all 127.0.0.1."""
        ask = ["curl", "--silent", "--show-error", "--fail", "--location"]
        ask += ["--cacert", str(self.at(authority))]
        for host in hosts:
            ask += ["--resolve", f"{host}:443:127.0.0.1"]
        network = ["nsenter", f"--target={self.init}", "--net"]
        return subprocess.run([*network, *ask, url], stdout=subprocess.PIPE, check=True).stdout

    @property
    def init(self) -> int:
        """The first process within the namespaces, as seen from outside."""
        children = Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children")
        return int(children.read_text().split()[0])

    def bring(self, name: str, edits: Mapping[str, tuple[str, str]] | None = None) -> str:
        """Put the program's tree there as /root/`name`, with one text for another in some files."""
        to = self.at(f"/root/{name}")
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "dropin.cache")
        to.mkdir()
        for each in TREE:
            path = REPOSITORY / each
            if path.is_dir():
                shutil.copytree(path, to / each, ignore=ignored)
            else:
                shutil.copy2(path, to / each)
        for file, (old, new) in (edits or {}).items():
            text = (to / file).read_text()
            assert old in text
            (to / file).write_text(text.replace(old, new, 1))
        return f"/root/{name}"

    def wait_for(self, path: str) -> None:
        """Until a service has made this file."""
        latest = time.monotonic() + PATIENCE
        while not self.at(path).exists():
            assert time.monotonic() < latest, f"nobody makes {path}"
            time.sleep(0.05)

    def service_commands(self) -> list[str]:
        """What systemctl was asked to do, and no longer remembers afterwards."""
        log = self.at("/run/systemctl/log")
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines


@contextmanager
def debian(folder: Path, *, apart: bool) -> Iterator[Debian]:
    """A bare one, in `folder`, which goes away whatever happens.

    `apart`: its services have a network of their own, in which there is only loopback.
    """
    wheels = made_wheels()
    archive = made_archive()
    subprocess.run(["tar", "--extract", "--file", archive, "--directory", folder], check=True)
    shutil.copytree(wheels, folder / "wheels")
    for name in ("resolv.conf", "hosts"):
        shutil.copy2(Path("/etc", name).resolve(), folder / "etc" / name)
    said = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True, check=True)
    (folder / "etc/apt/apt.conf.d/90here").write_bytes(said.stdout)
    shutil.copy2(SYSTEMCTL, folder / "usr/local/sbin/systemctl")
    (folder / "usr/local/sbin/systemctl").chmod(0o755)
    # Packages start nothing by themselves: Debian's way to say so of a folder (invoke-rc.d(8)).
    policy = folder / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    # The pipe closes when we end, however that is: then the holder ends, and with it all there is.
    holder = subprocess.Popen(
        ["unshare", "--mount", "--propagation=private", "--pid", *(["--net"] if apart else []),
         "--fork", "cat"],
        stdin=subprocess.PIPE,
    )  # fmt: skip
    try:
        system = Debian(folder, holder)
        mount(system)
        yield system
    finally:
        holder.communicate()
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)


def entering(init: int, *, beside: bool = False) -> list[str]:
    """What a command begins with that runs within the namespaces, `beside` in the services' own."""
    return ["nsenter", f"--target={init}", "--mount", "--pid", *(["--net"] if beside else [])]


def mount(system: Debian) -> None:
    """What a system has mounted, within its namespaces only."""
    waits = 0
    while not Path(f"/proc/{system.holder.pid}/task/{system.holder.pid}/children").read_text():
        waits += 1
        assert waits < 1_000_000, "unshare did not start"
    lines = [f"mount -t {kind} {kind} {system.folder}/{place}" for kind, place in (
        ("proc", "proc"), ("sysfs", "sys"), ("tmpfs", "dev"), ("tmpfs", "run"),
    )]  # fmt: skip
    lines += [
        f"mknod --mode=666 {system.folder}/dev/{name} c {number}"
        for name, number in DEVICES.items()
    ]
    script = "\n".join(["set -e", *lines, f"ln -s /proc/self/fd {system.folder}/dev/fd"])
    subprocess.run([*entering(system.init), "sh", "-c", script], check=True)
    up = ["ip", "link", "set", "lo", "up"]
    subprocess.run([*entering(system.init, beside=True), *up], check=True)


def has_loop_devices() -> bool:
    """Whether the kernel can make disks of files (losetup(8))."""
    return subprocess.run(["losetup", "--find"], capture_output=True, check=False).returncode == 0


@contextmanager
def empty_disk(system: Debian, size: int) -> Iterator[str]:
    """A disk that is empty, within the system: its path."""
    image = system.folder.with_name(f"{system.folder.name}.disk")
    with image.open("wb") as file:
        file.truncate(size)
    found = subprocess.run(
        ["losetup", "--find", "--show", image], capture_output=True, text=True, check=True
    )
    device = found.stdout.strip()
    status = Path(device).stat()
    try:
        numbers = (str(os.major(status.st_rdev)), str(os.minor(status.st_rdev)))
        system.good("mknod", device, "b", *numbers)
        yield device
    finally:
        # It goes as soon as nobody has it mounted any more.
        subprocess.run(["losetup", "--detach", device], check=True)
        image.unlink()


def made_wheels() -> Path:
    """What the program needs, from wherever this machine has it; no network is needed then."""
    lock = (REPOSITORY / "requirements.lock").read_text()
    folder, stamp = CACHE / "wheels", CACHE / "wheels/of.lock"
    if not stamp.exists() or stamp.read_text() != lock:
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run(
            [sys.executable, "-m", "pip", "wheel", "--quiet", f"--wheel-dir={folder}",
             "--requirement", REPOSITORY / "requirements.lock", build_requirement()],
            check=True,
        )  # fmt: skip
        stamp.write_text(lock)
    return folder


def build_requirement() -> str:
    """What pip builds the program with."""
    found = re.search(r'requires = (\[".*"\])', (REPOSITORY / "pyproject.toml").read_text())
    assert found is not None
    (name,) = json.loads(found[1])
    return str(name)


def made_archive() -> Path:
    """The whole system as debootstrap makes it, once."""
    archive = CACHE / "debian-12.tar"
    if not archive.exists():
        folder = CACHE / "debian-12"
        shutil.rmtree(folder, ignore_errors=True)
        CACHE.mkdir(exist_ok=True)
        subprocess.run(
            ["debootstrap", "--variant=minbase", SUITE, folder, mirror()],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        draft = archive.with_suffix(".new")
        subprocess.run(["tar", "--create", "--file", draft, "--directory", folder, "."], check=True)
        draft.rename(archive)
        shutil.rmtree(folder)
    return archive


def mirror() -> str:
    """Where this machine has its Debian from."""
    said = subprocess.run(
        ["apt-get", "indextargets", "--format=$(REPO_URI) $(CODENAME) $(COMPONENT)"],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.split() for line in said.stdout.splitlines()]
    return next(line[0] for line in lines if line[1:] == [SUITE, "main"])

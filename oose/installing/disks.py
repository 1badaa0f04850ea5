"""Disks: which of them is empty, and what has to be so before one becomes a store's."""

import json
import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from attrs import frozen

from oose.disk import Disk, NotOurs
from oose.installing import layout
from oose.installing.files import File
from oose.installing.machine import Machine
from oose.installing.plan import Change
from oose.installing.runner import Refused

COLUMNS = "NAME,TYPE,SIZE,RO,RM,MODEL,SERIAL,FSTYPE,PTTYPE,MOUNTPOINTS"
ROOT = PurePosixPath("/")
OPTIONS = "noatime,nofail"  # a disk that is lost does not keep the machine from booting
LABEL = 12  # letters that XFS keeps, mkfs.xfs(8)


@frozen
class Device:
    """A block device; `size` in bytes."""

    path: str
    size: int
    model: str
    serial: str

    @property
    def name(self) -> str:
        """What an operator types to have it formatted."""
        return PurePosixPath(self.path).name

    def __str__(self) -> str:
        what = " ".join(each for each in (self.model, self.serial) if each)
        return f"{self.path} ({what + ', ' if what else ''}{self.size / 1e9:.1f} GB)"


def device_for(machine: Machine, place: PurePosixPath, named: str | None) -> Device | None:
    """What to format for a mount point; None where a disk is mounted there: it is not touched."""
    return None if machine.is_mount(machine.at(place)) else chosen(machine, named)


def chosen(machine: Machine, named: str | None) -> Device:
    """The device to format: the one that is named, or the only one that is empty. `Refused`."""
    if named is not None:
        path = os.path.realpath(named)
        rows = [each for each in listed(machine, path) if each["name"] == path]
        if not rows:
            raise Refused(f"{named} is no disk of this machine; `lsblk` lists them")
        if why := why_not(machine, rows[0]):
            raise Refused(f"{named} is not empty: {why}. Nothing that holds anything is formatted")
        return device_of(rows[0])
    found = [row for row in listed(machine) if row["type"] == "disk" and not row["rm"]]
    empty = [device_of(row) for row in found if not why_not(machine, row)]
    if len(empty) != 1:
        names = ", ".join(map(str, empty)) or "none"
        raise Refused(f"Which disk is to be formatted? --device DEVICE says it. Empty are: {names}")
    return empty[0]


def listed(machine: Machine, *paths: str) -> Sequence[dict[str, Any]]:
    """Block devices as lsblk(8) has them, those that others are made of with their `children`."""
    ran = machine.run(
        "lsblk", "--json", "--bytes", "--paths", "--tree", f"--output={COLUMNS}", *paths,
        accept=(0, 32, 64),
    )  # fmt: skip
    rows: Sequence[dict[str, Any]] = json.loads(ran.out or "{}").get("blockdevices", [])
    return rows


def device_of(row: dict[str, Any]) -> Device:
    """One row of lsblk."""
    model, serial = (str(row[key] or "").strip() for key in ("model", "serial"))
    return Device(row["name"], int(row["size"]), model, serial)


def why_not(machine: Machine, row: dict[str, Any]) -> str:
    """What speaks against formatting it; nothing where it is empty, and nobody's."""
    path = row["name"]
    if row["ro"]:
        return "it cannot be written"
    if row.get("children"):
        return f"{', '.join(each['name'] for each in row['children'])} are made of it"
    if any(row["mountpoints"]):
        return f"it is mounted at {', '.join(filter(None, row['mountpoints']))}"
    if kind := row["fstype"] or row["pttype"]:
        return f"it has {kind}"
    # What lsblk knows comes from udev and may be old: the device itself is looked at.
    signatures = machine.run("wipefs", "--no-act", "--noheadings", "--output=TYPE", path).out
    if signatures.strip():
        return f"it has {', '.join(signatures.split())}"
    return ""


@frozen
class Formatted:
    """A device with a file system of its own at `place`, mounted whenever the machine starts."""

    device: Device
    place: PurePosixPath
    uuid: str

    def changes(self, machine: Machine) -> Iterator[Change]:
        """See `Step`; it is looked at once more before it is written."""
        device, place = self.device, self.place
        yield Change(f"make an XFS file system on {device}", partial(self._format, machine))
        fstab = machine.at(layout.FSTAB)
        text = fstab.read_text("utf-8") if fstab.exists() else ""
        end = "" if text.endswith("\n") or not text else "\n"
        line = f"UUID={self.uuid} {place} xfs {OPTIONS} 0 0\n"
        yield from File(layout.FSTAB, text + end + line, keeps_old=True).changes(machine)
        yield Change(f"mount it at {place}", partial(self._mount, machine))

    def _format(self, machine: Machine) -> None:
        path = self.device.path
        chosen(machine, path)
        label = ("-L", self.place.name) if len(self.place.name) <= LABEL else ()
        # Without -f it refuses, as we do, a device that has anything.
        machine.run("mkfs.xfs", "-q", "-m", f"uuid={self.uuid}", *label, path)

    def _mount(self, machine: Machine) -> None:
        machine.run("systemctl", "daemon-reload")  # it makes its own of fstab
        machine.run("mount", str(self.place))


def check_empty_place(machine: Machine, place: PurePosixPath) -> None:
    """`Refused` where a new disk cannot be mounted: it would hide files, or another is."""
    folder = machine.at(place)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused(f"{place} is not empty: a disk mounted there would hide what it holds")
    fstab = machine.at(layout.FSTAB)
    if fstab.exists() and is_in_fstab(fstab.read_text("utf-8"), place):
        raise Refused(f"/etc/fstab has another disk for {place}: mount that one, or take it out")


def is_in_fstab(text: str, place: PurePosixPath) -> bool:
    """Whether fstab(5) names a mount point."""
    lines = [line.split() for line in text.splitlines() if not line.lstrip().startswith("#")]
    return any(len(line) > 1 and PurePosixPath(line[1]) == place for line in lines)


def check_mounted(machine: Machine, disk: PurePosixPath, *, must_be_mount: bool) -> None:
    """`Refused` where a folder is not to be a store's: what would be lost is said."""
    folder = machine.at(disk)
    if disk == ROOT:
        raise Refused("The root of the machine's file system is no store's disk")
    if not folder.is_dir():
        raise Refused(f"There is no folder {disk}: mount the disk there, or see --format")
    if must_be_mount and not machine.is_mount(folder):
        raise Refused(
            f"No disk is mounted at {disk}. Content would fill the disk of the system, and be"
            " hidden as soon as one is mounted there. Mount it; or, where a folder is meant,"
            " --no-mount-check"
        )
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        raise Refused(f"{disk} is mounted read-only: a store has to write there")


def check_owner(machine: Machine, disk: PurePosixPath, name: str) -> None:
    """`Refused` where a disk says that it is another store's."""
    try:
        Disk(machine.at(disk), name, 0).is_signed()
    except NotOurs as error:
        raise Refused(f"{error}. --name says which store it is") from None


def notes_on(machine: Machine, disk: PurePosixPath) -> Iterator[str]:
    """What an operator should know of a disk that is there already."""
    fstab = machine.at(layout.FSTAB)
    text = fstab.read_text("utf-8") if fstab.exists() else ""
    if machine.is_mount(machine.at(disk)) and not is_in_fstab(text, disk):
        yield f"/etc/fstab does not name {disk}: is it mounted when the machine starts?"
    ours = machine.owner(layout.USER, layout.USER)
    content = machine.at(disk) / "content"
    if ours is not None and content.is_dir() and content.stat().st_uid != ours.user:
        yield (
            f"{disk}/content belongs to another user than {layout.USER}, who could not write there:"
            f" chown --recursive {layout.USER}: {disk}/content"
        )


def room_notes(machine: Machine, disk: PurePosixPath, least: int) -> Iterator[str]:
    """Whether a store that leaves `least` bytes of its disk free could take anything."""
    status = os.statvfs(machine.at(disk))
    free = status.f_bavail * status.f_frsize
    if free <= least:
        yield (
            f"The store takes nothing: {free / 1e9:.1f} GB of {disk} are free, and it leaves"
            f" {least / 1e9:.1f} GB so (`min_free` in its configuration)"
        )

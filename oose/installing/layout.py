"""Where things are on a machine that oose was installed on, and who they belong to."""

from pathlib import PurePosixPath

USER = "oose"  # and its group
OPT = PurePosixPath("/opt/oose")
RELEASES = OPT / "releases"  # a folder each: the tree, and its `venv`
CURRENT = OPT / "current"  # a link to one of them
VENV = "venv"
COMMAND = PurePosixPath("/usr/local/bin/oose")
ETC = PurePosixPath("/etc/oose")
PRISM = ETC / "prism.py"
STORES = ETC / "store"
WEB = ETC / "web.py"  # what nginx before them is told
WEB_PEM = ETC / "web.pem"  # the self-signed certificate it may have
HOST = ETC / "host.py"  # what the firewall is told
STATE = PurePosixPath("/var/lib/oose")
UNITS = PurePosixPath("/etc/systemd/system")
FSTAB = PurePosixPath("/etc/fstab")
PRISM_SERVICE = "oose-prism"
CONFIGURATION_MODE = 0o640  # they hold passwords


def store_file(name: str) -> PurePosixPath:
    """The configuration of a store that is a process of its own."""
    return STORES / f"{name}.py"


def store_state(name: str) -> PurePosixPath:
    """What such a process keeps beside its disk."""
    return STATE / "store" / name


def store_service(name: str) -> str:
    """Its unit, without the suffix."""
    return f"oose-store@{name}"

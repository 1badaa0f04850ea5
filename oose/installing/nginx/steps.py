"""nginx on this machine, before the prism and the stores of its configurations."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from oose.installing import layout
from oose.installing.configuring import Names, checked, configuration
from oose.installing.files import Directory, File
from oose.installing.machine import Machine
from oose.installing.nginx import rotation
from oose.installing.nginx.fronts import Front, PrismFront, StoreFront
from oose.installing.nginx.logs import Log
from oose.installing.nginx.peers import fronts
from oose.installing.nginx.rendering import render_prism, render_store
from oose.installing.nginx.self_signed import SelfSigned
from oose.installing.nginx.sites import NGINX, Sites
from oose.installing.nginx.sites import found as there
from oose.installing.nginx.values import web_of
from oose.installing.plan import Step
from oose.installing.runner import Refused
from oose.installing.system import Packages, Reloaded, Service

HEAD = "# Written by `oose install web`; docs/operations/nginx.md says what can stand here.\n"


def web_steps(
    machine: Machine, names: Names, files: Mapping[PurePosixPath, Names]
) -> Sequence[Step]:
    """The steps to nginx running before all that `files` configure; `names` are its own file's."""
    web = web_of(names)
    found = fronts(machine, web, [checked(each, path) for path, each in files.items()])
    if not found:
        raise Refused(
            "There is neither a prism nor a store here that nginx could stand before: `oose"
            " install prism` or `oose install store` comes first; or --next-prism HOST:PORT names"
            " prisms on other machines"
        )
    certificates = check_certificates(machine, found)
    sites = Sites({each.name: rendered(each, machine.tree / "install") for each in found})
    hosts = [name for each in found for name in each.server_names]
    is_own = layout.WEB_PEM in certificates
    return [
        Packages(("nginx", "logrotate")),
        *([SelfSigned(layout.WEB_PEM, hosts)] if is_own else []),
        *(Log(PurePosixPath(log)) for each in found for log in (each.access_log, each.error_log)),
        sites,
        configuration(machine, layout.WEB, names, HEAD),  # what nginx has refused is not kept
        Service(NGINX, (*sites.files, *there(machine), *certificates), renewed="reload"),
        *rotated(),
    ]


def rendered(front: Front, install: Path) -> str:
    """The text of a site."""
    if isinstance(front, StoreFront):
        return render_store(front, install)
    assert isinstance(front, PrismFront)
    return render_prism(front, install)


def rotated() -> Sequence[Step]:
    """nginx's logs of oose grow with every viewer, and their disk does not."""
    timer = PurePosixPath(rotation.TIMER)
    return [
        File(PurePosixPath(rotation.ROTATION), rotation.rotation()),
        Directory(timer.parent),
        File(timer, rotation.timer()),
        Reloaded((timer,)),
        Service("logrotate.timer", (timer,)),
    ]


def check_certificates(machine: Machine, found: Sequence[Front]) -> Sequence[PurePosixPath]:
    """The files that nginx reads; `Refused` where one is not there that is not made here."""
    pairs = (PurePosixPath(path) for each in found for path in (each.certificate, each.key))
    files = list(dict.fromkeys(pairs))
    for each in files:
        if each != layout.WEB_PEM and not machine.at(each).exists():
            raise Refused(f"There is no certificate {each}: --pem FILE")
    return files

"""The plans of `oose install web` and `host`, and what these have to change with all others."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from oose.installing import layout
from oose.installing.configuring import checked, names_in
from oose.installing.host.steps import host_steps
from oose.installing.host.values import addresses_of, host_names, host_of, is_host
from oose.installing.machine import Machine
from oose.installing.machine_files import all_names
from oose.installing.nginx.steps import web_steps
from oose.installing.nginx.values import Web, behind, is_web, web_names, web_of
from oose.installing.plan import Step
from oose.installing.plans import Files, Plan, based, running
from oose.installing.runner import Refused

Known = Callable[[PurePosixPath], Sequence[str]]
"""Names and addresses of all peers that the databases of a configuration know; `Refused`."""


def web_plan(machine: Machine, asked: Mapping[str, Any], domain: str | None, known: Known) -> Plan:
    """nginx before everything that is configured on this machine."""
    names = web_names(machine, asked)
    web = web_of(names)
    files = {path: behind(each, web, domain) for path, each in all_names(machine).items()}
    steps: list[Step] = [*based(machine), *web_steps(machine, names, files)]
    for path, each in files.items():
        steps += running(machine, path, each, checked(each, path))
    notes = []
    if web.certificate == str(layout.WEB_PEM):
        notes.append(f"Clients have to trust {layout.WEB_PEM.with_suffix('.crt')}, or not to ask")
    wall = walls(machine, files, known, web)
    return Plan([*steps, *wall.steps], [*notes, *wall.notes], files)


def host_plan(machine: Machine, asked: Mapping[str, Any], known: Known) -> Plan:
    """A firewall, and settings of kernel and disks, for what is configured on this machine."""
    files = all_names(machine)
    if not (files or is_web(machine)):
        raise Refused(
            "There is neither a prism nor a store here: `oose install prism` or `oose install"
            " store` comes first"
        )
    if is_host(machine) and not any(asked.values()):
        wall = walls(machine, files, known, web_here(machine))
        return Plan([*based(machine), *wall.steps], wall.notes, files)
    names = host_names(machine, asked)
    found = addresses(files, known)
    steps = host_steps(machine, names, files, found, web_here(machine))
    ports = ", ".join(map(str, host_of(names).ssh))
    notes = [f"SSH stays open on {ports}; elsewhere? --ssh-port", *lost(found)]
    return Plan([*based(machine), *steps], notes, files)


def surroundings(machine: Machine, files: Files, known: Known) -> Plan:
    """What a changed configuration changes about nginx and firewall, where these are installed."""
    steps: list[Step] = []
    if is_web(machine):
        steps += web_steps(machine, names_in(machine, layout.WEB), files)
    wall = walls(machine, files, known, web_here(machine))
    return Plan([*steps, *wall.steps], wall.notes, files)


def walls(machine: Machine, files: Files, known: Known, web: Web | None) -> Plan:
    """The firewall as it has to be then, where it was installed.

    It stays as it is while peers are not known: rules without them would cut off who was let in.
    """
    if not is_host(machine):
        return Plan(())
    try:
        found = addresses(files, known)
    except Refused as error:
        return Plan((), [f"The firewall stays as it is, as peers are not known: {error}"])
    if notes := lost(found):
        return Plan((), ["The firewall stays as it is", *notes])
    names = names_in(machine, layout.HOST)
    return Plan(host_steps(machine, names, files, found, web))


def web_here(machine: Machine) -> Web | None:
    """The values of nginx as they are, where it is installed."""
    return web_of(names_in(machine, layout.WEB)) if is_web(machine) else None


def addresses(files: Files, known: Known) -> Mapping[str, Sequence[str]]:
    """By their hosts those of all peers of the clusters that the machine is in, which is one."""
    clusters = {str(each["couchdb"]): path for path, each in files.items() if each.get("couchdb")}
    hosts = sorted({host for path in clusters.values() for host in known(path)})
    return {host: addresses_of(host) for host in hosts}


def lost(found: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """What an operator should know: peers that would not be let in."""
    return [
        f"{host} has no address now, so that peer is not let in: mend its name, or"
        " `oose peer remove` it, and say `oose install host`"
        for host, each in found.items()
        if not each
    ]

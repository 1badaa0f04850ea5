"""How the cluster is, as a table."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from install.cluster.cluster import Cluster
from install.cluster.servers import Server


def status(cluster: Cluster) -> Table:
    """Each process: whether it runs, and what the cluster says of it."""
    try:
        peers = cluster.couch.documents("oose-peer")
        votes = cluster.couch.documents("oose-heartbeat")
    except OSError:
        peers, votes = {}, {}
    table = Table(title="make cluster: Ctrl-C stops it")
    for column in ("", "process", "where", "site", "cluster's word", "votes", "free"):
        table.add_column(
            column,
            justify="right" if column in {"process", "free"} else "left",
            no_wrap=column != "where",
            overflow="fold",
        )
    for server in (cluster.redis, cluster.couchdb):
        table.add_row(server.name, process(server), ":".join(map(str, server.address)))
    for name, server in cluster.peers.items():
        peer = next((each for each in peers.values() if each.get("name") == name), {})
        against = sum(1 for vote in votes.values() if vote.get("peer") == peer.get("_id", name))
        free = f"{peer['free'] / 1e9:.1f} GB" if peer.get("free") else ""
        where = ":".join(map(str, server.address))
        row = (name, process(server), where, peer.get("group", ""), word(peer), str(against or ""))
        table.add_row(*row, free)
    return table


def summary(cluster: Cluster) -> str:
    """The same in a line."""
    try:
        peers = {each.get("name"): each for each in cluster.couch.documents("oose-peer").values()}
    except OSError:
        peers = {}
    words = [
        f"{name} {process(server)} {Text.from_markup(word(peers.get(name, {})))}".strip()
        for name, server in cluster.peers.items()
    ]
    return ", ".join(words)


def process(server: Server) -> str:
    """The process's number, or how it ended."""
    if server.process is None:
        return "not started"
    code = server.process.poll()
    return str(server.process.pid) if code is None else f"ended ({code})"


def word(peer: Mapping[str, Any]) -> str:
    """What the cluster says of a peer."""
    if not peer:
        return ""
    if not peer["active"]:
        return "[yellow]deactivated[/]"
    if peer["available"]:
        return "[green]available[/]" if peer["writable"] else "[green]available[/], read only"
    return "[red]voted down[/]" if peer.get("voted") else "[yellow]unavailable[/]"

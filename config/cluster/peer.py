"""One peer of the cluster that `make cluster` starts; OOSE_PEER in the environment says which.

Two sites, a and b, each a group of one prism and two stores. Every peer stands for a machine of its
own, with an address of its own. On real machines each has a file like this without the environment:
its own name, address and disk, and the same databases, certificate and password as all the others.
"""

import json
import os
from pathlib import Path

_environment = os.environ
_folder = Path(_environment.get("OOSE_CLUSTER", "data/cluster")).absolute()
_net = _environment.get("OOSE_CLUSTER_NET", "127.0.2")
_peers = {
    "prism1": ("a", 2),
    "prism2": ("b", 3),
    "store1": ("a", 4),
    "store2": ("a", 5),
    "store3": ("b", 6),
    "store4": ("b", 7),
}
_name = _environment["OOSE_PEER"]
_site, _host = _peers[_name]
_room = {
    "enabled": True,
    "name": _name,
    "listen": f"{_net}.{_host}",
    "username": "peer",
    "password": (_folder / "password").read_text().strip(),
}

# Whole sections as JSON, to try other settings than those below.
_more = json.loads(_environment.get("OOSE_CLUSTER_SETTINGS", "{}"))

root = str(_folder / _name)
machine = _name
group = _site
domain = _more.get("domain")
if "OOSE_CLUSTER_PLAIN" not in _environment:
    ssl = {"pem": str(_folder / "cluster.pem"), "verify": str(_folder / "cluster.pem")}
couchdb = {
    "url": _environment.get("OOSE_CLUSTER_COUCHDB", f"http://{_net}.1:5984"),
    "username": "oose",
    "password": _room["password"],
}
redis = {"url": _environment.get("OOSE_CLUSTER_REDIS", f"redis://{_net}.1:6379")}
heartbeat = {
    # Faster than the defaults, so that there is something to see.
    "start_delay": "2s",
    "frequency": "2s",
    "retries": 4,
    "vote_life": "20s",
    **json.loads(_environment.get("OOSE_CLUSTER_HEARTBEAT", "{}")),
}
inventory = _more.get("inventory", {})
clones = {
    "minimum": int(_environment.get("OOSE_CLUSTER_CLONES", "2")),
    **_more.get("clones", {}),
}
if _name.startswith("prism"):
    prism = {
        **_room,
        "port": int(_environment.get("OOSE_CLUSTER_PRISM_PORT", "5971")),
        **_more.get("prism", {}),
    }
    retrieve = {"allow_private": True}  # so that a file of this machine can be imported
else:
    store = {
        **_room,
        "port": int(_environment.get("OOSE_CLUSTER_STORE_PORT", "5972")),
        "prism": "prism1" if _site == "a" else "prism2",
        "min_free": "100MB",
        **_more.get("store", {}),
    }

"""What the databases know of the store that a disk is to become."""

from collections import Counter
from collections.abc import Mapping, Sequence

from oose.metadata.documents import Documents
from oose.metadata.records import clones_of
from oose.moving.adoption import NotAdopted
from oose.registry import Registry

MOST = 100  # contents that are looked up


async def check_place(peers: Documents, place: str, machine: str, *, is_signed: bool) -> None:
    """`NotAdopted` where the name, or the place `<prism>:<store>`, is not free for a new disk.

    One that is signed has been adopted before.
    """
    registry = Registry(peers)
    await registry.load()
    name = place.partition(":")[2]
    for peer in registry.peers():
        if peer.kind != "store" or peer.name != name:
            continue
        if peer.place != place:
            raise NotAdopted(f"The name {name!r} is held by {peer.place}: give another one")
        if peer.machine not in {machine, ""}:
            raise NotAdopted(f"{place} is on {peer.machine}, and this is {machine}")
        if peer.identity is not None and not is_signed:
            raise NotAdopted(
                f"{place} has a disk already. If this is it and its identity was lost, or it is to"
                f" have this one instead: stop it, `oose peer remove {peer.id}`, and do this again"
            )


async def places_of(inventory: Documents, hashes: Sequence[str]) -> Mapping[str, int]:
    """Of how many of these contents there is a record at each place, the first hundred of them."""
    found = await inventory.under([clones_of(each) for each in hashes[:MOST]])
    rows = [row.id for each in found.values() for row in each]
    return Counter(each.partition(":")[2] for each in rows)

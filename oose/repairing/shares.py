"""Which prism looks after which content: each slice of all hashes is one prism's.

A slice goes to the prism with the highest weight for it (D. Thaler, C. Ravishankar: A name-based
mapping scheme for rendezvous, 1996): all agree without a word, and a prism that leaves leaves only
its own slices to others.
"""

import hashlib
from collections.abc import Collection

from oose.registry import Registry

SLICES = tuple(f"{number:02x}" for number in range(256))  # the two digits that hashes begin with
CARE = "repair"  # what a prism that repairs has in its document's `care`


def owner(each: str, prisms: Collection[str]) -> str:
    """Whose a slice is, among some prisms."""
    return max(prisms, key=lambda prism: (_weight(each, prism), prism))


def slices_of(prism: str, prisms: Collection[str]) -> frozenset[str]:
    """The slices of one of `prisms`; none where it is not among them."""
    if prism not in prisms:
        return frozenset()
    return frozenset(each for each in SLICES if owner(each, prisms) == prism)


def repairing(registry: Registry, own: str) -> frozenset[str]:
    """The prisms that repair now; `own` among them unless it is told that it does not count."""
    prisms = [each for each in registry.peers() if each.kind == "prism"]
    others = {each.name for each in prisms if each.counts and CARE in (each.care or {})}
    mine = registry.peer(f"prism:{own}")
    counts = mine is None or mine.counts
    return frozenset(others | {own} if counts else others - {own})


def _weight(each: str, prism: str) -> bytes:
    return hashlib.blake2b(f"{each}:{prism}".encode(), digest_size=16).digest()

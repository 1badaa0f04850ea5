"""Which prism looks after which content."""

from collections import Counter
from typing import Any

import pytest
from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st

from oose.registry import Peer
from oose.repairing.shares import SLICES, owner, repairing, slices_of

names = st.sets(st.text("abcdefghij0123456789-", min_size=1, max_size=12), min_size=1, max_size=5)
PRISM = Peer("prism", "p1", "p1", "h", 1, "u", "g", "m", "3", 0, care={"repair": {}})


@define
class Known:
    """A registry that knows some peers."""

    all: list[Peer] = field(factory=list)

    def peers(self) -> list[Peer]:
        return self.all

    def peer(self, peer_id: str) -> Peer | None:
        return next((each for each in self.all if each.id == peer_id), None)


@given(names)
def test_each_slice_is_one_prisms(prisms: set[str]) -> None:
    shares = [slices_of(each, prisms) for each in prisms]
    assert sorted(each for share in shares for each in share) == sorted(SLICES)


@given(names, st.data())
def test_a_prism_that_leaves_leaves_only_its_own_to_others(prisms: set[str], data: Any) -> None:
    gone = data.draw(st.sampled_from(sorted(prisms)))
    left = prisms - {gone}
    if not left:
        assert slices_of(gone, prisms) == set(SLICES)
        return
    for each in left:
        assert slices_of(each, prisms) <= slices_of(each, left)
    moved = {each for each in SLICES if owner(each, prisms) != owner(each, left)}
    assert moved == slices_of(gone, prisms)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 10])
def test_the_shares_are_alike(count: int) -> None:
    prisms = [f"prism{number}" for number in range(count)]
    sizes = Counter(owner(each, prisms) for each in SLICES)
    assert min(sizes[each] for each in prisms) > 256 / count / 2.5
    assert max(sizes.values()) < 256 / count * 2


def test_who_is_not_among_them_has_none() -> None:
    assert slices_of("p1", []) == frozenset()
    assert slices_of("p1", ["p2"]) == frozenset()


def among(*peers: Peer) -> frozenset[str]:
    known: Any = Known(list(peers))
    return repairing(known, "p1")


def test_prisms_share_that_repair_and_count() -> None:
    assert among() == {"p1"}
    second = evolve(PRISM, name="p2", prism="p2")
    assert among(PRISM, second) == {"p1", "p2"}
    assert among(PRISM, evolve(second, care=None)) == {"p1"}
    assert among(PRISM, evolve(second, care={"other": 1})) == {"p1"}
    assert among(PRISM, evolve(second, available=False)) == {"p1"}
    assert among(evolve(PRISM, active=False), second) == {"p2"}
    assert among(evolve(PRISM, care=None), evolve(PRISM, kind="store", name="s1")) == {"p1"}

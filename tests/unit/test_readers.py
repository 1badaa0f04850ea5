import random

from oose.metadata.records import InventoryRecord
from oose.readers import Readers

SHA1 = "a03f181dc7dedcfb577511149b8844711efdb04f"


def clone(store: str) -> InventoryRecord:
    return InventoryRecord(SHA1, "prism1", store, "video/mp4", "mp4", "a0/3f/a03f.mp4", 10, 1)


def order(readers: Readers, *stores: str) -> list[str]:
    return [each.store for each in readers.in_order([clone(store) for store in stores])]


def test_the_least_loaded_store_is_asked_first() -> None:
    loads = {"prism1:a": lambda: 3, "prism1:b": lambda: 1, "prism1:c": lambda: 2}
    assert order(Readers(loads, random.random), "a", "b", "c") == ["b", "c", "a"]


def test_a_store_elsewhere_counts_as_idle() -> None:
    assert order(Readers({"prism1:a": lambda: 1}, random.random), "a", "far") == ["far", "a"]


def test_chance_decides_between_equals() -> None:
    chances = iter([0.9, 0.1, 0.5])
    assert order(Readers({}, lambda: next(chances)), "a", "b", "c") == ["b", "c", "a"]


def test_clones_of_the_same_place_and_chance_can_be_ordered_too() -> None:
    assert order(Readers({}, lambda: 0.5), "a", "a") == ["a", "a"]
    assert order(Readers({}, random.random)) == []

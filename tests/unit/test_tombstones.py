"""Content that was removed stays away."""

import pytest

from oose.contents import Content
from oose.tombstones import is_buried


@pytest.mark.parametrize(
    ("removed", "created", "buried"),
    [
        (None, 0, False),
        (1000, 0, True),
        (1000, 999, True),
        (1000, 1000, False),
        (1000, 1001, False),
    ],
)
def test_clones_from_before_the_removal_are_buried(
    removed: int | None, created: int, buried: bool
) -> None:
    assert is_buried(Content("a" * 40, removed=removed), created) is buried

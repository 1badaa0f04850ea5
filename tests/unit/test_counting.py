"""Numbers in messages."""

from oose.counting import some


def test_one_thing_is_not_several() -> None:
    assert [some(n, "file") for n in range(3)] == ["0 files", "1 file", "2 files"]

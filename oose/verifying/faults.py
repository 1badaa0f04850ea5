"""What goes wrong with a file alone, and what with its disk."""

from collections.abc import Awaitable
from typing import TypeVar

from oose.errors import OoseError, Unavailable
from oose.volume import Volume

T = TypeVar("T")


class CannotTell(Unavailable):
    """How a file is cannot be said now, and that has to do with this file only."""


class Dying(Unavailable):
    """So many files in a row cannot be read, or are missing, that it must be the disk."""


async def of_one_file(volume: Volume, work: Awaitable[T]) -> T:
    """What `work` on a file comes to; `CannotTell` where it fails on a disk that is there."""
    try:
        return await work
    except OoseError as error:
        await volume.pool.run(volume.disk.check)
        raise CannotTell(error.message) from error

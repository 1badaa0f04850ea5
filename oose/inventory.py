"""The service that keeps disks and inventory in agreement: each disk of the process is swept.

Every ten seconds each is asked whether a sweep is due: after a while, where one was cut short by a
restart, or because the disk was away.
"""

from collections.abc import Mapping, Sequence

from oose.holdings import Holdings
from oose.loop import Loop
from oose.sweeping.disk_sweeps import DiskSweeps, Means
from oose.together import together

ASK_EVERY = 10.0  # seconds


class Inventory:
    """Sweeps the disks of `stores`. What is asked for is done also where `settings` enable none."""

    def __init__(self, stores: Sequence[Holdings], means: Means) -> None:
        self.sweeps: Mapping[str, DiskSweeps] = {
            each.place: DiskSweeps(each, means) for each in stores
        }
        self._loops = [
            Loop(f"The sweep of {place}", each.round, ASK_EVERY, means.clock)
            for place, each in self.sweeps.items()
            if means.settings.enabled
        ]

    def start(self) -> None:
        """Begin, when the disks are in use."""
        for each in self.sweeps.values():
            each.start()
        for loop in self._loops:
            loop.start()

    async def stop(self) -> None:
        """Cut short what is under way, and wait for it."""
        await together(each.stop() for each in self.sweeps.values())
        await together(loop.stop() for loop in self._loops)

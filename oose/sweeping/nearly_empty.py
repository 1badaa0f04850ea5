"""A disk that has next to none of the files that are recorded: more likely it is the wrong folder.

Before records are removed as their files are gone, enough of those that are there have to be seen.
"""

from attrs import define

from oose.errors import Unavailable
from oose.incoming import explained
from oose.sweeping.layout import SLICES
from oose.sweeping.native import NativeLister
from oose.sweeping.site import Site

FEW = 10  # records that may be removed whatever is on the disk
SHARE = 10  # of so many recorded files one is on the disk at least


@define
class Doubt:
    """Of one sweep. `believe` says that the disk is right, however little is on it.

    `missing` is how many records had no file so far, and `there` at least so many files are there.
    """

    believe: bool = False
    missing: int = 0
    there: int = 0

    async def allow(self, site: Site, missing: int) -> None:
        """Let so many more records be removed; `Unavailable` where that would be nearly all.

        One look at the disk is enough for ten times as many.
        """
        self.missing += missing
        self.there = max(self.there, site.counts.files)
        if not missing or self.believe or self._is_fine():
            return
        self.there = max(self.there, await count(site, self.missing))
        if not self._is_fine():
            raise Unavailable(
                f"The disk of the store {site.disk.name!r} has {self.there or 'none'} of at least"
                f" {self.missing} files that are recorded: is {site.disk.content} the right folder?"
                " No record is removed; where the files are lost say"
                f" `oose inventory scan {site.store.store} --empty`"
            )

    def _is_fine(self) -> bool:
        return self.missing <= FEW or self.there * SHARE >= self.missing


async def count(site: Site, enough: int) -> int:
    """Files of ours on the disk, counted up to about `enough`."""
    lister = NativeLister(site.disk.content)

    def step(part: str) -> tuple[int, bool]:
        with explained(site.disk.name):
            page = lister.read(part)
        return len(page.files), page.is_last

    files = 0
    for part in SLICES:
        is_last = False
        while not is_last and files < enough:
            found, is_last = await site.run(step, part)
            files += found
    lister.close()
    return files

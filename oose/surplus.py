"""Clones too many after an upload: two prisms that receive the same at once each make their own.

After its records are written each looks once more. Who sees too many removes them, as
`oose.trimming` does; large files are not read for it again while somebody waits for the answer.
"""

from collections.abc import Sequence

from attrs import frozen
from twisted.internet.interfaces import IReactorTime

from oose.claims import Claims
from oose.contents import Content
from oose.errors import OoseError
from oose.existence import Existence
from oose.keepers import Keepers
from oose.log import part
from oose.metadata.documents import Documents
from oose.metadata.records import InventoryRecord
from oose.registry import Registry
from oose.trimming import RECENT, Trimming, keep

__all__ = ["RECENT", "Surplus", "keep"]
_log = part("upload")

Records = Sequence[InventoryRecord]


@frozen
class Surplus:
    """Removes clones over `wanted`."""

    keepers: Keepers
    registry: Registry
    inventory: Documents
    claims: Claims
    existence: Existence
    clock: IReactorTime
    wanted: int

    async def trim(self, content_hash: str, known: Records) -> Records:
        """Look whether there are clones beside those `known`; those that are left in the end."""
        seen = {record.id: record for record in await self._look(content_hash)}
        seen |= {record.id: record for record in known}
        if len(seen) <= self.wanted:
            return known
        try:
            trimmed = await self._trimming.trim(content_hash, seen.keys(), self._wanted)
        except OoseError as error:  # what was uploaded is safe, and more often than need be
            _log.warn("{hash} has clones too many: {why}", hash=content_hash, why=error)
            return known
        return list(seen.values()) if trimmed is None else trimmed.left or known

    async def _look(self, content_hash: str) -> Records:
        try:
            return await self.existence.records(content_hash, fresh=True)
        except OoseError:
            return ()

    def _wanted(self, content: Content) -> int:
        return self.wanted if content.wanted is None else content.wanted

    @property
    def _trimming(self) -> Trimming:
        return Trimming(
            self.keepers,
            self.registry,
            self.inventory,
            self.claims,
            self.existence,
            self.clock,
        )

    def _site(self, place: str) -> tuple[str, str]:
        return self._trimming.site(place)

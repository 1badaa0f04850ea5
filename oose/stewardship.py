"""What a process does all the time so that content stays right.

Its disks are swept and verified; where it is a prism, clones are made up for, scaled on demand, and
those too many removed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oose.claims import Claims
from oose.clones import Clones
from oose.cloning import Sender
from oose.contents import Contents
from oose.databases import Databases
from oose.demand.counter import uncounted
from oose.demand.service import Demand
from oose.existence import Existence
from oose.holdings import Holdings
from oose.inventory import Inventory
from oose.keepers import Keepers
from oose.registry import Registry
from oose.repairing import Repairing
from oose.settings import Settings
from oose.sweeping.disk_sweeps import Means
from oose.together import together
from oose.verifying.verification import Bounds, Verification


class Stewardship:
    """Looks after the content of `stores`, and as a prism after its share of all content."""

    def __init__(
        self,
        stores: Sequence[Holdings],
        keepers: Keepers,
        sender: Sender,
        databases: Databases,
        contents: Contents,
        registry: Registry,
        existence: Existence,
        settings: Settings,
        *,
        clock: Any,
        now: Callable[[], int],
        chance: Callable[[], float],
    ) -> None:
        means = Means(databases.inventory, contents, existence, settings.inventory, clock, now)
        self.inventory = Inventory(stores, means)
        bounds = Bounds.of(settings.inventory)
        self.verifications: Mapping[str, Verification] = {
            each.place: Verification(
                each.verifier, each.volume, databases.inventory, bounds, clock=clock, now=now
            )
            for each in stores
        }
        self.sources: dict[str, Callable[[], Mapping[str, Any]]] = {}  # of a prism's `/stats`
        self.repairing: Repairing | None = None
        self.demand: Demand | None = None
        prism = settings.prism
        if not prism.enabled:
            return
        if settings.clones.repair:
            clones = Clones(
                keepers,
                sender,
                registry,
                databases.inventory,
                contents,
                Claims(databases.content, clock, prism.name),
                existence,
                clock,
                chance,
            )
            self.repairing = Repairing(
                prism.name,
                clones,
                settings,
                follows=not settings.is_cluster,  # in one who is a member is told anyway
                now=now,
                ready=databases.refuse_if_away,
            )
            self.sources["repair"] = self.repairing.describe_all
        self.demand = Demand(
            prism.name,
            databases.content,
            registry,
            settings.clones,
            self._hint,
            follows=settings.is_cluster,
            clock=clock,
            now=now,
            chance=chance,
        )
        self.sources["demand"] = self.demand.describe

    @property
    def count(self) -> Callable[[str], None]:
        """To be called for each viewer, with the hash."""
        return self.demand.count if self.demand is not None else uncounted

    def start(self) -> None:
        """Begin, once peers are registered and disks are in use."""
        self.inventory.start()
        for verification in self.verifications.values():
            verification.start()
        if self.repairing is not None:
            self.repairing.start()
        if self.demand is not None:
            self.demand.start()

    async def stop(self) -> None:
        """End, and cut short what is under way."""
        of_a_prism = [each.stop() for each in (self.repairing, self.demand) if each is not None]
        of_stores = [each.stop() for each in self.verifications.values()]
        await together([*of_a_prism, *of_stores, self.inventory.stop()])

    def _hint(self, hashes: Sequence[str]) -> None:
        if self.repairing is not None:
            self.repairing.hint(hashes)

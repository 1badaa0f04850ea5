"""Viewers of three prisms for three hours: a million requests for a hundred thousand contents.

No access log of a real site comes with this program. What is known of them is how popularity falls
with rank: by the power of 0.64 to 0.83 in web proxies (Breslau et al., Web Caching and Zipf-like
Distributions, 1999), by about 1 for films and what networks for delivery see. So requests are drawn
by chance with such powers, and one content becomes viral and is forgotten again.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from random import Random

from attrs import define, field

from oose.contents import Content
from oose.demand.service import Demand
from oose.peer import Peer
from oose.registry import Registry
from oose.settings.model import CloneSettings
from oose.wishes import desired
from tests.simulation.memory import MemoryDocuments
from tests.simulation.time import Turned
from tests.unit.at_once import at_once

CONTENTS = 100_000
REQUESTS = 1_000_000
SECONDS = 3 * 3600
VIRAL = "f" * 40
BEGINS, ENDS = 1800, 3000  # seconds, of what is viral
A_SECOND = 100  # viewers of that
EPOCH = 1_700_000_000_000
SHARES = {"p1": 5, "p2": 3, "p3": 2}  # of all viewers that come to a prism


def name_of(rank: int) -> str:
    return f"{rank:040x}"


def seconds_of(exponent: float, seed: int) -> Iterator[Sequence[str]]:
    """What is asked for in each second."""
    random = Random(seed)
    ranks = range(1, CONTENTS + 1)
    weights = list(accumulate(1 / rank**exponent for rank in ranks))
    usual = REQUESTS - (ENDS - BEGINS) * A_SECOND
    trace = random.choices([name_of(rank) for rank in ranks], cum_weights=weights, k=usual)
    for second in range(SECONDS):
        asked = trace[usual * second // SECONDS : usual * (second + 1) // SECONDS]
        yield asked + [VIRAL] * A_SECOND if BEGINS <= second < ENDS else asked


def registered(name: str) -> Peer:
    return Peer("prism", name, name, name, 1, f"http://{name}", "g", name, "3", 1)


@define
class Audience:
    """Three prisms under one clock, and how many clones there should have been when."""

    settings: CloneSettings
    exponent: float
    clock: Turned = field(factory=Turned)
    documents: MemoryDocuments = field(init=False)
    prisms: dict[str, Demand] = field(init=False)
    told: dict[str, list[tuple[float, str]]] = field(init=False)
    levels: dict[str, list[tuple[int, int]]] = field(factory=dict)
    dies: dict[int, str] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        registry = Registry(MemoryDocuments(self.clock))
        self.documents = MemoryDocuments(self.clock)
        self.told = {name: [] for name in SHARES}
        for name in SHARES:
            at_once(registry.register(registered(name)))
        self.prisms = {name: self._make(name, n, registry) for n, name in enumerate(SHARES)}

    def _make(self, name: str, number: int, registry: Registry) -> Demand:
        def tell(hashes: Sequence[str]) -> None:
            self.told[name] += [(self.clock.seconds(), each) for each in hashes]

        return Demand(
            name,
            self.documents,
            registry,
            self.settings,
            tell,
            follows=True,
            clock=self.clock,
            now=self.now,
            chance=lambda: number / len(SHARES),
        )

    def now(self) -> int:
        return EPOCH + int(self.clock.seconds() * 1000)

    def run(self) -> None:
        """All of it; who dies says nothing more, and its viewers go to the others."""
        random = Random(5)
        for demand in self.prisms.values():
            demand.start()
        alive = dict(SHARES)
        for second, asked in enumerate(seconds_of(self.exponent, seed=3)):
            dying = self.dies.get(second)
            if dying is not None:
                del alive[dying]
                at_once(self.prisms[dying].stop())
            if alive:
                counts = [self.prisms[name].count for name in alive]
                chosen = random.choices(counts, list(alive.values()), k=len(asked))
                for count, each in zip(chosen, asked, strict=True):
                    count(each)
            self.clock.advance(1.0)
            if second % 10 == 9:
                self._look(second)

    def _look(self, second: int) -> None:
        """Note what should be, where it is another than before."""
        seen = {
            document.id: desired(Content.from_document(document), self.settings, self.now())
            for document in self.documents.now().values()
        }
        for content_hash in seen.keys() | self.levels.keys():
            level = seen.get(content_hash, self.settings.minimum)
            history = self.levels.setdefault(content_hash, [(0, self.settings.minimum)])
            if history[-1][1] != level:
                history.append((second, level))

"""Where viewers are sent when stores are loaded, better avoided, or not available."""

import random
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.task import Clock

from oose.credentials import Credentials
from oose.errors import NotAllowed, NotFound, Unavailable
from oose.existence import Existence
from oose.metadata.records import InventoryRecord
from oose.purchases import Purchase
from oose.purchasing import PurchaseDesk
from oose.readers import Nobody, Readers
from oose.viewing import Viewing
from oose.vouchers import LIFE, Voucher, Vouchers
from tests.unit.at_once import at_once
from tests.unit.kept import MemoryPurchases
from tests.unit.test_recall import Channel

HASH = "a" * 40
DAY = 86_400_000
VOUCHERS = Vouchers(Credentials("peer", "p" * 20))


class Watching(Nobody):
    """Avoids some places and remembers those that were used."""

    def __init__(self) -> None:
        self.avoided: set[str] = set()
        self.heard: list[str] = []

    def avoids(self, place: str) -> bool:
        return place in self.avoided

    def used(self, place: str) -> None:
        self.heard.append(place)


@define
class Cluster:
    """Two stores with the same content, and the prism that sends viewers to them."""

    stores: list[str] = field(factory=lambda: ["a", "b"])
    available: set[str] = field(factory=lambda: {"p1:a", "p1:b"})
    loads: dict[str, Any] = field(factory=dict)
    watching: Watching = field(factory=Watching)

    async def records_of(self, hashes: list[str], *, fresh: bool) -> Any:
        """As `Existence`."""
        found = [
            InventoryRecord(HASH, "p1", name, "text/plain", "txt", "aa/x.txt", 5, 1)
            for name in self.stores
        ]
        return dict.fromkeys(hashes, found)

    def serving(self, place: str) -> Any:
        """As the registry."""
        name = place.partition(":")[2]
        url = f"http://{name}.example"
        return SimpleNamespace(url=url, name=name) if place in self.available else None

    def view(self, **more: Any) -> str:
        """Where a viewer is sent."""
        return at_once(self._location("static", HASH, b"", **more))

    def play(self, desk: PurchaseDesk, token: str, query: bytes, **more: Any) -> str:
        """Where a viewer with a purchase is sent."""
        return at_once(self._location("purchased", token, query, desk=desk, **more))

    async def _location(
        self, route: str, what: str, query: bytes, *, filename: str = "x.txt", **more: Any
    ) -> str:
        part: Any = self
        existence = Existence(
            part, part, Clock(), 30.0, serves=lambda place: not self.watching.avoids(place)
        )
        existence.records_of = self.records_of  # type: ignore[method-assign, assignment] # known
        readers = Readers(self.loads, random.random, watcher=self.watching)
        clients: Any = SimpleNamespace(forwarded_scheme=lambda request: None)
        viewing = Viewing(
            registry=part,
            existence=existence,
            readers=readers,
            clients=clients,
            clock=Clock(),
            domain=None,
            **{"desk": part, "deny_static": frozenset(), **more},
        )
        request: Any = SimpleNamespace(query=query, header=lambda name: None)
        answer = await getattr(viewing, route)(request, what, filename)
        assert answer.status == 302
        return str(dict(answer.headers)[b"Location"], "ascii")


def test_a_viewer_is_sent_to_a_store_that_nothing_speaks_against() -> None:
    cluster = Cluster()
    cluster.watching.avoided = {"p1:a"}
    cluster.loads = {"p1:b": lambda: 9}
    assert {cluster.view() for _ in range(5)} == {"http://b.example/static/aa/x.txt"}
    assert set(cluster.watching.heard) == {"p1:b"}


def test_when_all_are_better_avoided_the_least_loaded_is_used() -> None:
    cluster = Cluster()
    cluster.watching.avoided = {"p1:a", "p1:b"}
    cluster.loads = {"p1:b": lambda: 9}
    assert cluster.view() == "http://a.example/static/aa/x.txt"
    assert cluster.watching.heard == ["p1:a"]


def test_a_store_that_the_cluster_holds_to_be_down_is_not_used() -> None:
    cluster = Cluster(available={"p1:b"})
    assert {cluster.view() for _ in range(5)} == {"http://b.example/static/aa/x.txt"}
    cluster.available = set()
    with pytest.raises(Unavailable):
        cluster.view()
    cluster.stores = []
    with pytest.raises(NotFound):
        cluster.view()


def test_each_viewer_who_is_sent_to_content_counts_and_who_is_refused_does_not() -> None:
    counted: list[str] = []
    cluster = Cluster()
    cluster.view(count=counted.append)
    cluster.view(count=counted.append)
    bought = Bought()
    bought.cluster.play(bought.desk, bought.purchase.token, b"", count=counted.append)
    assert counted == [HASH] * 3
    with pytest.raises(NotAllowed):
        cluster.view(count=counted.append, deny_static=frozenset({"txt"}), filename="x.png")
    cluster.available = set()
    with pytest.raises(Unavailable):
        cluster.view(count=counted.append)
    cluster.stores = []
    with pytest.raises(NotFound):
        cluster.view(count=counted.append)
    assert counted == [HASH] * 3


@define
class Bought:
    """A purchase in a database that others share, and the desk of the prism that sold it."""

    kept: MemoryPurchases = field(factory=MemoryPurchases)
    channel: Channel = field(factory=Channel)
    cluster: Cluster = field(factory=lambda: Cluster(["a"]))
    ext: str = "txt"
    life: int = DAY
    desk: PurchaseDesk = field(init=False)
    purchase: Purchase = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.desk = PurchaseDesk(self.kept, 30_000, endings=self.channel)
        self.purchase = at_once(self.desk.sell(HASH, self.ext, ("*",), self.life, 0))

    def lose_the_database(self) -> None:
        self.kept.is_away, self.channel.is_connected = True, False

    def play(self, query: bytes = b"", vouchers: Vouchers | None = VOUCHERS) -> str:
        token = self.purchase.token
        found = self.cluster.play(self.desk, token, query, vouchers=vouchers)
        return found.removeprefix(f"http://a.example/play/{token}/x.txt")

    def voucher(self, query: str, now: int = 0) -> Voucher | None:
        """What the voucher at the end of a query says."""
        return VOUCHERS.honour(self.purchase.token, query.rpartition("voucher=")[2], now)


def test_while_the_database_answers_a_query_stays_as_it_is() -> None:
    bought = Bought()
    assert bought.play() == ""
    assert bought.play(b"a=1&voucher=x") == "?a=1&voucher=x"
    bought.channel.is_connected = False
    assert bought.play(b"a=1") == "?a=1"


def test_while_it_is_away_a_voucher_goes_with_the_query() -> None:
    bought = Bought()
    bought.lose_the_database()
    assert bought.voucher(bought.play()) == Voucher(HASH, "txt", LIFE)
    query = bought.play(b"a=%20&attach=b.txt&voucher=x")
    assert query.startswith("?a=%20&attach=b.txt&voucher=x&voucher=")
    assert bought.voucher(query) == Voucher(HASH, "txt", LIFE)
    film = Bought(ext="mp4")
    film.lose_the_database()
    query = film.play()
    assert query.startswith("?start=0&voucher=")
    assert film.voucher(query) == Voucher(HASH, "mp4", LIFE)


def test_a_voucher_does_not_outlast_the_purchase() -> None:
    bought = Bought(life=1000)
    bought.lose_the_database()
    query = bought.play()
    assert bought.voucher(query, 999) is not None
    assert bought.voucher(query, 1000) is None


def test_a_machine_of_its_own_makes_no_vouchers() -> None:
    bought = Bought()
    bought.lose_the_database()
    assert bought.play(b"a=1", vouchers=None) == "?a=1"


def test_there_is_no_voucher_for_what_is_not_remembered() -> None:
    bought = Bought()
    bought.desk.flush()
    bought.lose_the_database()
    with pytest.raises(Unavailable):
        bought.play()

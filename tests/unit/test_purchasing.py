import pytest
from twisted.internet.defer import Deferred

from oose import purchasing
from oose.errors import NotFound, Unavailable
from oose.purchases import Purchase
from oose.purchasing import PurchaseDesk, as_answer
from tests.unit.at_once import at_once
from tests.unit.kept import MemoryPurchases

NOW = 1_800_000_000_000
SHA1 = "a03f181dc7dedcfb577511149b8844711efdb04f"


class Shop:
    """A desk that remembers purchases for a minute; another one sells them."""

    def __init__(self) -> None:
        self.kept = MemoryPurchases()
        self.desk = PurchaseDesk(self.kept, 60_000)
        self.seller = PurchaseDesk(self.kept, 0)

    def sell(self, life: int = 3_600_000) -> Purchase:
        return at_once(self.seller.sell(SHA1, "mp4", ("example.com", "b.org"), life, NOW))

    def valid(self, purchase: Purchase, after: int = 0) -> bool:
        try:
            found = at_once(self.desk.valid(purchase.token, NOW + after))
        except NotFound:
            return False
        assert found == purchase
        return True


def test_a_purchase_is_kept_and_ends_after_its_life() -> None:
    shop = Shop()
    purchase = shop.sell(life=1000)
    assert shop.kept.kept == {purchase.token: purchase}
    assert purchase.expires == NOW + 1000
    assert shop.valid(purchase, after=999)
    assert not shop.valid(purchase, after=1000)


def test_a_remembered_purchase_ends_on_time_too() -> None:
    shop = Shop()
    purchase = shop.sell(life=1000)
    assert shop.valid(purchase)
    assert not shop.valid(purchase, after=1000)
    assert shop.kept.found == 1


def test_every_purchase_has_a_token_of_its_own() -> None:
    shop = Shop()
    assert len({shop.sell().token for _ in range(10)}) == 10


def test_an_unknown_token_opens_nothing_and_is_looked_up_again() -> None:
    shop = Shop()
    for _ in range(2):
        with pytest.raises(NotFound, match="does not exist or has expired"):
            at_once(shop.desk.valid("x" * 64, NOW))
    assert shop.kept.found == 2


def test_a_purchase_is_remembered_for_a_while() -> None:
    shop = Shop()
    purchase = shop.sell()
    for after in (0, 59_999, 60_000, 60_001):
        assert shop.valid(purchase, after)
    assert shop.kept.found == 2


def test_a_purchase_that_was_sold_here_is_remembered_from_then_on() -> None:
    shop = Shop()
    purchase = at_once(shop.desk.sell(SHA1, "mp4", (), 3_600_000, NOW))
    assert shop.valid(purchase, after=59_999)
    assert shop.kept.found == 0
    assert shop.valid(purchase, after=60_000)
    assert shop.kept.found == 1
    at_once(shop.desk.remove(purchase.token))
    assert not shop.valid(purchase)


def test_a_removed_purchase_is_dead_at_once() -> None:
    shop = Shop()
    purchase = shop.sell()
    assert shop.valid(purchase)
    assert at_once(shop.desk.remove(purchase.token))
    assert not shop.valid(purchase)
    assert not at_once(shop.desk.remove(purchase.token))


def test_a_purchase_removed_while_it_is_looked_up_is_not_remembered() -> None:
    shop = Shop()
    purchase = shop.sell()
    late: Deferred[None] = Deferred()
    shop.kept.late = late
    looking = Deferred.fromCoroutine(shop.desk.valid(purchase.token, NOW))
    assert not looking.called
    at_once(shop.desk.remove(purchase.token))
    shop.kept.late = None
    late.callback(None)
    assert looking.called
    assert not shop.valid(purchase)


def test_all_purchases_of_content_end_at_once() -> None:
    shop = Shop()
    ending = [shop.sell() for _ in range(3)]
    other = at_once(shop.seller.sell("b" * 40, "mp4", (), 3_600_000, NOW))
    third = at_once(shop.seller.sell("c" * 40, "mp4", (), 3_600_000, NOW))
    assert all(shop.valid(each) for each in [*ending, other, third])
    assert at_once(shop.desk.end_of("d" * 40)) == 0
    assert at_once(shop.desk.end_of()) == 0
    assert at_once(shop.desk.end_of(SHA1, "c" * 40)) == 4
    assert not any(shop.valid(each) for each in [*ending, third])
    assert shop.valid(other)
    assert at_once(shop.desk.end_of(SHA1)) == 0


def test_many_purchases_end_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purchasing, "AT_ONCE", 2)
    shop = Shop()
    ending = [shop.sell() for _ in range(5)]
    assert at_once(shop.desk.end_of(SHA1)) == 5
    assert not any(shop.valid(each) for each in ending)
    assert shop.kept.kept == {}


def test_purchases_that_somebody_else_ends_are_over_all_the_same() -> None:
    shop = Shop()
    purchase = shop.sell()
    assert shop.valid(purchase)
    shop.kept.stale = [purchase.token]
    at_once(shop.seller.remove(purchase.token))
    assert at_once(shop.desk.end_of(SHA1)) == 0
    assert not shop.valid(purchase)


def test_a_purchase_that_may_have_ended_is_not_remembered() -> None:
    """Where nobody answers to its removal."""
    shop = Shop()
    purchase = shop.sell()
    assert shop.valid(purchase)
    shop.kept.stale = [purchase.token]
    shop.kept.is_away = True
    with pytest.raises(Unavailable):
        at_once(shop.desk.end_of(SHA1))
    assert shop.desk.cached() == {}


def test_purchases_that_are_long_over_are_forgotten() -> None:
    shop = Shop()
    shop.sell(life=1000)
    purchase = shop.sell(life=2000)
    assert at_once(shop.desk.prune(NOW + 2000)) == 1
    assert list(shop.kept.kept) == [purchase.token]


def test_what_is_remembered_is_counted_by_content_and_names_no_token() -> None:
    shop = Shop()
    for _ in range(2):
        assert shop.valid(shop.sell())
    assert shop.desk.cached() == {SHA1: 2}
    assert shop.desk.flush() == 2
    assert shop.desk.cached() == {}


def test_an_answer_holds_text_only() -> None:
    purchase = Purchase("t" * 64, SHA1, "mp4", ("a.org", "b.org"), 1000, NOW)
    assert as_answer(purchase) == {
        "hash": SHA1,
        "ext": "mp4",
        "token": "t" * 64,
        "life": "1000",
        "expirationDate": str(NOW),
        "referrer": "a.org,b.org",
    }

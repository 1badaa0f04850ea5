"""The contract of `oose.purchases.Purchases`."""

import pytest
import pytest_twisted
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, gatherResults

from oose.purchases import Purchase, Purchases, Tidied, new_token
from tests.contract.kept import KeepsPurchases

NOW = 1_700_000_000_000
PURCHASE = Purchase("t" * 64, "a" * 40, "mp4", ("localhost",), 3_600_000, NOW + 3_600_000)


def expiring(when: int) -> Purchase:
    return evolve(PURCHASE, token=new_token(), expires=when)


def of(content_hash: str, expires: int = NOW) -> Purchase:
    return evolve(PURCHASE, token=new_token(), hash=content_hash, expires=expires)


async def all_of(purchases: Purchases) -> dict[str, Purchase]:
    """Each purchase by its token, as they come in pages."""
    found: dict[str, Purchase] = {}
    async for page in purchases.each():
        assert 0 < len(page) <= 1000
        found.update((each.token, each) for each in page)
    return found


@pytest_twisted.ensureDeferred
async def test_a_purchase_is_found_by_its_token(keeps_purchases: KeepsPurchases) -> None:
    purchases = await keeps_purchases.purchases()
    other = expiring(NOW)
    await purchases.add(PURCHASE)
    await purchases.add(other)
    assert await purchases.find(PURCHASE.token) == PURCHASE
    assert await purchases.find(other.token) == other


@pytest.mark.parametrize("token", ["x" * 64, "T" * 64, "t" * 63, "t" * 65, "", "%", "t*"])
@pytest_twisted.ensureDeferred
async def test_no_other_token_finds_it(keeps_purchases: KeepsPurchases, token: str) -> None:
    purchases = await keeps_purchases.purchases()
    await purchases.add(PURCHASE)
    assert await purchases.find(token) is None
    assert not await purchases.remove(token)
    assert await purchases.find(PURCHASE.token) == PURCHASE


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    st.builds(
        Purchase,
        token=st.from_regex(r"[A-Za-z0-9]{64}", fullmatch=True),
        hash=st.from_regex(r"[0-9a-f]{40}", fullmatch=True),
        ext=st.from_regex(r"[a-z0-9][a-z0-9_-]{0,15}", fullmatch=True),
        referrers=st.lists(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters=","), min_size=1),
            max_size=3,
        ).map(tuple),
        life=st.integers(0, 2**53),
        expires=st.integers(0, 2**53),
    )
)
@pytest_twisted.ensureDeferred
async def test_a_purchase_comes_back_as_it_was(
    keeps_purchases: KeepsPurchases, purchase: Purchase
) -> None:
    """Also when it is opened anew."""
    purchases = await keeps_purchases.purchases()
    await purchases.add(purchase)
    for way in (purchases, await keeps_purchases.purchases()):
        assert await way.find(purchase.token) == purchase
    assert await purchases.remove(purchase.token)


@pytest_twisted.ensureDeferred
async def test_a_removed_purchase_is_gone_for_everybody(keeps_purchases: KeepsPurchases) -> None:
    purchases = await keeps_purchases.purchases()
    elsewhere = await keeps_purchases.purchases()
    await purchases.add(PURCHASE)
    assert await elsewhere.find(PURCHASE.token) == PURCHASE
    assert await purchases.remove(PURCHASE.token)
    for way in (purchases, elsewhere):
        assert await way.find(PURCHASE.token) is None
        assert not await way.remove(PURCHASE.token)


@pytest_twisted.ensureDeferred
async def test_an_expired_purchase_is_found_for_as_long_as_its_afterlife(
    keeps_purchases: KeepsPurchases,
) -> None:
    """Whoever asks can then be told that it has expired."""
    purchases = await keeps_purchases.purchases()
    for each in (expiring(when) for when in (NOW - 1, NOW, NOW + 1)):
        await purchases.add(each)
        assert await purchases.prune(NOW - 1) == 0
        assert await purchases.find(each.token) == each


@pytest_twisted.ensureDeferred
async def test_a_purchase_that_is_added_again_is_as_it_was_added_last(
    keeps_purchases: KeepsPurchases,
) -> None:
    purchases = await keeps_purchases.purchases()
    await purchases.add(PURCHASE)
    await purchases.add(evolve(PURCHASE, ext="webm", referrers=()))
    assert await purchases.find(PURCHASE.token) == evolve(PURCHASE, ext="webm", referrers=())
    assert len(await all_of(purchases)) == 1


# All of them


@pytest_twisted.ensureDeferred
async def test_each_purchase_is_told_expired_or_not(keeps_purchases: KeepsPurchases) -> None:
    purchases = await keeps_purchases.purchases()
    assert await all_of(purchases) == {}
    kept = [PURCHASE, expiring(1), expiring(NOW), evolve(expiring(NOW + 1), referrers=("a", "é"))]
    kept.append(evolve(expiring(NOW), referrers=()))
    for each in kept:
        await purchases.add(each)
    assert await all_of(purchases) == {each.token: each for each in kept}


@pytest_twisted.ensureDeferred
async def test_thousands_are_told_in_pages(keeps_purchases: KeepsPurchases) -> None:
    purchases = await keeps_purchases.purchases()
    tokens = [new_token() for _ in range(2500)]
    for start in range(0, 2500, 250):
        await gatherResults(
            [
                Deferred.fromCoroutine(purchases.add(evolve(PURCHASE, token=each)))
                for each in tokens[start : start + 250]
            ]
        )
    assert set(await all_of(purchases)) == set(tokens)
    assert await purchases.remove_many(tokens[:1500]) == 1500
    assert await purchases.remove_many(tokens) == 1000
    assert await purchases.remove_many([]) == 0
    assert await all_of(purchases) == {}


@pytest_twisted.ensureDeferred
async def test_the_purchases_of_some_content_are_found(keeps_purchases: KeepsPurchases) -> None:
    purchases = await keeps_purchases.purchases()
    a, b, c = ([of(digit * 40, NOW + n) for n in range(3)] for digit in "abc")
    for each in (*a, *b, *c):
        await purchases.add(each)

    def tokens(*some: Purchase) -> list[str]:
        return sorted(each.token for each in some)

    assert sorted(await purchases.of("a" * 40)) == tokens(*a)
    assert sorted(await purchases.of("a" * 40, "c" * 40)) == tokens(*a, *c)
    for nobody in ((), ("d" * 40,), ("a" * 39,), ("",), ("%",)):
        assert list(await purchases.of(*nobody)) == []
    some = await purchases.of("b" * 40, limit=2)
    assert len(some) == 2
    assert set(some) < set(tokens(*b))
    assert await purchases.remove_many(some) == 2
    (left,) = await purchases.of("b" * 40, limit=2)
    assert left not in some
    assert sorted(await all_of(purchases)) == sorted([*tokens(*a, *c), left])


@pytest_twisted.ensureDeferred
async def test_what_is_long_over_is_tidied_away(keeps_purchases: KeepsPurchases) -> None:
    purchases = await keeps_purchases.purchases()
    old = [expiring(NOW - 1 - n) for n in range(3)]
    kept = [expiring(NOW), expiring(NOW + 1)]
    for each in (*old, *kept):
        await purchases.add(each)
    assert await purchases.tidy(NOW, pretend=True) == Tidied(expired=3)
    assert len(await all_of(purchases)) == 5
    assert await purchases.tidy(NOW) == Tidied(expired=3)
    assert set(await all_of(purchases)) == {each.token for each in kept}
    assert await purchases.tidy(NOW) == Tidied()

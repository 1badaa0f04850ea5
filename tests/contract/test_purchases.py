"""The contract of `oose.purchases.Purchases`."""

import pytest
import pytest_twisted
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oose.purchases import Purchase, new_token
from tests.contract.kept import KeepsPurchases

NOW = 1_700_000_000_000
PURCHASE = Purchase("t" * 64, "a" * 40, "mp4", ("localhost",), 3_600_000, NOW + 3_600_000)


def expiring(when: int) -> Purchase:
    return evolve(PURCHASE, token=new_token(), expires=when)


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

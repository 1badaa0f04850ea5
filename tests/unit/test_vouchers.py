from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from oose.credentials import Credentials
from oose.purchases import Purchase
from oose.vouchers import LIFE, Voucher, Vouchers

NOW = 1_800_000_000_000
DAY = 86_400_000
SHA1 = "a03f181dc7dedcfb577511149b8844711efdb04f"
PURCHASE = Purchase("t" * 64, SHA1, "mp4", ("*",), DAY, NOW + DAY)
PAIR = Credentials("peer", "p" * 20)
OURS = Vouchers(PAIR)
GIVEN = OURS.issue(PURCHASE, NOW)


def test_a_voucher_says_on_any_peer_what_the_token_opens() -> None:
    found = Vouchers(PAIR).honour(PURCHASE.token, GIVEN, NOW)
    assert found == Voucher(SHA1, "mp4", NOW + LIFE)


def test_it_is_good_for_a_short_while() -> None:
    assert OURS.honour(PURCHASE.token, GIVEN, NOW + LIFE - 1) is not None
    assert OURS.honour(PURCHASE.token, GIVEN, NOW + LIFE) is None


def test_it_does_not_outlast_the_purchase() -> None:
    given = OURS.issue(evolve(PURCHASE, expires=NOW + 5), NOW)
    assert OURS.honour(PURCHASE.token, given, NOW + 4) is not None
    assert OURS.honour(PURCHASE.token, given, NOW + 5) is None


def test_it_is_good_for_its_token_only() -> None:
    assert OURS.honour("u" + PURCHASE.token[1:], GIVEN, NOW) is None


def test_who_has_another_pair_makes_none() -> None:
    for pair in (Credentials("peer", "q" * 20), Credentials("pear", "p" * 20)):
        given = Vouchers(pair).issue(PURCHASE, NOW)
        assert OURS.honour(PURCHASE.token, given, NOW) is None


def test_it_tells_nothing_of_the_pair() -> None:
    assert PAIR.password not in GIVEN
    assert PAIR.password not in repr(vars(OURS))


@given(st.text(st.characters()))
def test_any_other_text_is_none(text: str) -> None:
    assert OURS.honour(PURCHASE.token, text, NOW) is None
    assert OURS.honour(PURCHASE.token, f"{GIVEN.rpartition('.')[0]}.{text}", NOW) is None


@given(st.integers(0, len(GIVEN) - 1), st.characters())
def test_no_character_of_it_can_be_another(place: int, other: str) -> None:
    assume(GIVEN[place] != other)
    forged = GIVEN[:place] + other + GIVEN[place + 1 :]
    assert OURS.honour(PURCHASE.token, forged, NOW) is None


@given(st.text(), st.integers(1, DAY))
def test_any_extension_comes_through(ext: str, left: int) -> None:
    given = OURS.issue(evolve(PURCHASE, ext=ext, expires=NOW + left), NOW)
    found = OURS.honour(PURCHASE.token, given, NOW)
    assert found == Voucher(SHA1, ext, NOW + min(left, LIFE))

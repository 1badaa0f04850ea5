import pytest
from hypothesis import given
from hypothesis import strategies as st

from oose.attempts import (
    ADDRESS,
    HOUR,
    KNOWN_GOOD,
    MOST,
    PAIR,
    USER,
    Limit,
    LoginAttempts,
    network,
)
from oose.errors import TooManyAttempts

NOW = 1_800_000_000_000
HOME = "192.0.2.1"
EVIL = "203.0.113.7"


def is_allowed(attempts: LoginAttempts, username: str, address: str, now: int = NOW) -> bool:
    try:
        attempts.check(username, address, now)
    except TooManyAttempts:
        return False
    return True


def fail(attempts: LoginAttempts, username: str, address: str, count: int, now: int = NOW) -> None:
    for _ in range(count):
        attempts.failed(username, address, now)


def test_a_few_failures_are_forgiven() -> None:
    attempts = LoginAttempts()
    fail(attempts, "anna", HOME, PAIR.failures - 1)
    assert is_allowed(attempts, "anna", HOME)


def test_more_failures_are_refused_with_when_to_come_back() -> None:
    attempts = LoginAttempts()
    fail(attempts, "anna", HOME, PAIR.failures)
    with pytest.raises(TooManyAttempts, match="try again in 601 seconds") as refused:
        attempts.check("anna", HOME, NOW)
    assert refused.value.retry_after == 601
    assert not is_allowed(attempts, "anna", HOME, NOW + 599_000)
    assert is_allowed(attempts, "anna", HOME, NOW + 601_000)


def test_others_at_the_same_address_may_still_log_in() -> None:
    attempts = LoginAttempts()
    fail(attempts, "anna", HOME, PAIR.failures)
    assert is_allowed(attempts, "bert", HOME)
    assert is_allowed(attempts, "anna", EVIL)


def test_guessing_many_names_from_one_address_is_refused() -> None:
    attempts = LoginAttempts()
    for n in range(ADDRESS.failures):
        attempts.failed(f"user{n}", EVIL, NOW)
    assert not is_allowed(attempts, "anna", EVIL)
    assert is_allowed(attempts, "anna", HOME)


def test_guessing_one_name_from_many_addresses_is_refused() -> None:
    attempts = LoginAttempts()
    for n in range(USER.failures):
        attempts.failed("anna", f"203.0.113.{n}", NOW)
    assert not is_allowed(attempts, "anna", "198.51.100.1")
    assert is_allowed(attempts, "bert", "198.51.100.1")


def test_what_others_guess_does_not_lock_a_user_out_at_home() -> None:
    attempts = LoginAttempts()
    attempts.succeeded("anna", HOME, NOW)
    for n in range(USER.failures):
        attempts.failed("anna", f"203.0.113.{n}", NOW)
    assert is_allowed(attempts, "anna", HOME)


def test_what_is_guessed_for_others_at_home_does_not_lock_a_user_out() -> None:
    attempts = LoginAttempts()
    attempts.succeeded("anna", HOME, NOW)
    for n in range(ADDRESS.failures):
        attempts.failed(f"user{n}", HOME, NOW)
    assert not is_allowed(attempts, "bert", HOME)
    assert is_allowed(attempts, "anna", HOME)
    fail(attempts, "anna", HOME, PAIR.failures)
    assert not is_allowed(attempts, "anna", HOME)


def test_an_attempt_counts_as_failed_until_it_is_taken_back() -> None:
    attempts = LoginAttempts()
    fail(attempts, "anna", HOME, PAIR.failures - 1)
    attempt = attempts.begin("anna", HOME, NOW)
    assert not is_allowed(attempts, "anna", HOME)
    attempt.take_back()
    assert is_allowed(attempts, "anna", HOME)


def test_what_is_taken_back_late_gives_nobody_more_attempts() -> None:
    attempts = LoginAttempts()
    attempt = attempts.begin("anna", HOME, NOW)
    later = NOW + 60 * HOUR
    assert is_allowed(attempts, "anna", HOME, later)  # which forgets it
    attempt.take_back()
    attempt = attempts.begin("anna", HOME, later)
    attempt.take_back()
    fail(attempts, "anna", HOME, PAIR.failures, later)
    assert not is_allowed(attempts, "anna", HOME, later)


def test_mistyping_at_home_does_not_lock_a_user_out_elsewhere() -> None:
    attempts = LoginAttempts()
    attempts.succeeded("anna", HOME, NOW)
    for n in range(USER.failures):
        fail(attempts, "anna", HOME, 1, NOW + n * HOUR)
    assert is_allowed(attempts, "anna", "198.51.100.1", NOW + USER.failures * HOUR)


def test_a_success_forgives_what_was_mistyped() -> None:
    attempts = LoginAttempts()
    fail(attempts, "anna", HOME, PAIR.failures - 1)
    attempts.succeeded("anna", HOME, NOW)
    fail(attempts, "anna", HOME, PAIR.failures - 1)
    assert is_allowed(attempts, "anna", HOME)


def test_time_forgives_everything_and_forgets_it() -> None:
    attempts = LoginAttempts()
    fail(attempts, "anna", HOME, 60)
    assert attempts.size() == 3
    later = NOW + 60 * HOUR
    assert is_allowed(attempts, "anna", HOME, later)
    assert attempts.size() == 0


def test_a_clock_that_is_set_back_locks_nobody_out() -> None:
    attempts = LoginAttempts()
    fail(attempts, "anna", HOME, 1)
    assert is_allowed(attempts, "anna", HOME, NOW - 24 * HOUR)


def test_memory_is_bounded_whatever_names_are_invented() -> None:
    attempts = LoginAttempts()
    for n in range(MOST + 10):
        attempts.failed(f"user{n}", f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", NOW)
    assert attempts.size() == 3 * MOST
    for n in range(KNOWN_GOOD + 10):
        attempts.succeeded(f"user{n}", EVIL, NOW)
    assert attempts.size() <= 3 * MOST + KNOWN_GOOD


@given(
    st.lists(
        st.tuples(st.integers(0, 5 * HOUR), st.sampled_from(["a", "b"])), min_size=1, max_size=300
    ).map(sorted)
)
def test_no_more_failures_get_through_than_the_limit_leaks(
    tries: list[tuple[int, str]],
) -> None:
    attempts = LoginAttempts()
    through: dict[str, list[int]] = {"a": [], "b": []}
    for moment, username in tries:
        if is_allowed(attempts, username, HOME, moment):
            attempts.failed(username, HOME, moment)
            through[username].append(moment)
    for moments in through.values():
        assert_within(PAIR, moments)
    assert_within(ADDRESS, sorted(through["a"] + through["b"]))


def assert_within(limit: Limit, moments: list[int]) -> None:
    for first, start in enumerate(moments):
        for last in range(first, len(moments)):
            leaked = (moments[last] - start) / limit.leak
            assert last - first + 1 <= limit.failures + leaked + 1e-6


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::9", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("unknown", "unknown"),
        ("x" * 100, "x" * 64),
        ("", ""),
    ],
)
def test_one_customer_s_addresses_count_as_one(address: str, counted: str) -> None:
    assert network(address) == counted

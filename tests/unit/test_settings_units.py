import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oose.settings.units import MOST_BYTES, MOST_SECONDS, parse_duration, parse_size

anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.lists(st.integers()),
    st.from_regex(r"\d{1,40}(\.\d{1,40})?\s*(ms|[smhdw]|[kmgtp]?i?b)?", fullmatch=True),
)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0),
        (90, 90),
        (1.5, 1.5),
        ("250ms", 0.25),
        ("90s", 90),
        ("15m", 900),
        (" 1.5 h ", 5400),
        ("30D", 30 * 86400),
        ("2w", 14 * 86400),
        ("7", 7),
        (MOST_SECONDS, MOST_SECONDS),
    ],
)
def test_a_duration_is_seconds_or_text_with_a_unit(value: object, seconds: float) -> None:
    assert parse_duration(value) == seconds


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (0, 0),
        (12, 12),
        (12.0, 12),
        ("12", 12),
        ("12b", 12),
        ("64MB", 64_000_000),
        ("1.5GiB", 3 * 2**29),
        ("2 tib", 2 * 2**40),
        ("1pb", 10**15),
        ("0.1kb", 100),
        (MOST_BYTES, MOST_BYTES),
    ],
)
def test_a_size_is_bytes_or_text_with_a_unit(value: object, size: int) -> None:
    assert parse_size(value) == size


@pytest.mark.parametrize(
    "value", ["", "h", "1x", "1 h 5 m", "-1s", "1e3", "0x1", "\uff11", "1" * 31]
)
@pytest.mark.parametrize("parse", [parse_duration, parse_size])
def test_text_that_says_no_number_is_refused(parse: type, value: str) -> None:
    with pytest.raises(ValueError, match="or text like"):
        parse(value)


@pytest.mark.parametrize("value", [None, True, [1], b"1s", math.nan, math.inf, 1j])
@pytest.mark.parametrize("parse", [parse_duration, parse_size])
def test_what_is_neither_number_nor_text_is_refused(parse: type, value: object) -> None:
    with pytest.raises(ValueError, match="or text like"):
        parse(value)


@pytest.mark.parametrize("value", [-1, -0.1, MOST_SECONDS + 1, "101000w", 10**400, 1e300])
def test_a_duration_of_no_life_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="a duration from 0 to 100 years"):
        parse_duration(value)


@pytest.mark.parametrize("value", [-1, 1.5, MOST_BYTES + 1, "9999999pb", 10**400, 1e300])
def test_a_size_of_no_disk_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="a whole number of bytes"):
        parse_size(value)


@given(anything)
def test_any_value_is_a_duration_and_a_size_or_neither(value: object) -> None:
    with suppress(ValueError):  # and nothing else
        assert 0 <= parse_duration(value) <= MOST_SECONDS
    try:
        size = parse_size(value)
    except ValueError:
        return
    assert isinstance(size, int)
    assert 0 <= size <= MOST_BYTES


@given(st.integers(0, MOST_BYTES // 1024))
def test_units_multiply(count: int) -> None:
    assert parse_size(f"{count}KiB") == parse_size(f"{count}") * 1024

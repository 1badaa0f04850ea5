import pytest
from hypothesis import given
from hypothesis import strategies as st

from oose.errors import RangeNotSatisfiable
from oose.ranges import MOST, Span, byteranges, content_range, parse_range

Spec = tuple[int | None, int | None]

numbers = st.one_of(st.none(), st.integers(0, 60))
spec_lists = st.lists(
    st.tuples(numbers, numbers).filter(lambda spec: spec != (None, None)), min_size=1, max_size=6
)
blanks = st.sampled_from(["", " ", "\t", " \t "])


def positions(spec: Spec, size: int) -> list[int]:
    """The naive model: which bytes of a file of `size` bytes a good spec names."""
    first, last = spec
    if first is None:
        assert last is not None
        return list(range(size))[-last:] if last else []
    return [n for n in range(size) if n >= first and (last is None or n <= last)]


def written(spec: Spec) -> str:
    return "-".join("" if number is None else str(number) for number in spec)


def is_backwards(spec: Spec) -> bool:
    first, last = spec
    return first is not None and last is not None and first > last


@given(spec_lists, st.integers(0, 50), blanks)
def test_what_is_asked_is_what_a_naive_reading_gives(
    specs: list[Spec], size: int, blank: str
) -> None:
    header = "bytes=" + ",".join(blank + written(spec) + blank for spec in specs)
    wanted = [found for spec in specs if (found := positions(spec, size))]
    every = [position for found in wanted for position in found]
    if any(is_backwards(spec) for spec in specs):
        assert parse_range(header, size) is None
    elif not wanted:
        with pytest.raises(RangeNotSatisfiable) as refused:
            parse_range(header, size)
        assert refused.value.size == size
    elif len(every) != len(set(every)):
        assert parse_range(header, size) is None
    else:
        spans = parse_range(header, size)
        assert spans is not None
        assert [list(range(span.start, span.stop)) for span in spans] == wanted


@pytest.mark.parametrize(
    ("asked", "spans"),
    [
        ("0-99999999999999999999", (Span(0, 100),)),
        ("10-" + "9" * 5_000, (Span(10, 100),)),
        ("-" + "9" * 5_000, (Span(0, 100),)),
        ("0" * 5_000 + "5-7", (Span(5, 8),)),
        ("7-" + "0" * 5_000 + "6", None),
    ],
)
def test_a_position_beyond_any_end_is_the_end(asked: str, spans: tuple[Span, ...] | None) -> None:
    assert parse_range(f"bytes={asked}", 100) == spans


@given(st.text("bytes=0123456789-, \t"), st.integers(0, 10**20))
def test_spans_lie_within_the_file_whatever_is_asked(text: str, size: int) -> None:
    for header in (text, "bytes=" + text):
        try:
            spans = parse_range(header, size)
        except RangeNotSatisfiable:
            continue
        for span in spans or ():
            assert 0 <= span.start < span.stop <= size


@given(st.text(), st.integers(0, 1000))
def test_any_header_is_understood_ignored_or_refused(header: str, size: int) -> None:
    try:
        spans = parse_range(header, size)
    except RangeNotSatisfiable:
        return
    assert spans is None or sum(map(len, spans)) <= size


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=1",
        "bytes=a-b",
        "bytes=1-2-3",
        "bytes=--1",
        "bytes=-1-",
        "bytes=+1-2",
        "bytes=0x1-2",
        "bytes=5-2",
        "bytes=0-1,5-2",
        "bytes=\uff11-\uff12",
        "bytes=0-1 2-3",
        "items=0-1",
        "0-1",
    ],
)
def test_what_is_no_range_is_ignored(header: str | None) -> None:
    assert parse_range(header, 10) is None


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, 10),
        ("bytes=3-4", 3, 5),
        ("bytes=3-400", 3, 10),
        ("bytes=-3", 7, 10),
        ("bytes=-300", 0, 10),
        ("BYTES = 3-4", 3, 5),
        ("bytes=,3-4,,", 3, 5),
        ("bytes=3-4,20-30", 3, 5),
    ],
)
def test_one_range_is_one_span(header: str, start: int, stop: int) -> None:
    assert parse_range(header, 10) == (Span(start, stop),)


def test_ranges_keep_the_order_they_were_asked_in() -> None:
    assert parse_range("bytes=5-6, 0-1, -1", 10) == (Span(5, 7), Span(0, 2), Span(9, 10))


@pytest.mark.parametrize("header", ["bytes=0-4,4-5", "bytes=0-,0-", "bytes=8-9,-3"])
def test_ranges_that_overlap_are_ignored(header: str) -> None:
    assert parse_range(header, 10) is None


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=10-11,30-"])
def test_ranges_beyond_the_end_cannot_be_satisfied(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable, match="within the file's 10 bytes"):
        parse_range(header, 10)


def test_no_range_of_an_empty_file_can_be_satisfied() -> None:
    for header in ("bytes=0-", "bytes=-5"):
        with pytest.raises(RangeNotSatisfiable):
            parse_range(header, 0)


def test_ranges_are_bounded_in_number() -> None:
    specs = [f"{2 * n}-{2 * n}" for n in range(MOST + 1)]
    assert len(parse_range("bytes=" + ",".join(specs[:MOST]), 1000) or ()) == MOST
    assert parse_range("bytes=" + ",".join(specs), 1000) is None


def test_a_part_names_its_place_in_the_whole() -> None:
    assert content_range(Span(2, 5), 10) == "bytes 2-4/10"


def test_several_parts_are_framed_as_one_body() -> None:
    spans = (Span(0, 2), Span(5, 6))
    parts = byteranges(spans, 10, "text/plain", "XX")
    assert [part for part in parts if isinstance(part, Span)] == list(spans)
    text = b"".join(b"#" * len(part) if isinstance(part, Span) else part for part in parts)
    assert text == (
        b"\r\n--XX\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n##"
        b"\r\n--XX\r\nContent-Type: text/plain\r\nContent-Range: bytes 5-5/10\r\n\r\n#"
        b"\r\n--XX--\r\n"
    )

"""What it costs to count what viewers ask for."""

from collections.abc import Sequence
from itertools import accumulate
from random import Random
from time import perf_counter

from benchmarks.report import Row
from oose.demand.counter import Counter

CONTENTS = 100_000
REQUESTS = 1_000_000
MOST = 2.0  # microseconds a request


def run() -> list[Row]:
    return [
        *(cost(f"counting a request, Zipf {each}", zipf(each)) for each in (0.8, 1.0, 1.1)),
        cost("counting a request, never the same", [f"{n:040x}" for n in range(REQUESTS)]),
        pause(),
    ]


def zipf(exponent: float) -> Sequence[str]:
    names = [f"{rank:040x}" for rank in range(CONTENTS)]
    weights = list(accumulate(1 / rank**exponent for rank in range(1, CONTENTS + 1)))
    return Random(1).choices(names, cum_weights=weights, k=REQUESTS)


def cost(what: str, trace: Sequence[str]) -> Row:
    counter = Counter()
    count = counter.count
    begin = perf_counter()
    for each in trace:
        count(each)
    took = (perf_counter() - begin) / len(trace) * 1e6
    return Row(what, f"{took:.2f} us", f"< {MOST} us", took < MOST)


def pause() -> Row:
    """The longest that one request takes: when there are too many counters."""
    counter = Counter()
    longest = 0.0
    for each in zipf(0.8)[: REQUESTS // 5]:
        begin = perf_counter()
        counter.count(each)
        longest = max(longest, perf_counter() - begin)
    return Row("the longest that counting one request takes", f"{longest * 1000:.1f} ms")

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oose.conditions import Verdict, evaluate, range_applies

ETAG = "a03f181dc7dedcfb577511149b8844711efdb04f"

tags = st.text(st.characters(min_codepoint=0x23, max_codepoint=0x7E), max_size=8)
lists = st.lists(st.tuples(st.booleans(), st.one_of(tags, st.just(ETAG))), min_size=1, max_size=6)
separators = st.sampled_from([",", ", ", " ,\t", ",,", ", , "])


def judge(
    method: str = "GET", *, if_match: str | None = None, if_none_match: str | None = None
) -> Verdict:
    return evaluate(etag=ETAG, method=method, if_match=if_match, if_none_match=if_none_match)


def test_without_conditions_the_content_is_sent() -> None:
    assert judge() is Verdict.SEND


@given(lists, separators)
def test_a_list_of_tags_is_matched_as_a_naive_reading_does(
    tagged: list[tuple[bool, str]], separator: str
) -> None:
    header = separator.join(f'{"W/" if weak else ""}"{tag}"' for weak, tag in tagged)
    is_strong = any(not weak and tag == ETAG for weak, tag in tagged)
    is_named = any(tag == ETAG for _, tag in tagged)
    assert (judge(if_match=header) is Verdict.SEND) == is_strong
    assert (judge(if_none_match=header) is Verdict.NOT_MODIFIED) == is_named


@pytest.mark.parametrize("header", [f'"{ETAG}"', f'W/"{ETAG}"', f' "x" , "{ETAG}" ', "*", " * "])
@pytest.mark.parametrize(
    ("method", "verdict"),
    [
        ("GET", Verdict.NOT_MODIFIED),
        ("HEAD", Verdict.NOT_MODIFIED),
        ("POST", Verdict.PRECONDITION_FAILED),
    ],
)
def test_who_has_it_already_is_not_sent_it_again(
    header: str, method: str, verdict: Verdict
) -> None:
    assert judge(method, if_none_match=header) is verdict


@pytest.mark.parametrize("header", ['"x"', "", ETAG, f"'{ETAG}'", f'"{ETAG}x"', f'x, "{ETAG}"'])
def test_who_has_something_else_is_sent_it(header: str) -> None:
    assert judge(if_none_match=header) is Verdict.SEND


@pytest.mark.parametrize("header", ["*", f'"{ETAG}"', f'"x", "{ETAG}"', f', "{ETAG}"'])
def test_who_wants_exactly_this_is_sent_it(header: str) -> None:
    assert judge(if_match=header) is Verdict.SEND


@pytest.mark.parametrize("header", ["", '"x"', f'W/"{ETAG}"', ETAG, f'"{ETAG}'])
def test_who_wants_something_else_gets_nothing(header: str) -> None:
    assert judge(if_match=header) is Verdict.PRECONDITION_FAILED


def test_if_match_is_judged_first() -> None:
    verdict = judge(if_match='"x"', if_none_match=f'"{ETAG}"')
    assert verdict is Verdict.PRECONDITION_FAILED
    assert judge(if_match="*", if_none_match=f'"{ETAG}"') is Verdict.NOT_MODIFIED


@given(st.text('W/",*ab \t', max_size=40))
def test_a_broken_list_names_nothing_that_is_not_in_it(header: str) -> None:
    has_it = evaluate(etag="ab", method="GET", if_match=None, if_none_match=header)
    if header.strip() == "*":
        assert has_it is Verdict.NOT_MODIFIED
    elif has_it is Verdict.NOT_MODIFIED:
        assert re.search('"ab"', header)


def test_a_range_applies_to_the_same_bytes_only() -> None:
    assert range_applies(None, ETAG)
    assert range_applies(f' "{ETAG}" ', ETAG)
    for header in ('"x"', f'W/"{ETAG}"', ETAG, "", "Sat, 29 Oct 1994 19:43:31 GMT"):
        assert not range_applies(header, ETAG)

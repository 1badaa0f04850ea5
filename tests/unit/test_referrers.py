import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oose.errors import BadInput
from oose.referrers import ANY, MOST, parse_referrers, referrer_allowed

ENTRY = ("example.com",)

labels = st.text(string.ascii_lowercase + string.digits + "-_", min_size=1, max_size=20)
names = st.builds(lambda parts: ".".join([*parts, "org"]), st.lists(labels, min_size=1, max_size=4))
schemes = st.sampled_from(["http://", "https://", "HTTPS://", "//", ""])
ports = st.one_of(st.just(""), st.integers(0, 65535).map(lambda port: f":{port}"))
tails = st.sampled_from(["", "/", "/page", "/a/b?c=d#e", "?q", "#f"])


# What a purchase says.


@pytest.mark.parametrize(
    ("value", "hosts"),
    [
        ("example.com", ("example.com",)),
        (["example.com"], ("example.com",)),
        ("a.org, B.ORG ,a.org", ("a.org", "b.org")),
        (["https://example.com:8443/page?x", "//b.org/"], ("example.com", "b.org")),
        (["*"], (ANY,)),
        (" * , a.org", (ANY, "a.org")),
        ("localhost", ("localhost",)),
        ("10.0.0.1:80", ("10.0.0.1",)),
        ("http://[2001:DB8::1]/", ("2001:db8::1",)),
        ("example.com.", ("example.com",)),
        ("b\u00fccher.example", ("xn--bcher-kva.example",)),
        ("user@example.com", ("example.com",)),
    ],
)
def test_hosts_are_taken_from_an_array_or_from_text(value: object, hosts: tuple[str, ...]) -> None:
    assert parse_referrers(value) == hosts


@pytest.mark.parametrize("value", [None, 5, {}, {"a": 1}, [], True])
def test_what_is_no_list_of_hosts_is_refused(value: object) -> None:
    with pytest.raises(BadInput, match="referrer must be a list of hosts"):
        parse_referrers(value)


@pytest.mark.parametrize("entry", [None, 5, ["example.com"], {"a": 1}])
def test_an_entry_that_is_no_text_is_refused(entry: object) -> None:
    with pytest.raises(BadInput, match="referrer must hold text, not"):
        parse_referrers([entry])


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "  ",
        "http://",
        "/",
        "*.example.com",
        "(a+)+$",
        ".*",
        "a..b",
        ".",
        "exa mple.com",
        "exa\nmple.com",
        "exa\x7fmple.com",
        "[::1",
        "http://[nonsense]/",
        "a" * 254,
        "\u00fc" * 64,
        "example%2ecom",
        "ex\u2100mple.com",
        "1.2.3",
        "10.0.0.1.5",
        "example.0x7f",
        "300.0.0.1",
    ],
)
def test_an_entry_that_no_page_could_have_as_its_host_is_refused(entry: str) -> None:
    with pytest.raises(BadInput, match="is not a host name that a page could have"):
        parse_referrers([entry])


def test_hosts_are_bounded_in_number() -> None:
    assert len(parse_referrers([f"h{n}.org" for n in range(MOST)])) == MOST
    with pytest.raises(BadInput, match="more than 100 hosts"):
        parse_referrers(["example.com"] * (MOST + 1))


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists))
def test_whatever_is_given_the_outcome_is_hosts_or_a_refusal(value: object) -> None:
    try:
        hosts = parse_referrers(value)
    except BadInput:
        return
    assert hosts
    assert parse_referrers(list(hosts)) == hosts


# What a page's address says.


@given(names, schemes, ports, tails)
def test_pages_of_the_host_itself_are_allowed(name: str, scheme: str, port: str, tail: str) -> None:
    assert referrer_allowed((name,), scheme + name + port + tail)
    assert referrer_allowed((name,), scheme + name.upper() + port + tail)


@given(names, st.lists(labels, min_size=1, max_size=3), schemes, ports, tails)
def test_pages_of_subdomains_are_allowed(
    name: str, below: list[str], scheme: str, port: str, tail: str
) -> None:
    assert referrer_allowed((name,), scheme + ".".join([*below, name]) + port + tail)


@given(names, labels, schemes, tails)
def test_a_host_that_merely_ends_or_begins_alike_is_not_allowed(
    name: str, more: str, scheme: str, tail: str
) -> None:
    assert not referrer_allowed((name,), scheme + more + name + tail)
    assert not referrer_allowed((name,), f"{scheme}{name}.{more}.evil.net{tail}")
    assert not referrer_allowed(("www." + name,), scheme + name + tail)


@given(
    st.sampled_from(["http://", "https://", "//", ""]),
    st.sampled_from(["evil.net", "evil.net:80", "evil.net.", "[2001:db8::1]", "203.0.113.5"]),
    st.sampled_from(["/", "?", "#", "/?", "/#", "/a/", "\\", "\\@", "/@", "?@", "#@", "/.", "//"]),
    st.sampled_from(["", ".", "www.", "*.", "http://", "a@", "\u3002"]),
)
def test_the_host_s_name_elsewhere_in_the_address_counts_for_nothing(
    scheme: str, evil: str, between: str, before: str
) -> None:
    assert not referrer_allowed(ENTRY, scheme + evil + between + before + "example.com")
    assert not referrer_allowed(ENTRY, f"{scheme}{evil}{between}{before}example.com/")


@given(st.text(st.characters(exclude_characters="/?#\\"), max_size=20))
def test_a_user_s_name_is_not_the_host(user: str) -> None:
    for user_name in ("example.com", "example.com:80", f"example.com{user}", f"{user}example.com"):
        assert not referrer_allowed(ENTRY, f"http://{user_name}@evil.net/")


@pytest.mark.parametrize(
    "header",
    [
        "http://evil.net\\.example.com/",
        "http://evil.net\\@example.com/",
        "http:\\\\evil.net/example.com",
        "http://evil.net\t.example.com/",
        "http://evil.net\n.example.com/",
        "http://evil.net\0.example.com/",
        "http://evil.net .example.com/",
        "http://evil.net\uff0f.example.com/",
        "http://evil.net\uff1f.example.com/",
        "http://evil.net\u2044example.com/",
        "http://evil.net%2f.example.com/",
        "http://exam\u0440le.com/",
        "http://\u0435xample.com/",
        "http://example.com\u3002evil.net/",
        "http://example.c0m/",
        "http://examplexcom/",
        "http://[::1].example.com/",
        "javascript:example.com",
        "data:text/html,example.com",
        "null",
        "about:blank",
    ],
)
def test_tricks_do_not_make_a_host_of_another(header: str) -> None:
    assert not referrer_allowed(ENTRY, header)


@given(st.text())
def test_no_text_before_another_host_makes_it_allowed(text: str) -> None:
    assert not referrer_allowed(ENTRY, f"http://{text}.evil.net")


@given(st.text())
def test_whatever_the_header_holds_it_is_judged(text: str) -> None:
    allowed = referrer_allowed(ENTRY, text)
    assert not allowed or "example" in text.casefold() or not text.isascii()


def test_letters_of_another_width_are_the_host_that_browsers_make_of_them() -> None:
    assert referrer_allowed(ENTRY, "http://\uff45xample\uff0ecom/")
    assert referrer_allowed(("b\u00fccher.example",), "x") is False
    hosts = parse_referrers("b\u00fccher.example")
    assert referrer_allowed(hosts, "https://www.B\u00dcCHER.example/")


@pytest.mark.parametrize("header", [None, "", " ", "http://", "/", "://"])
def test_without_a_host_only_a_star_allows(header: str | None) -> None:
    assert not referrer_allowed(ENTRY, header)
    assert referrer_allowed((*ENTRY, ANY), header)


def test_nothing_is_allowed_where_no_host_is_named() -> None:
    assert not referrer_allowed((), "http://example.com/")


def test_an_address_is_compared_whatever_its_form_and_nothing_lies_below_it() -> None:
    assert referrer_allowed(("2001:db8::1",), "http://[2001:DB8:0:0::1]:8080/")
    assert referrer_allowed(("10.0.0.1",), "http://10.0.0.1:8080/")
    assert not referrer_allowed(("10.0.0.1",), "http://5.10.0.0.1/")

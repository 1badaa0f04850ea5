from base64 import b64decode
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oose.errors import BadInput
from oose.retrieve import Source, extension_from, parse_source

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def headers_of(source: Source) -> dict[str, str]:
    return dict(source.headers)


def refusal(value: object) -> str:
    with pytest.raises(BadInput) as caught:
        parse_source(value)
    return caught.value.message


def test_a_url_alone_is_enough() -> None:
    source = parse_source("http://example.com/film.mp4")
    assert source.url.text == "http://example.com/film.mp4"
    assert source.headers == ()


def test_the_node_clients_form_is_understood() -> None:
    source = parse_source({"url": "https://example.com/a?b=c", "method": "get"})
    assert source.url.text == "https://example.com/a?b=c"


def test_headers_are_kept_as_given() -> None:
    source = parse_source({"url": "http://a/", "headers": {"X-Key": " v ", "Cookie": "a=b"}})
    assert headers_of(source) == {"X-Key": "v", "Cookie": "a=b"}


def test_headers_stay_out_of_the_log() -> None:
    assert "secret" not in repr(parse_source("http://me:secret@example.com/"))


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("HTTP://EXAMPLE.com", "http://example.com/"),
        (" http://example.com/ ", "http://example.com/"),
        ("http://example.com:80/", "http://example.com/"),
        ("http://example.com:/", "http://example.com/"),
        ("https://example.com:80/", "https://example.com:80/"),
        ("http://example.com?q", "http://example.com/?q"),
        ("http://example.com/a#b", "http://example.com/a"),
        ("http://example.com/ü b?ü=ß", "http://example.com/%C3%BC%20b?%C3%BC=%C3%9F"),
        ("http://example.com/%C3%BC?%41", "http://example.com/%C3%BC?%41"),
        ("http://exämple.com/", "http://xn--exmple-cua.com/"),
        ("http://１２７.0.0.1/", "http://127.0.0.1/"),
        ("http://[2001:DB8::1]:8080/x", "http://[2001:db8::1]:8080/x"),
        ("http://[::ffff:1.2.3.4]/", "http://[::ffff:102:304]/"),
        ("http://my_server:8000/", "http://my_server:8000/"),
        ("http://example.com./", "http://example.com./"),
        ("http://2130706433/", "http://2130706433/"),
    ],
)
def test_urls_are_brought_into_one_form(text: str, url: str) -> None:
    assert parse_source(text).url.text == url


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "needs a url"),
        ("example.com/x", "must begin with http"),
        ("file:///etc/passwd", "must begin with http"),
        ("ftp://example.com/", "must begin with http"),
        ("gopher://example.com/", "must begin with http"),
        ("http:///x", "no host"),
        ("http://:80/", "no host"),
        ("http://me@/", "no host"),
        ("http://a b/", "not a host name"),
        ("http://a..b/", "not a host name"),
        ("http://127%2e0.0.1/", "not a host name"),
        ("http://" + "a" * 64 + "/", "not a host name"),
        ("http://" + "a." * 127 + "/", "not a host name"),
        ("http://a☃..b/", "not a host name"),
        ("http://example.com:99999/", "malformed"),
        ("http://example.com:http/", "malformed"),
        ("http://example.com:0/", "port 0"),
        ("http://[::1/", "malformed"),
        ("http://[v1.a:b]/", "not an IPv6 address"),
        ("http://[fe80::1%25eth0]/", "network interface"),
        ("http://example.com/\ud800", "malformed"),
        ("http://\ud800:x@example.com/", "malformed"),
        ("http://example.com/\x00", "control characters"),
        ("http://example.com/\r\nHost: x", "control characters"),
        ("http://exa\tmple.com/", "control characters"),
        ("http://example.com/" + "ü" * 4096, "longer than 8192"),
    ],
)
def test_urls_that_cannot_be_fetched_are_refused(text: str, words: str) -> None:
    assert words in refusal(text)


@pytest.mark.parametrize("value", [None, 5, True, [], ["http://a/"]])
def test_what_is_neither_url_nor_object_is_refused(value: object) -> None:
    assert "must be a URL, or an object" in refusal(value)


@pytest.mark.parametrize("url", [None, 5, {}, []])
def test_a_url_that_is_no_text_is_refused(url: object) -> None:
    assert "needs a url" in refusal({"url": url})


@pytest.mark.parametrize("option", ["proxy", "rejectUnauthorized", "body", "auth", "Url"])
def test_other_options_of_an_http_library_are_refused_by_name(option: str) -> None:
    message = refusal({"url": "http://a/", option: "x"})
    assert f"not '{option}'" in message


@pytest.mark.parametrize("method", ["POST", "HEAD", "", "GET ", None, 1])
def test_only_get_is_allowed(method: object) -> None:
    assert "method must be GET" in refusal({"url": "http://a/", "method": method})


@pytest.mark.parametrize("headers", [None, [], "a: b", {"a": 1}, {"a": None}, {"a": ["b"]}])
def test_headers_must_be_texts_by_name(headers: object) -> None:
    assert "object of names and texts" in refusal({"url": "http://a/", "headers": headers})


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "content-length",
        "Transfer-Encoding",
        "CONNECTION",
        "Upgrade",
        "TE",
        "Trailer",
        "Expect",
        "Keep-Alive",
        "Proxy-Authorization",
        "proxy-anything",
        "Accept-Encoding",
    ],
)
def test_headers_that_frame_or_route_the_request_are_refused(name: str) -> None:
    assert "cannot be chosen" in refusal({"url": "http://a/", "headers": {name: "x"}})


@pytest.mark.parametrize("name", ["", " ", "a b", "a:", "a\r\nb", "ä", "a\x00", "(", "x" * 9000])
def test_names_that_are_no_tokens_are_refused(name: str) -> None:
    assert "is not a header's name" in refusal({"url": "http://a/", "headers": {name: "x"}})


@pytest.mark.parametrize("text", ["a\r\nHost: b", "a\nb", "a\rb", "\x00", "\x7f", "\ud800"])
def test_texts_that_no_header_can_hold_are_refused(text: str) -> None:
    assert "no header can hold" in refusal({"url": "http://a/", "headers": {"X": text}})


def test_a_header_may_not_be_too_long() -> None:
    assert "longer than" in refusal({"url": "http://a/", "headers": {"X": "x" * 8193}})


def test_32_headers_are_enough() -> None:
    many = {f"X-{number}": "x" for number in range(32)}
    assert len(parse_source({"url": "http://a/", "headers": many}).headers) == 32
    assert "more than 32" in refusal({"url": "http://a/", "headers": {**many, "Y": "y"}})


def test_a_header_given_twice_is_refused() -> None:
    assert "twice" in refusal({"url": "http://a/", "headers": {"X": "1", "x": "2"}})


def test_a_login_in_the_url_becomes_basic_auth() -> None:
    source = parse_source("http://m%C3%A9:p%40ss:w@example.com/x")
    scheme, encoded = headers_of(source)["Authorization"].split(" ")
    assert scheme == "Basic"
    assert b64decode(encoded).decode() == "mé:p@ss:w"
    assert source.url.text == "http://example.com/x"


def test_an_empty_login_in_the_url_is_one_too() -> None:
    assert headers_of(parse_source("http://@a/")) == {"Authorization": "Basic Og=="}


def test_a_login_in_the_url_and_in_a_header_is_refused() -> None:
    headers = {"authorization": "Bearer x"}
    assert "both" in refusal({"url": "http://me:you@a/", "headers": headers})


@pytest.mark.parametrize(
    ("url", "content_type", "extension"),
    [
        ("http://a/film.mp4", None, "mp4"),
        ("http://a/FILM.MP4?x=y.txt", "text/html", "mp4"),
        ("http://a/download.php", "video/mp4; codecs=avc1", "mp4"),
        ("http://a/download.php", "VIDEO/MP4", "mp4"),
        ("http://a/download", "image/jpeg", "jpg"),
        ("http://a/film.srt2", "text/plain; charset=utf-8", "srt2"),
        ("http://a/readme", "text/plain", "txt"),
        ("http://a/x.q7z", "application/octet-stream", "q7z"),
        ("http://a/x.q7z", "no such type", "q7z"),
        ("http://a/x.q7z", None, "q7z"),
        ("http://a/x.%2F..", "application/octet-stream", "bin"),
        ("http://a/x", "", "bin"),
        ("http://mp4.mp4", None, "bin"),
        ("http://a/.mp4", None, "bin"),
    ],
)
def test_the_extension_comes_from_the_url_or_the_type(
    url: str, content_type: str | None, extension: str
) -> None:
    assert extension_from(parse_source(url), content_type) == extension


@given(st.text(), st.text() | st.none())
def test_an_extension_is_always_a_few_plain_letters(name: str, content_type: str | None) -> None:
    try:
        source = parse_source(f"http://a/{name}")
    except BadInput:
        return
    extension = extension_from(source, content_type)
    assert 0 < len(extension) <= 16
    assert extension.isascii()
    assert extension.isalnum()


@given(JSON | st.fixed_dictionaries({"url": JSON}, optional={"method": JSON, "headers": JSON}))
def test_any_json_is_parsed_or_refused(value: object) -> None:
    with suppress(BadInput):
        assert parse_source(value).url.text


@given(
    st.text(alphabet="aé0.:-[]%@/?#\\ _١Ａ\u200d"),
    st.text(max_size=20),
    st.sampled_from(["http", "https"]),
)
@example("a:b@c:1", "/\\x", "http")
def test_a_url_that_is_accepted_is_what_it_says_it_is(host: str, rest: str, scheme: str) -> None:
    try:
        url = parse_source(f"{scheme}://{host}/{rest}").url
    except BadInput:
        return
    assert url.text.isascii()
    assert all("!" <= letter <= "~" for letter in url.text)
    parts = urlsplit(url.text)
    assert (parts.scheme, parts.hostname) == (url.scheme, url.host)
    assert parse_source(url.text).url == url

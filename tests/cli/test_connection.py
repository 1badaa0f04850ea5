"""Sending to whoever does not play along: without a prism."""

import socket
import ssl
import threading
from collections.abc import Iterator

import pytest

from oose.cli.connection import exchange, pour, received, tls_context, understood, unreachable
from oose.cli.exits import CommandFailed
from oose.cli.profile import Profile
from tests.cli.canned import answer, canned, deaf

REFUSED = answer(b'{"error": "not you"}', "401 Unauthorized")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0.01)  # what a test is about when it is over
        yield ours, theirs


def pieces(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b"x" * 100_000


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "10000000000"}])
def test_a_refusal_by_one_who_has_stopped_reading_is_heard(headers: dict[str, str]) -> None:
    with deaf(REFUSED) as url:
        refused = exchange(Profile(url), "POST", "/", headers, pieces(100_000))
        assert refused.status == 401
        with pytest.raises(CommandFailed, match="not you") as failed:
            understood(refused)
    assert failed.value.code == 3


def test_a_long_refusal_is_read_to_its_end() -> None:
    long = answer(b'{"error": "%s"}' % (b"no " * 100_000), "413 Payload Too Large")
    with deaf(long) as url:
        refused = exchange(Profile(url), "POST", "/", {}, pieces(100_000))
        with pytest.raises(CommandFailed) as failed:
            understood(refused)
    assert len(failed.value.message) == 300_000


def test_one_who_hangs_up_without_a_word_is_unreachable() -> None:
    with (
        deaf(b"", hold=False) as url,
        pytest.raises(CommandFailed, match="cannot be reached") as failed,
    ):
        exchange(Profile(url), "POST", "/", {"Content-Length": "10000000000"}, pieces(100_000))
    assert failed.value.code == 5


def test_what_goes_wrong_with_a_body_ends_the_connection() -> None:
    def broken() -> Iterator[bytes]:
        yield b"some"
        raise CommandFailed("The file cannot be read")

    with deaf(b"") as url, pytest.raises(CommandFailed, match="cannot be read"):
        exchange(Profile(url), "POST", "/", {"Content-Length": "8"}, broken())


def test_a_url_may_have_a_path() -> None:
    heads: list[bytes] = []
    with canned([answer(b"{}")] * 3, heads) as url:
        for base in (url, url + "/oose", url + "/oose/"):
            understood(exchange(Profile(base), "GET", "/ping", {}, b""))
    assert [head.split()[1] for head in heads] == [b"/ping", b"/oose/ping", b"/oose/ping"]


def test_a_name_that_no_host_has_is_unreachable() -> None:
    with pytest.raises(CommandFailed, match="cannot be reached"):
        exchange(Profile("http://a..b"), "GET", "/", {}, b"")


def test_all_is_sent_when_nothing_comes_back(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    assert pour(ours, b"hello") == b""
    assert theirs.recv(10) == b"hello"
    assert pour(ours, b"") == b""


def test_one_who_takes_nothing_is_not_waited_for_without_end(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    with pytest.raises(TimeoutError, match="nothing is taken"):
        pour(pair[0], b"x" * 10_000_000)


def test_an_answer_is_heard_while_nothing_can_be_sent(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    with pytest.raises(TimeoutError):
        pour(ours, b"x" * 10_000_000)
    theirs.send(b"HTTP/1.1 401")
    assert pour(ours, b"more") == b"HTTP/1.1 401"
    assert ours.gettimeout() == 0.01


def test_what_is_not_data_is_no_answer(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with TLS, where a ticket of the session makes the socket readable."""
    ours, theirs = pair
    with pytest.raises(TimeoutError):
        pour(ours, b"x" * 10_000_000)
    theirs.send(b"a ticket")

    def taken(sock: socket.socket) -> bytes:
        assert sock.recv(100) == b"a ticket"
        return received(sock)

    monkeypatch.setattr("oose.cli.connection.received", taken)
    with pytest.raises(TimeoutError):
        pour(ours, b"more")


def test_the_end_is_told_from_silence(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    assert received(ours) == b""
    theirs.close()
    with pytest.raises(ConnectionAbortedError):
        received(ours)


def test_an_error_without_words_is_named_by_its_kind() -> None:
    assert "TimeoutError" in unreachable(Profile(), TimeoutError())


def test_what_does_not_speak_tls_is_told_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(answer(b"{}", "400 Bad Request"))

        thread = threading.Thread(target=refuse)
        thread.start()
        url = f"https://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(CommandFailed) as refused:
            exchange(Profile(url=url), "GET", "/", {}, b"")
        thread.join()
    assert "does not speak TLS: should its URL begin with http:// instead?" in refused.value.message
    assert "_ssl.c" not in refused.value.message


def test_what_tls_fails_of_is_told_in_words() -> None:
    error = ssl.SSLError(1, "[SSL] unexpected eof (_ssl.c:1006)")
    error.reason = "UNEXPECTED_EOF_WHILE_READING"
    assert "TLS failed (unexpected eof while reading). Is" in unreachable(Profile(), error)


def test_whoever_asks_for_it_trusts_anybody() -> None:
    assert tls_context(Profile()).verify_mode == ssl.CERT_REQUIRED
    assert tls_context(Profile(insecure=True)).verify_mode == ssl.CERT_NONE

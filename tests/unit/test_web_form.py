from collections.abc import Callable
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from oose.errors import BadInput, OoseError, TooLarge, Unavailable, WrongType
from oose.web import form as form_module
from oose.web.form import FilePart, FileSink, Form, Source, base_name, boundary_of

BOUNDARY = b"----b"


class Pile:
    """A sink that piles up what it is fed."""

    def __init__(self) -> None:
        self.data = b""
        self.sealing: Deferred[None] | None = None
        self.abandoned = False
        self.fault: Exception | None = None

    def feed(self, chunk: bytes) -> None:
        self.data += chunk

    async def seal(self) -> None:
        if self.sealing is not None:
            await self.sealing

    async def abandon(self) -> None:
        if self.fault is not None:
            raise self.fault
        self.abandoned = True


class Held:
    """A source that counts how often it is held back and let go."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.source = Source(
            lambda: self.calls.append("pause"), lambda: self.calls.append("resume")
        )


def open_pile(part: FilePart) -> tuple[FileSink, Any]:
    pile = Pile()
    return pile, pile


def make(
    open_file: Callable[[FilePart], tuple[FileSink, Any]] = open_pile, limit: int | None = None
) -> Form:
    return Form(BOUNDARY, open_file, Held().source, limit)


def part(name: str, data: bytes, filename: str | None = None, extra: bytes = b"") -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"'
    if filename is not None:
        head += f'; filename="{filename}"'
    return b"--" + BOUNDARY + b"\r\n" + head.encode() + extra + b"\r\n\r\n" + data + b"\r\n"


END = b"--" + BOUNDARY + b"--\r\n"


def finish(form: Form) -> None:
    form.finish().send(None)


def whole(form: Form) -> None:
    with pytest.raises(StopIteration):
        finish(form)


@given(st.binary(max_size=300), st.data())
def test_a_form_is_the_same_however_it_is_split(content: bytes, data: st.DataObject) -> None:
    body = part("hashType", b"md5") + part("film", content, "a b.mp4") + part("x", b"1") + END
    cut = data.draw(st.integers(0, len(body)))
    form = make()
    for piece in (body[:cut], body[cut:]):
        if piece:
            form.feed(piece)
    whole(form)
    assert form.fields == {"hashType": "md5", "x": "1"}
    (file,) = form.files
    assert (file.key, file.name, file.fields) == ("film", "a b.mp4", {"hashType": "md5"})
    assert file.taker.data == content


def test_a_form_split_at_every_byte_is_the_same() -> None:
    form = make()
    for byte in part("f", b"--" + BOUNDARY[:-1] + b"\r\n\r\n--", "x") + END:
        form.feed(bytes([byte]))
    whole(form)
    assert form.files[0].taker.data == b"--" + BOUNDARY[:-1] + b"\r\n\r\n--"


def take(form: Form, body: bytes) -> None:
    form.feed(body)
    finish(form)


@given(st.integers(0, 200))
def test_a_form_that_is_cut_short_is_refused(cut: int) -> None:
    body = part("film", b"x" * 100, "a.mp4") + END
    form = make()
    with pytest.raises(OoseError):
        take(form, body[: min(cut, len(body) - 5)])


@given(st.binary(min_size=1, max_size=400))
def test_no_bytes_do_more_than_be_refused(body: bytes) -> None:
    form = make()
    with pytest.raises((OoseError, StopIteration)):
        take(form, body)


def test_two_files_under_one_field_are_two_results() -> None:
    form = make()
    form.feed(part("f", b"1", "a") + part("f-2", b"2", "b") + part("f", b"3", "c"))
    form.feed(part("f", b"4", "d") + END)
    whole(form)
    assert [(p.key, p.taker.data) for p in form.files] == [
        ("f", b"1"),
        ("f-2", b"2"),
        ("f-3", b"3"),
        ("f-4", b"4"),
    ]


def test_what_a_part_says_of_itself_is_kept() -> None:
    form = make()
    extra = b"\r\nContent-Type: Video/MP4; x=y\r\nContent-Transfer-Encoding: binary"
    form.feed(part("f", b"1", "C:\\films\\a.mp4", extra) + END)
    file = form.files[0]
    assert (file.name, file.mime_type, file.encoding) == ("a.mp4", "video/mp4", "binary")


def test_a_part_without_a_name_is_called_file() -> None:
    form = make()
    form.feed(part("", b"1", "a") + END)
    assert form.files[0].key == "file"


def test_a_form_without_a_file_is_refused() -> None:
    form = make()
    form.feed(part("x", b"1") + END)
    with pytest.raises(BadInput, match="no file"):
        finish(form)


def test_an_input_that_was_not_filled_is_no_file() -> None:
    form = make()
    form.feed(part("f", b"1", "a") + part("g", b"", "") + part("x", b"2") + part("h", b"", ""))
    form.feed(part("i", b"", "empty.txt") + END)
    whole(form)
    assert [(p.key, p.name, p.taker.data) for p in form.files] == [
        ("f", "a", b"1"),
        ("i", "empty.txt", b""),
    ]
    assert form.fields == {"x": "2"}
    unfilled = make()
    unfilled.feed(part("f", b"", "") + END)
    with pytest.raises(BadInput, match="no file"):
        finish(unfilled)


def test_a_file_without_a_name_is_a_file_where_it_has_bytes() -> None:
    form = make()
    for piece in (part("f", b"1", "a") + part("g", b"23", "")[:-3], b"3\r\n", END):
        form.feed(piece)
    whole(form)
    assert [(p.key, p.name, p.taker.data) for p in form.files] == [
        ("f", "a", b"1"),
        ("g", "", b"23"),
    ]


def test_a_header_that_is_not_utf8_is_refused_in_plain_words() -> None:
    with pytest.raises(BadInput) as refused:
        make().feed(part("f", b"1", "a").replace(b'"a"', b'"\xe4"') + END)
    assert refused.value.message == "The form is broken: the headers of a part are not UTF-8"


def test_too_many_fields_are_refused() -> None:
    form = make()
    with pytest.raises(TooLarge, match="100 fields"):
        form.feed(b"".join(part(f"x{n}", b"1") for n in range(10_000)) + END)


def test_a_field_of_many_bytes_is_refused_before_it_is_there() -> None:
    form = make()
    form.feed(part("x", b"1" * 60_000)[:-2])
    with pytest.raises(TooLarge, match="'x' is over"):
        form.feed(b"1" * 10_000)


def test_a_field_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(BadInput, match="not UTF-8"):
        make().feed(part("x", b"\xff") + END)


def test_too_many_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form_module, "FILES_LIMIT", 2)
    with pytest.raises(TooLarge, match="2 files"):
        make().feed(b"".join(part("f", b"1", "x") for _ in range(3)))


def test_a_header_without_end_is_refused() -> None:
    with pytest.raises(TooLarge, match="over a limit"):
        make().feed(b"--" + BOUNDARY + b"\r\n" + b"a" * 100_000)


def test_more_bytes_than_allowed_are_refused() -> None:
    form = make(limit=100)
    form.feed(part("f", b"", "x")[:70])
    with pytest.raises(TooLarge, match="limit of 100 bytes"):
        form.feed(b"x" * 40)


@pytest_twisted.ensureDeferred
async def test_every_file_is_abandoned_in_the_end() -> None:
    form = make()
    form.feed(part("f", b"1", "a") + part("g", b"2", "b") + END)
    await form.abandon()
    assert [p.taker.abandoned for p in form.files] == [True, True]


@pytest_twisted.ensureDeferred
async def test_every_file_is_abandoned_although_one_cannot_be() -> None:
    form = make()
    form.feed(part("f", b"1", "a") + part("g", b"2", "b") + END)
    first, second = (file.taker for file in form.files)
    first.fault = Unavailable("dead")
    with pytest.raises(Unavailable):
        await form.abandon()
    assert second.abandoned


def test_a_client_is_held_back_while_many_files_are_being_written() -> None:
    sealing: list[Deferred[None]] = []

    def open_file(part: FilePart) -> tuple[FileSink, Any]:
        pile = Pile()
        pile.sealing = Deferred()
        sealing.append(pile.sealing)
        return pile, pile

    held = Held()
    form = Form(BOUNDARY, open_file, held.source, None)
    form.feed(b"".join(part("f", b"1", "x") for _ in range(10)))
    assert held.calls == ["pause"]
    for deferred in sealing[:4]:
        deferred.callback(None)
    assert held.calls == ["pause"]
    for deferred in sealing[4:9]:
        deferred.callback(None)
    assert held.calls == ["pause", "resume"]


@pytest.mark.parametrize(
    ("content_type", "error"),
    [
        (None, WrongType),
        ("application/json", WrongType),
        ("multipart/mixed; boundary=x", WrongType),
        ("multipart/form-data", BadInput),
        ('multipart/form-data; boundary=""', BadInput),
        (f"multipart/form-data; boundary={'x' * 300}", BadInput),
    ],
)
def test_only_a_form_with_a_boundary_is_taken(
    content_type: str | None, error: type[Exception]
) -> None:
    with pytest.raises(error):
        boundary_of(content_type)


def test_the_boundary_is_found_quoted_or_not() -> None:
    assert boundary_of("multipart/form-data; boundary=abc") == b"abc"
    assert boundary_of('Multipart/Form-Data; boundary="a c"') == b"a c"


@given(st.text())
def test_a_name_never_has_a_folder(name: str) -> None:
    assert not {"/", "\\"} & set(base_name(name))

"""Forms with files (multipart/form-data, RFC 7578), taken apart while they arrive."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from attrs import define, frozen
from multipart import (
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)

from oose.address import shown
from oose.background import in_background
from oose.errors import BadInput, OoseError, TooLarge, WrongType
from oose.together import together

FIELDS_LIMIT = 100
FIELD_LIMIT = 64 * 1024
FILES_LIMIT = 10_000
HEADER_LIMIT = 8 * 1024
SEALING_LIMIT = 8  # files that have ended but are still being written


class FileSink(Protocol):
    """What takes the bytes of one file; see `oose.sink.Sink`."""

    def feed(self, chunk: bytes) -> None:
        """Take more of it."""
        ...

    async def seal(self) -> None:
        """It has ended, and another file follows."""
        ...


@define
class FilePart:
    """A file of the form: its field, the name and type its sender gave, and what takes it."""

    key: str
    name: str
    encoding: str
    mime_type: str
    fields: Mapping[str, str]
    taker: Any = None


@frozen
class Source:
    """How to hold back the client, and to let it go on."""

    pause: Callable[[], None]
    resume: Callable[[], None]


class Form:
    """Takes a form's body: `fields` by name and `files` in order.

    `open_file` is called when a file begins, with the fields that came before it, and gives what
    takes its bytes and whatever the caller wants to find in `FilePart.taker`. At most `limit`
    bytes are taken in all. An error that a file's sink raises ends the whole form.
    """

    def __init__(
        self,
        boundary: bytes,
        open_file: Callable[[FilePart], tuple[FileSink, Any]],
        source: Source,
        limit: int | None,
    ) -> None:
        self.fields: dict[str, str] = {}
        self.files: list[FilePart] = []
        self._open_file = open_file
        self._source = source
        self._limit = limit
        self._size = 0
        self._parser = PushMultipartParser(boundary, max_header_size=HEADER_LIMIT, strict=True)
        self._sink: FileSink | None = None
        self._unfilled: MultipartSegment | None = None
        self._field: str | None = None
        self._value = bytearray()
        self._field_count = 0
        self._sealing = 0
        self._held = False

    # As a `Body`.

    def feed(self, data: bytes) -> None:
        """See `Body.feed`."""
        self._size += len(data)
        if self._limit is not None and self._size > self._limit:
            raise TooLarge(f"The upload is over the limit of {self._limit} bytes")
        try:
            for event in self._parser.parse(data):
                if event is None:
                    self._end_part()
                elif isinstance(event, MultipartSegment):
                    self._begin_part(event)
                else:
                    self._data(event)
        except MultipartError as error:
            if not self._is_complete():
                raise broken(error) from error
            # What follows the last boundary is to be ignored (RFC 2046 section 5.1.1).

    async def finish(self) -> None:
        """See `Body.finish`: without this a truncated form would pass for an empty one."""
        if not self._is_complete():
            raise BadInput("The form is cut short: its last boundary is missing")
        if not self.files:
            raise BadInput("The form has no file")

    async def abandon(self) -> None:
        """See `Body.abandon`."""
        await together(part.taker.abandon() for part in self.files)

    def _is_complete(self) -> bool:
        try:
            self._parser.close()
        except MultipartError:
            return False
        return True

    # Part by part.

    def _begin_part(self, segment: MultipartSegment) -> None:
        key = segment.name or "file"
        if segment.filename is None:
            self._field_count += 1
            if self._field_count > FIELDS_LIMIT:
                raise TooLarge(f"The form has more than {FIELDS_LIMIT} fields")
            self._field = key
        elif segment.filename:
            self._begin_file(segment)
        else:
            self._unfilled = segment  # a browser's input without a file, unless bytes follow

    def _begin_file(self, segment: MultipartSegment) -> None:
        if len(self.files) >= FILES_LIMIT:
            raise TooLarge(f"The form has more than {FILES_LIMIT} files")
        self._seal_last()
        part = FilePart(
            key=self._free_key(segment.name or "file"),
            name=base_name(segment.filename or ""),
            encoding=segment.header("Content-Transfer-Encoding", "7bit"),
            mime_type=segment.content_type or "",
            fields=dict(self.fields),
        )
        self._sink, part.taker = self._open_file(part)
        self.files.append(part)

    def _data(self, data: bytes) -> None:
        if self._unfilled is not None:
            segment, self._unfilled = self._unfilled, None
            self._begin_file(segment)
        if self._field is None:
            assert self._sink is not None
            self._sink.feed(bytes(data))
            return
        if len(self._value) + len(data) > FIELD_LIMIT:
            raise TooLarge(f"The field {shown(self._field)} is over {FIELD_LIMIT} bytes")
        self._value += data

    def _end_part(self) -> None:
        self._unfilled = None
        if self._field is None:
            return  # a file is sealed when another begins: the last one may stay in memory
        try:
            self.fields[self._field] = self._value.decode("utf-8")
        except UnicodeDecodeError:
            raise BadInput(f"The field {shown(self._field)} is not UTF-8") from None
        self._field = None
        self._value.clear()

    def _free_key(self, key: str) -> str:
        taken = {part.key for part in self.files}
        free, number = key, 1
        while free in taken:
            number += 1
            free = f"{key}-{number}"
        return free

    def _seal_last(self) -> None:
        if self._sink is None:
            return
        self._sealing += 1
        if self._sealing > SEALING_LIMIT:
            self._held = True
            self._source.pause()
        in_background(self._seal(self._sink))

    async def _seal(self, sink: FileSink) -> None:
        try:
            await sink.seal()
        finally:
            self._sealing -= 1
        if self._held and self._sealing <= SEALING_LIMIT // 2:
            self._held = False
            self._source.resume()


def boundary_of(content_type: str | None) -> bytes:
    """The boundary of a form's `Content-Type`; `WrongType` when it is no form with files."""
    kind, options = parse_options_header(content_type or "")
    if kind != "multipart/form-data":
        raise WrongType(f"Send files as multipart/form-data, not {shown(kind)}")
    boundary: str = options.get("boundary", "")
    if not boundary or len(boundary) > 200 or "\n" in boundary:
        raise BadInput("The form's Content-Type has no usable boundary")
    return boundary.encode("utf-8", "replace")


def base_name(filename: str) -> str:
    """A file's name without the folders that some senders add."""
    return filename.replace("\\", "/").rpartition("/")[2]


def broken(error: MultipartError) -> OoseError:
    """What the parser found, for the client."""
    if isinstance(error, ParserLimitReached):
        return TooLarge(f"The form is over a limit: {error}")
    if isinstance(error.__context__, UnicodeDecodeError):
        return BadInput("The form is broken: the headers of a part are not UTF-8")
    return BadInput(f"The form is broken: {error}")

"""A file to a prism, as one part of a form, in memory that does not depend on its size."""

import hashlib
from collections.abc import Callable, Iterator
from secrets import token_hex
from typing import Any, BinaryIO

from oose.cli.connection import NO_PRISM
from oose.cli.exits import UNAVAILABLE, CommandFailed
from oose.cli.prism import Prism
from oose.media_types import media_type_of

PIECE = 256 * 1024
Seen = Callable[[int], None]


class FormOfOneFile:
    """The body of an upload, read from `file` while it is sent; `size` None when nobody knows."""

    def __init__(
        self, file: BinaryIO, name: str, size: int | None, hash_type: str, seen: Seen
    ) -> None:
        self._file = file
        self._size = size
        self._seen = seen
        self._boundary = token_hex(16)
        self.digest = hashlib.new(hash_type)
        self.sent = 0
        quoted = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        kind = media_type_of(name.rpartition(".")[2].lower())
        self._head = (
            self._part("hashType")
            + f"\r\n\r\n{hash_type}\r\n"
            + self._part("file")
            + f'; filename="{quoted}"\r\nContent-Type: {kind}\r\n\r\n'
        ).encode("utf-8", "replace")
        self._tail = f"\r\n--{self._boundary}--\r\n".encode()

    def _part(self, name: str) -> str:
        return f'--{self._boundary}\r\nContent-Disposition: form-data; name="{name}"'

    def headers(self) -> dict[str, str]:
        """Those of the request."""
        headers = {"Content-Type": f"multipart/form-data; boundary={self._boundary}"}
        if self._size is not None:
            length = len(self._head) + self._size + len(self._tail)
            headers["Content-Length"] = str(length)
        return headers

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        while data := self._read():
            self.sent += len(data)
            if self._size is not None and self.sent > self._size:
                break
            self.digest.update(data)
            yield data
            self._seen(len(data))
        if self._size is not None and self.sent != self._size:
            raise CommandFailed("The file changed while it was sent")
        yield self._tail

    def _read(self) -> bytes:
        try:
            return self._file.read(PIECE)
        except OSError as error:  # the file's, not the network's
            raise CommandFailed(f"The file cannot be read: {error.strerror}") from None


def upload(
    prism: Prism, file: BinaryIO, name: str, size: int | None, hash_type: str, seen: Seen
) -> dict[str, Any]:
    """Upload one file and compare what the prism says of it; `seen` is told of bytes sent."""
    form = FormOfOneFile(file, name, size, hash_type, seen)
    answer = prism.send("/content/upload", form.headers(), form)
    try:
        result: dict[str, Any] = dict(answer["files"]["file"])
        kept = (result["hash"], result["size"])
    except (KeyError, TypeError, ValueError):
        raise CommandFailed(NO_PRISM, UNAVAILABLE) from None
    if kept != (form.digest.hexdigest(), form.sent):
        raise CommandFailed(f"The bytes changed on their way: the prism has {kept[0]}")
    return result

"""A file to a prism, as one part of a form, in memory that does not depend on its size."""

import hashlib
from collections.abc import Callable, Iterator
from secrets import token_hex
from typing import Any, BinaryIO

from oose.address import hash_type_of, parse_hash
from oose.cli.connection import NO_PRISM
from oose.cli.exits import UNAVAILABLE, CommandFailed
from oose.cli.prism import Prism
from oose.errors import BadInput
from oose.media_types import media_type_of

USUAL = "sha1"  # what a prism chooses unless its configuration says otherwise
PIECE = 256 * 1024
Seen = Callable[[int], None]


class FormOfOneFile:
    """The body of an upload, read from `file` while it is sent; `size` None when nobody knows.

    `hash_type` None leaves it to the prism.
    """

    def __init__(
        self, file: BinaryIO, name: str, size: int | None, hash_type: str | None, seen: Seen
    ) -> None:
        self._file = file
        self._size = size
        self._seen = seen
        self._start = None if size is None else file.tell()
        self._boundary = token_hex(16)
        self._digest = hashlib.new(hash_type or USUAL)
        self.sent = 0
        quoted = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        kind = media_type_of(name.rpartition(".")[2].lower())
        wish = "" if hash_type is None else f"{self._part('hashType')}\r\n\r\n{hash_type}\r\n"
        self._head = (
            wish + self._part("file") + f'; filename="{quoted}"\r\nContent-Type: {kind}\r\n\r\n'
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
            self._digest.update(data)
            yield data
            self._seen(len(data))
        if self._size is not None and self.sent != self._size:
            raise CommandFailed("The file changed while it was sent")
        yield self._tail

    def may_have(self, content_hash: str, size: int) -> bool:
        """Whether what was sent is content of that hash and size.

        Where the prism chose another hash type the file is read again; a pipe is compared by size.
        """
        if size != self.sent:
            return False
        hash_type = hash_type_of(content_hash)
        if hash_type == self._digest.name:
            return content_hash == self._digest.hexdigest()
        if self._start is None:
            return True
        self._file.seek(self._start)
        digest = hashlib.new(hash_type)
        while data := self._read():
            digest.update(data)
        return content_hash == digest.hexdigest()

    def _read(self) -> bytes:
        try:
            return self._file.read(PIECE)
        except OSError as error:  # the file's, not the network's
            raise CommandFailed(f"The file cannot be read: {error.strerror}") from None


def upload(
    prism: Prism, file: BinaryIO, name: str, size: int | None, hash_type: str | None, seen: Seen
) -> dict[str, Any]:
    """Upload one file and compare what the prism says of it; `seen` is told of bytes sent."""
    form = FormOfOneFile(file, name, size, hash_type, seen)
    answer = prism.send("/content/upload", form.headers(), form)
    try:
        result: dict[str, Any] = dict(answer["files"]["file"])
        content_hash, kept = parse_hash(result["hash"]), result["size"]
    except (KeyError, TypeError, ValueError, BadInput):
        raise CommandFailed(NO_PRISM, UNAVAILABLE) from None
    if not form.may_have(content_hash, kept):
        raise CommandFailed(f"The bytes changed on their way: the prism has {content_hash}")
    return result

"""Reading files line by line, however long somebody has made a line."""

from typing import BinaryIO

from attrs import frozen


@frozen
class Line:
    """A line, or the beginning of one that is too long."""

    text: bytes
    is_whole: bool


def read_line(file: BinaryIO, longest: int) -> Line | None:
    """The next line, of at most so many bytes, its end included; None at the end of the file.

    What is left of one that is longer is passed over.
    """
    text = file.readline(longest)
    if not text:
        return None
    is_whole = len(text) < longest or text.endswith(b"\n")
    rest = text
    while len(rest) == longest and not rest.endswith(b"\n"):
        rest = file.readline(longest)
    return Line(text, is_whole)

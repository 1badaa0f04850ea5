"""Where the documents of a 2.0.x database come from, page by page."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from attrs import frozen

PAGE = 1000  # documents at once


@frozen
class OldRow:
    """One document: its id and its fields. Or, with no `body`, where there is one that cannot be
    read, and `why`.
    """

    id: str
    body: Mapping[str, Any] | None
    why: str = ""


@frozen
class Page:
    """Some documents, `position`, from where to go on, and `passed`, how far that is in all."""

    rows: Sequence[OldRow]
    position: str
    passed: int


class OldSource(Protocol):
    """A 2.0.x database, which is only read. `name` is for people, and stands for what is in it."""

    @property
    def name(self) -> str:
        """What and where it is."""
        ...

    async def size(self) -> int:
        """How much there is, in what `Page.passed` counts; `NotFound`, `NotAllowed`."""
        ...

    async def after(self, position: str | None, passed: int) -> Page | None:
        """The page behind a position, the first with None; None at the end.

        `passed` is how far the position is.
        """
        ...

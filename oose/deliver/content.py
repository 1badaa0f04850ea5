"""What is sent to a client: a file of this machine, or clones elsewhere."""

from typing import Protocol

from oose.deliver.flow import Flow
from oose.ranges import Span


class Clone(Protocol):
    """The bytes of some content, at one place."""

    async def ready(self, flow: Flow, span: Span) -> None:
        """Get ready to send `span`, so that what can be known to fail fails before the answer.

        `NotFound` or `Unavailable`. A client that leaves meanwhile is seen in `flow`.
        """
        ...

    async def send(self, flow: Flow, span: Span) -> bool:
        """Send the bytes of `span`, as far as `flow.sent` then says; False: the client has left."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Content(Clone, Protocol):
    """Bytes whose number is known before; small ones may be there `whole`."""

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    @property
    def whole(self) -> bytes | None:
        """All of them, where they are in memory already."""
        ...

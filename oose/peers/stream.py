"""Bytes in memory as the body of a request: all of them at once, or as they arrive."""

from collections.abc import Sequence

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer


@implementer(IBodyProducer)
@define(eq=False)
class WholeBody:
    """A body that is there whole."""

    chunks: Sequence[bytes]
    length: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.length = sum(map(len, self.chunks))

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """See `IBodyProducer`."""
        for chunk in self.chunks:
            consumer.write(chunk)
        return succeed(None)

    def pauseProducing(self) -> None:
        """See `IPushProducer`: nothing is left to hold back."""

    def resumeProducing(self) -> None:
        """See `IPushProducer`."""

    def stopProducing(self) -> None:
        """See `IBodyProducer`."""


@implementer(IBodyProducer)
class StreamBody:
    """A body that is given piece by piece, as fast as the connection takes it.

    No more than what was given in one `send` waits in memory. `moved` counts what went out;
    `is_over` when the body was ended here, or by the connection, which takes no more.
    """

    length = UNKNOWN_LENGTH

    def __init__(self) -> None:
        self.moved = 0
        self.is_over = False
        self._consumer: IConsumer | None = None
        self._done: Deferred[None] = Deferred(lambda _: self.stopProducing())
        self._gate: Deferred[None] | None = Deferred()

    async def send(self, chunks: Sequence[bytes]) -> None:
        """Give more of it, once what was given before is on its way; nothing when it is over."""
        if self._gate is not None:
            await self._gate
        if self.is_over or self._consumer is None:
            return
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self.moved += len(data)
        if data:  # an empty chunk would end it
            self._consumer.write(data)

    def end(self) -> None:
        """That was all."""
        if not self.is_over:
            self.is_over = True
            self._done.callback(None)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """See `IBodyProducer`."""
        self._consumer = consumer
        self.resumeProducing()
        return self._done

    def pauseProducing(self) -> None:
        """See `IPushProducer`."""
        if self._gate is None and not self.is_over:
            self._gate = Deferred()

    def resumeProducing(self) -> None:
        """See `IPushProducer`."""
        gate, self._gate = self._gate, None
        if gate is not None:
            self.moved += 1
            gate.callback(None)

    def stopProducing(self) -> None:
        """See `IBodyProducer`: what waits to be sent is let go."""
        self.is_over = True
        self.resumeProducing()

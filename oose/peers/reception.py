"""A copy on its way onto a store in another process: a `Reception` over one held connection.

    PUT  /content/receive/<hash type>/<id>       the bytes, as they arrive; answered when durable
    PUT  /content/commit/<id>/<hash>.<ext>       visible under its hash; a small file's bytes
    POST /content/confirm/<id>                   the records are written

Where the connection ends before the commit, the store keeps nothing. Where it ends after it and
before the confirmation, the store asks the inventory. So to withdraw is to close it.
"""

import secrets
from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from oose.background import in_background
from oose.errors import DiskFull, OoseError, TooLarge, Unavailable
from oose.log import part
from oose.peers.answers import Unreachable
from oose.peers.links import Link, Links
from oose.peers.stream import StreamBody

_log = part("upload")


class RemoteReception:
    """One copy for a store elsewhere.

    `judge` is told how each request went, None where it went well; `ended` is called once.
    """

    def __init__(
        self,
        links: Links,
        hash_type: str,
        judge: Callable[[OoseError | None], None],
        ended: Callable[[], None],
    ) -> None:
        self._links = links
        self._hash_type = hash_type
        self._judge = judge
        self._ended = ended
        self._id = secrets.token_hex(12)
        self._link: Link | None = None
        self._body: StreamBody | None = None
        self._answered: Deferred[None] = Deferred()
        self._error: OoseError | None = None
        self._sealed = False
        self._over = False

    async def write(self, chunks: Sequence[bytes]) -> None:
        """Send more, once what was sent before is on its way; see `Reception.write`."""
        link = self._use()
        if self._body is None:
            self._body = StreamBody()
            in_background(self._receive(link, self._body))
        body = self._body
        with link.attended(lambda: body.moved):
            await body.send(chunks)
        if body.is_over:  # the store has refused, or is gone
            await self._answered
            raise self._error or Unavailable("The upload was given up")

    async def seal(self) -> None:
        """Wait until the store has made durable what was sent; see `Reception.seal`."""
        if self._body is None or self._sealed:
            return
        link, body = self._use(), self._body
        body.end()
        with link.attended(lambda: body.moved):
            await self._answered
        if self._error is not None:
            raise self._error
        self._sealed = True

    async def commit(
        self, chunks: Sequence[bytes], content_hash: str, ext: str, created: int | None = None
    ) -> str:
        """Have it made visible; see `Reception.commit`."""
        path = f"/content/commit/{self._id}/{content_hash}.{ext}"
        if created is not None:
            path += f"?created={created}"
        if self._body is not None:
            if any(chunks):
                await self.write(chunks)
            await self.seal()
            chunks = ()
        link = self._use()
        try:
            if self._sealed and link.is_lost:
                raise Unreachable(f"The connection to {link.peer} was lost")
            answer = await link.ask_within_patience("PUT", path, chunks)
        except OoseError as error:
            self._judge(error)
            raise as_told(error, link.peer) from None
        self._judge(None)
        place = answer.get("relativePath")
        if not isinstance(place, str):
            raise Unavailable(f"{link.peer} did not say where the file is")
        return place

    async def confirm(self) -> None:
        """The records are written: tell the store, with nobody waiting for it."""
        link = self._use()
        self._over = True
        self._ended()
        in_background(self._confirm(link))

    async def withdraw(self) -> None:
        """Leave nothing of it there; see `Reception.withdraw`."""
        if self._over:
            return
        self._over = True
        self._ended()
        if self._link is not None:
            self._link.close()

    def _use(self) -> Link:
        if self._over:
            raise Unavailable("The upload was given up")
        if self._link is None:
            self._link = self._links.take()
        return self._link

    async def _receive(self, link: Link, body: StreamBody) -> None:
        try:
            await link.ask("PUT", f"/content/receive/{self._hash_type}/{self._id}", body)
            if not body.is_over:
                self._error = Unavailable(f"{link.peer} answered before it had everything")
        except OoseError as error:
            self._error = as_told(error, link.peer)
        except Exception:
            _log.failure("Sending to {peer} failed", Failure(), peer=link.peer)
            self._error = Unavailable(f"The file could not be sent to {link.peer}")
        if not self._over:  # else it was given up here
            self._judge(self._error)
        body.stopProducing()
        self._answered.callback(None)

    async def _confirm(self, link: Link) -> None:
        try:
            await link.ask_within_patience("POST", f"/content/confirm/{self._id}")
        except OoseError as error:  # the store will ask the inventory
            _log.debug("{peer} was not told of its record: {why}", peer=link.peer, why=error)
            link.close()
        else:
            self._links.give(link)


def as_told(error: OoseError, peer: str) -> OoseError:
    """A store's refusal as a client may hear it: what it says of the prism is not the client's."""
    if isinstance(error, DiskFull | TooLarge | Unavailable):
        return error
    return Unavailable(f"{peer} did not take the file: {error.message}")

"""Connections to peers as Twisted makes them, but for one thing.

Where what comes is no HTTP and the request is still being sent, Twisted forgets who waits for the
answer: https://github.com/twisted/twisted/issues/6977. Here the request fails then.
"""

from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure
from twisted.web._newclient import HTTP11ClientProtocol
from twisted.web.client import HTTPConnectionPool, _HTTP11ClientFactory


class _Connection(HTTP11ClientProtocol):
    def _giveUp(self, reason: Failure) -> None:  # noqa: N802 # Twisted's name
        answer, waiting = self._responseDeferred, self._finishedRequest
        if self._state == "TRANSMITTING" and answer is not None and waiting is not None:
            self._state = "TRANSMITTING_AFTER_RECEIVING_RESPONSE"  # as where one comes too early
            _ = answer.chainDeferred(waiting)
        super()._giveUp(reason)


class _Connections(_HTTP11ClientFactory):
    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> HTTP11ClientProtocol:
        return _Connection(self._quiescentCallback)


class PeerPool(HTTPConnectionPool):
    """Connections that are used again, or not."""

    _factory = _Connections

"""Why a request to another server failed, in words for people."""

from typing import Any

from OpenSSL.SSL import Error as TlsError
from service_identity import VerificationError
from twisted.internet.defer import CancelledError
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionClosed,
    ConnectionRefusedError,  # noqa: A004 # Twisted's, not Python's
    DNSLookupError,
    TCPTimedOutError,
    TimeoutError,  # noqa: A004 # Twisted's, not Python's
)
from twisted.python.failure import Failure
from twisted.web.client import RequestGenerationFailed, RequestTransmissionFailed, ResponseFailed
from twisted.web.http import PotentialDataLoss

from oose.errors import OoseError

_WRAPPERS = (RequestGenerationFailed, RequestTransmissionFailed, ResponseFailed)
FAILURES: tuple[type[Exception], ...] = (
    *_WRAPPERS,
    ConnectError,
    ConnectingCancelledError,
    ConnectionClosed,
    DNSLookupError,
    PotentialDataLoss,
    TlsError,
    VerificationError,
)
"""What Twisted raises where a server cannot be reached, breaks off or speaks something else."""

_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (DNSLookupError, "There is no host {host}"),
    (VerificationError, "The certificate of {host} is for another name"),
    (TlsError, "No secure connection to {host}: its certificate or its TLS is not acceptable"),
    (ConnectionRefusedError, "{host} refused the connection"),
    (TCPTimedOutError, "{host} did not take the connection in time"),
    (TimeoutError, "{host} did not take the connection in time"),
    (ConnectError, "{host} cannot be reached"),
)


def in_words(error: Exception, host: str, *, begun: bool = False) -> str:
    """What one of `FAILURES` means for the person who asked; `begun`: an answer was coming in.

    Raises the error that Twisted has wrapped in it where that is an `OoseError` or a cancellation.
    """
    causes = _causes(error)
    for cause in causes:
        if isinstance(cause, OoseError):
            raise cause
        if isinstance(cause, CancelledError | ConnectingCancelledError):
            raise CancelledError from error
    for kind, words in _WORDS:
        if any(isinstance(cause, kind) for cause in causes):
            return words.format(host=host)
    if begun:
        return f"{host} broke off before everything was there"
    return f"{host} did not answer as a web server does"


def _causes(error: Any) -> list[BaseException]:
    """The errors at the bottom of what Twisted wraps in one another."""
    if not isinstance(error, _WRAPPERS):
        return [error]
    reasons: list[Failure] = error.reasons
    return [cause for reason in reasons for cause in _causes(reason.value)]

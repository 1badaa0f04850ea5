"""What can go wrong, each with its HTTP status and words for the person who asked.

Only the HTTP layer (`oose.web.answers`) turns these into answers; everything below raises them
without knowing HTTP beyond the status they carry. The message is public: it names what went
wrong and what to do, never a secret, a path of this machine or a stack trace.
"""

from typing import ClassVar


class OoseError(Exception):
    """Base of every error that is answered to a client as `{"error": message}` with `status`.

    `retry_after` (seconds) becomes the `Retry-After` header (RFC 9110 section 10.2.3).
    """

    status: ClassVar[int] = 500

    def __init__(self, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after


class BadInput(OoseError):
    """The request cannot be understood, or asks for something that cannot be."""

    status = 400


class NotAuthenticated(OoseError):
    """No credentials, or none that count."""

    status = 401


class NotAllowed(OoseError):
    """Known who asks, or needs no login, but this is not for them."""

    status = 403


class NotFound(OoseError):
    """There is no such thing."""

    status = 404


class WrongMethod(OoseError):
    """The path exists, but not for this method; `allowed` are those it answers."""

    status = 405

    def __init__(self, message: str, allowed: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allowed = allowed


class TooSlow(OoseError):
    """The client sent nothing for too long in the middle of a request."""

    status = 408


class Conflict(OoseError):
    """What is asked contradicts what is already there."""

    status = 409


class TooLarge(OoseError):
    """The body, or a part of it, is over a limit."""

    status = 413


class WrongType(OoseError):
    """The body is not of a type this route takes."""

    status = 415


class RangeNotSatisfiable(OoseError):
    """No byte of the requested ranges exists in a file of `size` bytes."""

    status = 416

    def __init__(self, size: int) -> None:
        super().__init__(f"None of the requested ranges lies within the file's {size} bytes")
        self.size = size


class ChecksumMismatch(OoseError):
    """The bytes received do not hash to the name they came under."""

    status = 422


class TooManyAttempts(OoseError):
    """Too many failed logins; `retry_after` says when another is worth it."""

    status = 429


class HeaderTooLarge(OoseError):
    """The request's header section is over the limit (RFC 6585 section 5)."""

    status = 431


class SourceFailed(OoseError):
    """A server that oose asked on a client's behalf failed."""

    status = 502


class Unavailable(OoseError):
    """A peer, a disk or a database that this needs is away for now."""

    status = 503


class SourceTooSlow(OoseError):
    """A server that oose asked on a client's behalf did not answer in time."""

    status = 504


class DiskFull(OoseError):
    """No store has room for this."""

    status = 507

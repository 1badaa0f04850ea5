"""HTTP basic authentication with a prism's or store's own credentials (RFC 7617)."""

import binascii
import hmac
from base64 import b64decode

from attrs import field, frozen


@frozen
class Credentials:
    """A user name and a password that peers and tools present."""

    username: str
    password: str = field(repr=False)

    def match(self, header: str | None) -> bool:
        """Whether an `Authorization` header carries them, compared in constant time."""
        given = basic(header)
        if given is None:
            return False
        same_name = hmac.compare_digest(given[0], self.username.encode("utf-8"))
        same_password = hmac.compare_digest(given[1], self.password.encode("utf-8"))
        return same_name and same_password


def basic(header: str | None) -> tuple[bytes, bytes] | None:
    """User name and password of an `Authorization: Basic` header, None where it is no such."""
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    username, colon, password = decoded.partition(b":")
    return (username, password) if colon else None

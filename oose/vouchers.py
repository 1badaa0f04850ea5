"""Vouchers: a prism's word for a purchase, for a store that cannot look it up itself.

A prism that recalls a purchase while the database is away puts one into the query of the redirect:
`<hash>.<ext>.<expires>.<hmac-sha256 in hex>`. All peers of a cluster share the pair of credentials
from which its key is made. It is good for one token, and for a short while.
"""

import hashlib
import hmac

from attrs import frozen

from oose.credentials import Credentials
from oose.purchases import Purchase

VOUCHER = "voucher"  # what it is called in a query
LIFE = 60_000  # ms; never beyond the end of the purchase


@frozen
class Voucher:
    """What a token opens until `expires` (ms)."""

    hash: str
    ext: str
    expires: int


class Vouchers:
    """Made and read by whoever has `credentials`."""

    def __init__(self, credentials: Credentials) -> None:
        purpose = b"oose voucher\n" + credentials.username.encode("utf-8")
        self._key = hmac.digest(credentials.password.encode("utf-8"), purpose, hashlib.sha256)

    def issue(self, purchase: Purchase, now: int) -> str:
        """A voucher for a purchase that is good at the time `now` (ms)."""
        expires = min(purchase.expires, now + LIFE)
        text = f"{purchase.hash}.{purchase.ext}.{expires}"
        return f"{text}.{self._sign(purchase.token, text)}"

    def honour(self, token: str, given: str, now: int) -> Voucher | None:
        """What `given` says of `token`; None where it is no voucher for it, or has expired."""
        text, _, signature = given.rpartition(".")
        expected = self._sign(token, text).encode("ascii")
        if not hmac.compare_digest(signature.encode("utf-8", "surrogatepass"), expected):
            return None
        what, _, expires = text.rpartition(".")
        content_hash, _, ext = what.partition(".")
        voucher = Voucher(content_hash, ext, int(expires))
        return voucher if now < voucher.expires else None

    def _sign(self, token: str, text: str) -> str:
        said = f"{token}.{text}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, said, hashlib.sha256).hex()

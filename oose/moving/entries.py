"""The lines of an export, which hold all metadata as JSON.

The first says what the file is, the last that it is whole, and each between holds one entry:

    {"oose": "export", "format": 1, "version": "3.0.0", "at": 1700000000000, "counts": {...}}
    {"in": "inventory", "id": "a03f...:prism1:store1", "body": {...}}
    {"oose": "end", "counts": {"inventory": 1}}

`oose.moving.entry_reading` reads them.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from oose.address import parse_extension, parse_hash, parse_token
from oose.embedded.account_rows import AccountRow
from oose.metadata.documents import DATABASES
from oose.purchases import Purchase

FORMAT = 1
PURCHASE, ACCOUNT = "purchase", "account"
KINDS = (*DATABASES, PURCHASE, ACCOUNT)

Body = Mapping[str, Any]


class BadLine(Exception):
    """A line of which no use can be made; the message says why."""


@frozen
class Header:
    """The first line; `counts` is how many entries of each kind there would be, where known."""

    version: str
    at: int
    counts: Mapping[str, int]

    def to_line(self) -> str:
        """As it is written."""
        return as_line(
            {
                "oose": "export",
                "format": FORMAT,
                "version": self.version,
                "at": self.at,
                "counts": self.counts,
            }
        )


@frozen
class Entry:
    """One document, purchase or account."""

    kind: str
    id: str
    body: Body

    def to_line(self) -> str:
        """As it is written."""
        return as_line({"in": self.kind, "id": self.id, "body": self.body})


@frozen
class End:
    """The last line: how many entries of each kind there are."""

    counts: Mapping[str, int]

    def to_line(self) -> str:
        """As it is written."""
        return as_line({"oose": "end", "counts": self.counts})


def as_line(value: Mapping[str, Any]) -> str:
    """JSON on one line."""
    return json.dumps(value, separators=(",", ":")) + "\n"


# Fields.


def is_whole(value: object) -> bool:
    """A whole number, zero or more."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def is_flag(value: object) -> bool:
    """Yes or no."""
    return isinstance(value, bool)


def is_text(value: object) -> bool:
    """Text."""
    return isinstance(value, str)


def need(body: Body, name: str, kind: Callable[[object], bool]) -> Any:
    """A field of a kind; `BadLine`."""
    value = body.get(name)
    if not kind(value):
        raise BadLine(f"its {name} is none")
    return value


# Purchases and accounts as entries, and back.


def of_purchase(purchase: Purchase) -> Entry:
    """A purchase as an entry."""
    body = {
        "hash": purchase.hash,
        "ext": purchase.ext,
        "referrer": list(purchase.referrers),
        "life": purchase.life,
        "expirationDate": purchase.expires,
    }
    return Entry(PURCHASE, purchase.token, body)


def as_purchase(found: Entry) -> Purchase:
    """An entry as a purchase; `BadLine`, `BadInput`."""
    referrers = found.body.get("referrer")
    if not isinstance(referrers, list) or not all(isinstance(each, str) for each in referrers):
        raise BadLine("its referrer is none")
    return Purchase(
        parse_token(found.id),
        parse_hash(found.body.get("hash")),
        parse_extension(found.body.get("ext")),
        tuple(referrers),
        need(found.body, "life", is_whole),
        need(found.body, "expirationDate", is_whole),
    )


def of_account(row: AccountRow) -> Entry:
    """An account as an entry, with the hash of its password."""
    body = {"password": row.password, "enabled": row.enabled, "createdAt": row.created}
    return Entry(ACCOUNT, row.username, body)


def as_account(found: Entry) -> AccountRow:
    """An entry as an account; `BadLine`."""
    hashed = need(found.body, "password", is_text)
    if not hashed.startswith("$argon2"):
        raise BadLine("its password is no hash of one")
    return AccountRow(
        found.id,
        hashed,
        need(found.body, "enabled", is_flag),
        need(found.body, "createdAt", is_whole),
    )

"""The documents of a 2.0.x database, as today's program has them.

One database held everything, under keys such as `oose:inventory:<hash>:<prism>:<store>`. What is
missing or says it in another way is made good where that can be done for certain; a document of
which no use could be made is `NotUnderstood`.
"""

from collections.abc import Mapping
from typing import Any, Literal

from attrs import frozen

from oose.address import (
    NO_EXTENSION,
    old_relative_path,
    parse_extension,
    parse_hash,
    parse_relative_path,
    parse_token,
)
from oose.errors import BadInput, NotFound
from oose.media_types import extension_for, parse_media_type
from oose.metadata.records import InventoryRecord
from oose.moving.old_values import flag, moment, name, number, text
from oose.peer import Kind, Peer
from oose.purchases import Purchase
from oose.referrers import parse_referrers

PREFIX = "oose"
VERSION = "2"  # what an imported peer says until it has started
PORTS: Mapping[Kind, int] = {"prism": 5971, "store": 5972}

Why = Literal["expired", "unsized", "summary", "other"]
Body = Mapping[str, Any]


class NotUnderstood(Exception):
    """No use can be made of a document; the message says why."""


@frozen
class LeftOut:
    """A document that is not to be moved.

    `expired`: a purchase that is over. `unsized`: a record that does not say a size; with a wrong
    one the program would take uploads of the content for forgeries, so the sweep makes it from the
    file. `summary`: where content is, as early versions noted it beside the records of its clones.
    `other`: votes, sessions, designs and the like.
    """

    why: Why


Translated = Peer | InventoryRecord | Purchase | LeftOut


def translated(document_id: str, body: Body, now: int, prefix: str = PREFIX) -> Translated:
    """What an old document says; `NotUnderstood`. `now` is in ms since 1970."""
    beginning, _, rest = document_id.partition(":")
    kind, _, key = rest.partition(":")
    if beginning != prefix or not key:
        return LeftOut("other")
    if kind == "inventory":
        return clone(key, body, now)
    if kind == "purchase":
        return purchase(key, body, now)
    if kind in {"prism", "store"}:
        return peer("prism" if kind == "prism" else "store", key, body, now)
    return LeftOut("other")


def clone(key: str, body: Body, now: int) -> InventoryRecord | LeftOut:
    """The record of a clone; `key` is `<hash>:<prism>:<store>`."""
    parts = key.split(":")
    content_hash = hash_in(body, parts[0])
    if len(parts) == 1 and "store" not in body:
        return LeftOut("summary")
    prism = agreed("prism", body, parts[1] if len(parts) == 3 else None)
    store = agreed("store", body, parts[-1] if len(parts) > 1 else None)
    ext, path = place_of(content_hash, body)
    size = number(body.get("size"))
    if size is None:
        return LeftOut("unsized")
    verified = moment(body.get("verifiedAt"))
    return InventoryRecord(
        hash=content_hash,
        prism=prism,
        store=store,
        mime_type=parse_media_type(text(body.get("mimeType")) or "", ext),
        mime_extension=ext,
        relative_path=path,
        size=size,
        created=moment(body.get("createdAt")) or 0,
        verified=verified if verified is not None and verified <= now else None,
    )


def peer(kind: Kind, key: str, body: Body, now: int) -> Peer:
    """A prism or a store, not available until it says so itself.

    On which machine it will be is not known; whoever starts first under its name says so.
    """
    parts = key.split(":")
    own_name = agreed("name", body, parts[-1])
    prism = own_name
    if kind == "store":
        prism = agreed("prism", body, parts[0] if len(parts) == 2 else None)
    host = text(body.get("host"))
    if host is None:
        raise NotUnderstood("it does not say on which host it is")
    port = number(body.get("port")) or PORTS[kind]
    bracketed = f"[{host}]" if ":" in host else host
    return Peer(
        kind=kind,
        name=own_name,
        prism=prism,
        host=host,
        port=port,
        url=f"http://{bracketed}:{port}",
        group=text(body.get("group")) or "localgroup",
        machine="",
        version=VERSION,
        created=moment(body.get("createdAt")) or now,
        writable=flag(body.get("writable"), True),
        available=False,
        active=flag(body.get("active"), True),
    )


def purchase(key: str, body: Body, now: int) -> Purchase | LeftOut:
    """A purchase that is not over; `key` is its token."""
    expires = moment(body.get("expirationDate"))
    if expires is None:
        raise NotUnderstood("it does not say when it ends")
    if expires <= now:
        return LeftOut("expired")
    try:
        token = parse_token(key)
        ext = extension_in(body.get("ext")) or NO_EXTENSION
        referrers = parse_referrers(body.get("referrer"))
    except BadInput as error:
        raise NotUnderstood(error.message) from None
    life = number(body.get("life"))
    content_hash = hash_in(body, None)
    return Purchase(
        token, content_hash, ext, referrers, expires - now if life is None else life, expires
    )


# Fields.


def hash_in(body: Body, key: str | None) -> str:
    """The hash that the fields and the key say, both or one of them."""
    said = body.get("hash") or body.get("sha1") or key
    try:
        found = parse_hash(said)
        other = found if key is None else parse_hash(key)
    except BadInput as error:
        raise NotUnderstood(error.message) from None
    if found != other:
        raise NotUnderstood("its key and its fields name different content")
    return found


def agreed(field: str, body: Body, key: str | None) -> str:
    """A name that a field and the key say, both or one of them."""
    found = name(body.get(field) or key)
    if found is None:
        raise NotUnderstood(f"it does not say a {field} that a configuration could have")
    if key is not None and key != found:
        raise NotUnderstood(f"its key and its fields name a different {field}")
    return found


def place_of(content_hash: str, body: Body) -> tuple[str, str]:
    """Extension and path below `content`."""
    ext = extension_in(body.get("mimeExtension"))
    path = text(body.get("relativePath"))
    if path is not None:
        clean = path.replace("\\", "/").removeprefix("./").lstrip("/")
        try:
            found, path_ext = parse_relative_path(clean)
        except NotFound:
            pass
        else:
            if found != content_hash:
                raise NotUnderstood("its path is that of different content")
            return ext or path_ext, clean
    ext = ext or extension_for(text(body.get("mimeType")) or "") or NO_EXTENSION
    return ext, old_relative_path(content_hash, ext)


def extension_in(value: object) -> str | None:
    """An extension, with or without its dot."""
    try:
        return parse_extension(value)
    except BadInput:
        return None

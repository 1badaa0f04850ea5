"""Whether use can be made of an entry, before anything of it is believed."""

from collections.abc import Callable, Mapping

from oose.address import parse_hash, parse_relative_path
from oose.contents import Content
from oose.metadata.documents import Document
from oose.metadata.records import InventoryRecord
from oose.moving.entries import (
    ACCOUNT,
    PURCHASE,
    BadLine,
    Entry,
    as_account,
    as_purchase,
    is_flag,
    is_text,
    is_whole,
    need,
)
from oose.peer import Peer
from oose.usernames import check_username


def check_peer(found: Entry) -> None:
    """A prism or a store; nobody asks for what is called otherwise."""
    if not found.id.startswith(("prism:", "store:")):
        return
    peer = Peer.from_document(Document(found.id, "", found.body))
    for name in ("name", "host", "url", "group", "machine", "version"):
        need(found.body, name, is_text)
    for name in ("writable", "available", "active"):
        need(found.body, name, is_flag)
    need(found.body, "port", is_whole)
    need(found.body, "createdAt", is_whole)
    if peer.id != found.id:
        raise BadLine(f"{found.id} is not the id of {peer.id}")


def check_record(found: Entry) -> None:
    """A clone."""
    record = InventoryRecord.from_document(Document(found.id, "", found.body))
    for name in ("prism", "store", "mimeType", "mimeExtension"):
        need(found.body, name, is_text)
    need(found.body, "size", is_whole)
    need(found.body, "createdAt", is_whole)
    if record.verified is not None:
        need(found.body, "verifiedAt", is_whole)
    if record.sha256 is not None:
        need(found.body, "sha256", is_text)
    content_hash, _ = parse_relative_path(record.relative_path)
    if content_hash != record.hash or record.id != found.id:
        raise BadLine(f"{found.id} is not the id of what is in it")


def check_content(found: Entry) -> None:
    """Notes on content."""
    if parse_hash(found.id) != found.id:
        raise BadLine("its id is not a hash in small letters")
    content = Content.from_document(Document(found.id, "", found.body))
    if content.removed is not None:
        need(found.body, "removedAt", is_whole)
    if content.wanted is not None:
        need(found.body, "wanted", is_whole)
    if not isinstance(content.demand, dict):
        raise BadLine("its demand is none")


def check_vote(found: Entry) -> None:
    """A vote; nobody asks for what is called otherwise."""
    if not found.id.startswith("down:"):
        return
    for name in ("peer", "systemKey", "reason"):
        need(found.body, name, is_text)
    need(found.body, "timestamp", is_whole)


def check_purchase(found: Entry) -> None:
    """A purchase."""
    as_purchase(found)


def check_account(found: Entry) -> None:
    """An account."""
    check_username(found.id)
    as_account(found)


KIND_WORDS = {
    "peer": "a prism or a store",
    "inventory": "a record",
    "content": "a note on content",
    "heartbeat": "a vote",
    PURCHASE: "a purchase",
    ACCOUNT: "an account",
}
CHECKS: Mapping[str, Callable[[Entry], None]] = {
    "peer": check_peer,
    "inventory": check_record,
    "content": check_content,
    "heartbeat": check_vote,
    PURCHASE: check_purchase,
    ACCOUNT: check_account,
}

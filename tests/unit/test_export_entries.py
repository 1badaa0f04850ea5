"""The lines of an export: what they hold, and what is believed of them."""

import json
from io import BytesIO
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oose.embedded.account_rows import AccountRow
from oose.errors import BadInput
from oose.metadata.records import InventoryRecord
from oose.moving import export_file
from oose.moving.entries import (
    BadLine,
    End,
    Entry,
    Header,
    as_account,
    as_purchase,
    of_account,
    of_purchase,
)
from oose.moving.entry_reading import read
from oose.moving.export_file import ExportFile
from oose.peer import Peer
from oose.purchases import Purchase
from oose.votes import Vote

HASH = "a03f181dc7dedcfb577511149b8844711efdb04f"
RECORD = InventoryRecord(HASH, "p1", "s1", "video/mp4", "mp4", f"a0/3f/{HASH}.mp4", 5, 7)
PEER = Peer("store", "s1", "p1", "h", 2, "http://h:2", "a", "m1", "3", 0)
PURCHASE = Purchase("t" * 64, HASH, "mp4", ("a.com", "*"), 7, 9)
ACCOUNT = AccountRow("anna", "$argon2id$v=19$...", True, 5)
VOTE = Vote("store:p1:s1", "prism:p1", "silent", 7)
ENTRIES = [
    Entry("peer", PEER.id, PEER.to_body()),
    Entry("inventory", RECORD.id, {**RECORD.to_body(), "sha256": "ab", "verifiedAt": 8}),
    Entry("content", HASH, {"removedAt": 5, "wanted": 3, "protected": True, "demand": {"p1": {}}}),
    Entry("content", HASH[::-1], {"protected": True}),
    Entry("heartbeat", VOTE.id, VOTE.to_body()),
    Entry("peer", "something else", {"a": 1}),
    Entry("heartbeat", "something else", {"a": 1}),
    of_purchase(PURCHASE),
    of_account(ACCOUNT),
]
HEADER = Header("3.0.0", 5, {"peer": 2})


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.kind} {entry.id[:9]}")
def test_an_entry_comes_back_as_it_went(entry: Entry) -> None:
    line = entry.to_line()
    assert line.count("\n") == 1
    assert read(line.encode()) == entry


def test_the_first_line_and_the_last_come_back() -> None:
    assert read(HEADER.to_line().encode()) == HEADER
    assert read(End({"peer": 2}).to_line().encode()) == End({"peer": 2})
    assert as_purchase(ENTRIES[7]) == PURCHASE
    assert as_account(ENTRIES[8]) == ACCOUNT


def without(entry: Entry, *names: str, **more: Any) -> bytes:
    body = {name: each for name, each in entry.body.items() if name not in names}
    return Entry(entry.kind, entry.id, {**body, **more}).to_line().encode()


BAD: list[tuple[bytes, str]] = [
    (b"", "not JSON"),
    (b"{", "not JSON"),
    (b'{"in": "peer", "x": "\xff"}', "not JSON"),
    (b"[" * 100_000, "not JSON"),
    (b'{"in": "peer", "id": "a", "body": {"x": NaN}}', "not JSON"),
    (b"[]", "not a line of an export"),
    (b"{}", "in which of peer, inventory"),
    (b'{"in": "sessions", "id": "a", "body": {}}', "in which of"),
    (b'{"in": ["peer"], "id": "a", "body": {}}', "in which of"),
    (b'{"in": "peer", "id": "", "body": {}}', "no id"),
    (b'{"in": "peer", "id": "_design/x", "body": {}}', "no id"),
    (b'{"in": "peer", "id": "a", "body": []}', "no body"),
    (b'{"in": "peer", "id": "a", "body": {"_rev": "1"}}', "no body"),
    (b'{"in": "peer", "id": "a", "body": {"x": "\\ud800"}}', "half a letter"),
    (b'{"oose": "export", "format": 2, "at": 1, "counts": {}}', "format 1"),
    (b'{"oose": "something", "counts": {}}', "format 1"),
    (b'{"oose": "end", "counts": {"peer": "x"}}', "counts"),
    (b'{"oose": "end"}', "counts"),
    (b'{"oose": "export", "format": 1, "at": "x", "counts": {}}', "its at is none"),
    (without(ENTRIES[0], "url"), "lacks something that a prism or a store has"),
    (without(ENTRIES[0], active="yes"), "its active is none"),
    (without(ENTRIES[0], host=5), "its host is none"),
    (without(ENTRIES[0], port=-1), "its port is none"),
    (without(ENTRIES[0], name="s2"), "is not the id of store:p1:s2"),
    (without(ENTRIES[1], "size"), "lacks something that a record has"),
    (without(ENTRIES[1], size=True), "its size is none"),
    (without(ENTRIES[1], verifiedAt="x"), "its verifiedAt is none"),
    (without(ENTRIES[1], sha256=5), "its sha256 is none"),
    (without(ENTRIES[1], relativePath="/etc/passwd"), "nothing at this path"),
    (without(ENTRIES[1], relativePath=5), "lacks something"),
    (without(ENTRIES[1], store="s2"), "is not the id"),
    (Entry("content", HASH.upper(), {}).to_line().encode(), "small letters"),
    (Entry("content", "x", {}).to_line().encode(), "is not a hash"),
    (without(ENTRIES[2], removedAt="x"), "its removedAt is none"),
    (without(ENTRIES[2], wanted=-1), "its wanted is none"),
    (without(ENTRIES[2], demand=5), "its demand is none"),
    (without(ENTRIES[4], "peer"), "its peer is none"),
    (without(ENTRIES[7], referrer="a.com"), "its referrer is none"),
    (without(ENTRIES[7], referrer=[5]), "its referrer is none"),
    (without(ENTRIES[7], "life"), "its life is none"),
    (without(ENTRIES[7], ext="/"), "is not a file extension"),
    (Entry("purchase", "x", ENTRIES[7].body).to_line().encode(), "not a token"),
    (Entry("account", "a b", ENTRIES[8].body).to_line().encode(), "A user's name"),
    (without(ENTRIES[8], password="secret"), "no hash"),
    (without(ENTRIES[8], "enabled"), "its enabled is none"),
]


@pytest.mark.parametrize(("line", "why"), BAD, ids=[why for _, why in BAD])
def test_a_line_that_makes_no_sense_is_refused(line: bytes, why: str) -> None:
    with pytest.raises(BadLine, match=why):
        read(line)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(), each, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(ENTRIES), st.data())
@example(ENTRIES[2], None)
def test_whatever_is_in_a_field_it_is_usable_or_refused(entry: Entry, data: Any) -> None:
    body = dict(entry.body)
    if data is not None:
        body[data.draw(st.sampled_from(list(body)))] = data.draw(json_values)
    try:
        found = read(Entry(entry.kind, entry.id, body).to_line().encode())
    except BadLine:
        return
    assert isinstance(found, Entry)
    if found.kind == "purchase":
        as_purchase(found)
    elif found.kind == "account":
        as_account(found)


# Files.


def file_of(*lines: bytes) -> ExportFile:
    return ExportFile(BytesIO(b"".join(lines)))


def encoded(*marks: Header | Entry | End) -> list[bytes]:
    return [each.to_line().encode() for each in marks]


def test_a_file_is_read_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_file, "BATCH", 3)
    lines = encoded(HEADER, *ENTRIES, End({"peer": 9}))
    file = file_of(*lines)
    assert file.header() == HEADER
    batches = list(file.batches())
    assert [len(each.entries) for each in batches] == [3, 3, 3, 0]
    assert [entry for each in batches for entry in each.entries] == ENTRIES
    assert not any(each.failures for each in batches)
    assert batches[-1].passed == sum(map(len, lines))


def failures_of(*lines: bytes) -> list[tuple[str, str]]:
    file = file_of(*encoded(HEADER), *lines)
    file.header()
    return [each for batch in file.batches() for each in batch.failures]


def test_lines_that_make_no_sense_are_named_and_the_others_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(export_file, "LONGEST", 1000)
    one, last = encoded(ENTRIES[0], End({"peer": 4}))
    found = failures_of(b"nonsense\n", one, b"x" * 5000 + b"\n", *encoded(HEADER), last)
    assert [which for which, _ in found] == ["line 2", "line 4", "line 5"]
    assert ["JSON" in found[0][1], "too long" in found[1][1], "another" in found[2][1]] == [
        True
    ] * 3


def test_a_file_that_is_cut_off_or_mended_is_told() -> None:
    one, end = encoded(ENTRIES[0], End({"peer": 1}))
    assert failures_of(one, end) == []
    [(where, why)] = failures_of(one)
    assert (where, "cut off" in why) == ("line 2", True)
    [(_, why)] = failures_of(one, one[: len(one) // 2])[1:]
    assert "cut off" in why
    [(where, why)] = failures_of(end)
    assert "1 lines, of which not all are here" in why
    assert ("line 4", "it comes after the last line") in failures_of(one, end, one)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([], "it is empty"),
        ([b"nonsense\n"], "not JSON"),
        (encoded(ENTRIES[0]), "does not say so"),
        ([b'{"oose": "export", "format": 9, "counts": {}}'], "format 1"),
    ],
)
def test_what_is_no_export_is_refused(lines: list[bytes], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        file_of(*lines).header()


def test_numbers_beyond_all_sense_are_refused() -> None:
    line = json.dumps(
        {"in": "inventory", "id": RECORD.id, "body": {**RECORD.to_body(), "size": 2**63}}
    )
    with pytest.raises(BadLine, match="its size is none"):
        read(line.encode())

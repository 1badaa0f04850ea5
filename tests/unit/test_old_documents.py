"""Documents of 2.0.x, as today's program has them."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oose.address import old_relative_path, parse_relative_path, relative_path
from oose.metadata.documents import Document
from oose.metadata.records import InventoryRecord
from oose.moving import old_values
from oose.moving.old_documents import LeftOut, NotUnderstood, translated
from oose.peer import Peer
from oose.purchases import Purchase
from tests import generated_2x
from tests.generated_2x import NOW, Old, damaged, everything

HASH = "a03f181dc7dedcfb577511149b8844711efdb04f"
TOKEN = "t" * 64
CLONE = f"oose:inventory:{HASH}:prism1:store1"
FULL = {
    "hash": HASH,
    "prism": "prism1",
    "store": "store1",
    "mimeType": "video/mp4",
    "mimeExtension": "mp4",
    "relativePath": old_relative_path(HASH, "mp4"),
    "size": 12,
    "createdAt": 5,
}


def clone(body: dict[str, Any], key: str = CLONE) -> InventoryRecord:
    found = translated(key, body, NOW)
    assert isinstance(found, InventoryRecord)
    return found


def a_peer(key: str, body: dict[str, Any]) -> Peer:
    found = translated(key, body, NOW)
    assert isinstance(found, Peer)
    return found


def reason(key: str, body: dict[str, Any]) -> str:
    with pytest.raises(NotUnderstood) as caught:
        translated(key, body, NOW)
    return str(caught.value)


# Records.


def test_a_whole_record_is_taken_as_it_is() -> None:
    assert clone(FULL) == InventoryRecord(
        hash=HASH,
        prism="prism1",
        store="store1",
        mime_type="video/mp4",
        mime_extension="mp4",
        relative_path=old_relative_path(HASH, "mp4"),
        size=12,
        created=5,
    )


def test_a_key_and_a_size_are_enough() -> None:
    record = clone({"size": 1})
    assert (record.hash, record.place) == (HASH, "prism1:store1")
    assert record.mime_extension == "bin"
    assert record.relative_path == old_relative_path(HASH, "bin")
    assert record.created == 0


def test_what_is_missing_comes_from_what_is_there() -> None:
    assert clone({"size": 1, "mimeType": "video/mp4"}).mime_extension == "mp4"
    assert clone({"size": 1, "mimeExtension": ".MP4"}).mime_type == "video/mp4"
    found = clone({"size": 1, "relativePath": old_relative_path(HASH, "mkv")})
    assert (found.mime_extension, found.mime_type) == ("mkv", "video/x-matroska")


def test_paths_are_taken_in_either_form_and_made_where_they_are_none() -> None:
    new = relative_path(HASH, "mp4")
    assert clone({**FULL, "relativePath": new}).relative_path == new
    backwards = "./" + old_relative_path(HASH, "mp4").replace("/", "\\")
    assert clone({**FULL, "relativePath": backwards}).relative_path == FULL["relativePath"]
    assert clone({**FULL, "relativePath": "/etc/passwd"}).relative_path == FULL["relativePath"]


def test_numbers_may_be_text_and_times_dates() -> None:
    body = {**FULL, "size": " 77 ", "createdAt": "2016-02-01T12:00:00.000Z", "verifiedAt": "9"}
    record = clone(body)
    assert (record.size, record.created, record.verified) == (77, 1_454_328_000_000, 9)
    assert clone({**FULL, "createdAt": "2016-02-01 12:00"}).created == 1_454_328_000_000
    assert clone({**FULL, "createdAt": 5.5}).created == 5


def test_a_verification_in_the_future_was_none() -> None:
    assert clone({**FULL, "verifiedAt": NOW + 1}).verified is None
    assert clone({**FULL, "verifiedAt": "soon"}).verified is None


def test_an_early_key_has_no_prism() -> None:
    record = clone({"prism": "p1", "size": 1}, f"oose:inventory:{HASH}:s1")
    assert record.place == "p1:s1"
    assert "prism" in reason(f"oose:inventory:{HASH}:s1", {"size": 1})


def test_a_record_without_a_size_is_left_to_the_sweep() -> None:
    for size in (None, "", "many", -1, 2**60, True, float("nan"), "٣", "9" * 400):
        assert translated(CLONE, {**FULL, "size": size}, NOW) == LeftOut("unsized")


def test_where_early_versions_noted_all_places_there_is_no_clone() -> None:
    body = {"exists": ["prism1:store1"]}
    assert translated(f"oose:inventory:{HASH}", body, NOW) == LeftOut("summary")


def test_contradictions_are_not_understood() -> None:
    other = HASH[::-1]
    assert "different content" in reason(CLONE, {**FULL, "hash": other})
    assert "different content" in reason(CLONE, {**FULL, "relativePath": relative_path(other, "x")})
    assert "different store" in reason(CLONE, {**FULL, "store": "store2"})
    assert "not a hash" in reason("oose:inventory:xyz:p:s", {"size": 1})
    assert "not a hash" in reason(CLONE, {**FULL, "hash": 5})
    assert "prism" in reason(CLONE, {**FULL, "prism": "a:b"})


# Peers.


def test_a_store_is_imported_as_not_available() -> None:
    body = {"host": "10.0.0.1", "port": "6000", "active": False, "writable": "false", "group": "g"}
    assert a_peer("oose:store:p1:s1", body) == Peer(
        kind="store",
        name="s1",
        prism="p1",
        host="10.0.0.1",
        port=6000,
        url="http://10.0.0.1:6000",
        group="g",
        machine="",
        version="2",
        created=NOW,
        writable=False,
        available=False,
        active=False,
    )


def test_a_prism_needs_no_more_than_its_host() -> None:
    found = a_peer("oose:prism:p1", {"host": "fd00::1", "active": None})
    assert (found.id, found.url, found.group) == ("prism:p1", "http://[fd00::1]:5971", "localgroup")
    assert found.active
    assert found.writable
    assert "host" in reason("oose:prism:p1", {"name": "p1"})


def test_a_store_under_an_early_key_says_its_prism() -> None:
    assert a_peer("oose:store:s1", {"host": "h", "prism": "p1"}).id == "store:p1:s1"
    assert "prism" in reason("oose:store:s1", {"host": "h"})


# Purchases.

SOLD = {"hash": HASH, "ext": "mp4", "life": 7, "expirationDate": NOW + 9, "referrer": "a.com,b.com"}


def test_a_purchase_that_is_not_over_is_taken() -> None:
    found = translated(f"oose:purchase:{TOKEN}", SOLD, NOW)
    assert found == Purchase(TOKEN, HASH, "mp4", ("a.com", "b.com"), 7, NOW + 9)
    del (bare := dict(SOLD))["life"], bare["ext"]
    found = translated(f"oose:purchase:{TOKEN}", bare, NOW)
    assert found == Purchase(TOKEN, HASH, "bin", ("a.com", "b.com"), 9, NOW + 9)


def test_one_that_is_over_is_left_out() -> None:
    body = {**SOLD, "expirationDate": NOW}
    assert translated(f"oose:purchase:{TOKEN}", body, NOW) == LeftOut("expired")


def test_one_that_opens_nothing_is_not_understood() -> None:
    assert "token" in reason("oose:purchase:short", SOLD)
    assert "referrer" in reason(f"oose:purchase:{TOKEN}", {**SOLD, "referrer": None})
    assert "when it ends" in reason(f"oose:purchase:{TOKEN}", {**SOLD, "expirationDate": "x"})
    assert "not a hash" in reason(f"oose:purchase:{TOKEN}", {**SOLD, "hash": None})


# All of it.


@pytest.mark.parametrize(
    "key", ["oose:downvote:a:b", "_design/peer", "oose:inventory:", "other:prism:p", "x", "oose"]
)
def test_what_is_something_else_is_left_where_it_is(key: str) -> None:
    assert translated(key, {}, NOW) == LeftOut("other")


def test_another_prefix_may_be_said() -> None:
    assert isinstance(translated("films:prism:p", {"host": "h"}, NOW, "films"), Peer)


def test_what_the_generator_makes_is_understood() -> None:
    found = [translated(each.id, each.body, NOW) for each in everything(400)]
    clones = [each for each in found if isinstance(each, InventoryRecord)]
    assert len({each.id for each in clones}) == 800
    assert sum(isinstance(each, Peer) for each in found) == 8
    assert sum(isinstance(each, Purchase) for each in found) == 50
    assert found.count(LeftOut("expired")) == 50
    assert found.count(LeftOut("summary")) == 1
    assert found.count(LeftOut("other")) == 3
    refused = 0
    for each in damaged():
        try:
            assert translated(each.id, each.body, NOW) == LeftOut("unsized")
        except NotUnderstood:
            refused += 1
    assert refused == 2


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(), each, max_size=3),
    max_leaves=5,
)
FIELDS = (*FULL, *SOLD, "name", "host", "port", "sha1", "verifiedAt", "active", "exists")
hashes = st.sampled_from([HASH, HASH.upper(), "ab" * 32, "x", ""])
values = json_values | st.sampled_from([*FULL.values(), *SOLD.values()]) | hashes
parts = st.sampled_from(["p", "s", "", HASH, TOKEN]) | st.text(max_size=5)
keys = st.builds(
    lambda kind, some: ":".join(["oose", kind, *some]),
    st.sampled_from(["inventory", "prism", "store", "purchase", "x"]),
    st.lists(parts, max_size=4),
)


@given(keys, st.dictionaries(st.sampled_from(FIELDS), values))
@example(CLONE, FULL)
@example("oose:store:p:s", {"host": "h"})
@example(f"oose:purchase:{TOKEN}", SOLD)
def test_whatever_it_is_it_is_usable_or_refused(key: str, body: dict[str, Any]) -> None:
    try:
        found = translated(key, body, NOW)
    except NotUnderstood:
        return
    if isinstance(found, InventoryRecord):
        assert parse_relative_path(found.relative_path)[0] == found.hash
        kept = json.loads(json.dumps(found.to_body()))
        assert InventoryRecord.from_document(Document(found.id, "1-x", kept)) == found
        found.id.encode()
    elif isinstance(found, Peer):
        kept = json.loads(json.dumps(found.to_body()))
        assert Peer.from_document(Document(found.id, "1-x", kept)) == found
        assert not found.counts
    elif isinstance(found, Purchase):
        assert found.expires > NOW
        assert found.referrers


@given(st.integers(0, old_values.LAST_MOMENT))
def test_a_moment_is_the_same_however_it_is_said(at: int) -> None:
    assert old_values.moment(at) == old_values.moment(str(at)) == old_values.moment(float(at)) == at


def test_flags_are_said_in_many_ways() -> None:
    assert old_values.flag("True", False)
    assert old_values.flag(1, False)
    assert not old_values.flag("0", True)
    assert old_values.flag("perhaps", True)
    assert not old_values.flag(None, False)


def test_times_before_all_and_after_all_are_none() -> None:
    assert old_values.moment("1960-01-01T00:00:00Z") is None
    assert old_values.moment(old_values.LAST_MOMENT + 1) is None
    assert old_values.moment([]) is None


def test_the_generator_knows_how_much_it_makes() -> None:
    assert Old("a", {"b": 1}).as_document() == {"_id": "a", "b": 1}
    for count in (0, 1, 4, 9):
        made = list(everything(count))
        assert len(made) == generated_2x.keys(count)

"""What an operator does by hand with the content of a cluster."""

import os

import pytest

from tests.probe.client import Client, Refused
from tests.probe.load import under_load
from tests.probe.running import SOON, within
from tests.probe.tended import Tended, eventually, place_of, view


def test_a_store_is_emptied_under_load_before_its_disk_is_pulled(
    tended: Tended, client: Client
) -> None:
    place, url = place_of("store2"), tended.cluster.url("store2")
    with under_load(client, tended.settled("prism2")) as load:

        def has_some() -> None:
            assert sum(place in places for places in tended.places().values()) >= 10

        within(SOON, has_some)
        code, said = tended.oose("store", "drain", "store2")
        assert code == 0, said
        assert [each for each in tended.on_disks() if each.place == place] == []
        assert [each for each in tended.documents() if each.endswith(place)] == []
        within(SOON, load.goes_on())
    assert [each for each in load.refused if " 503 " not in each] == []
    # A viewer may be on the way to a clone while it goes.
    assert [each for each in load.refused_viewers if " from " + url not in each] == []
    eventually(lambda: tended.is_settled(load.uploaded))
    for content_hash, data in load.uploaded.items():
        assert client.download(content_hash) == data
    assert [each for each in tended.documents() if each.endswith(place)] == []
    assert tended.oose("peer", "writable", "store2")[0] == 0


def test_as_many_clones_as_are_wished_for_are_there(tended: Tended, client: Client) -> None:
    data = os.urandom(100_000)
    content_hash = within(SOON, lambda: client.upload(data))["hash"]
    code, said = tended.oose("clones", "set", "3", "--hash", content_hash)
    assert code == 0, said
    eventually(lambda: tended.is_settled([content_hash], 3))
    off = min(tended.places()[content_hash])
    code, said = tended.oose("clones", "off", off, "--hash", content_hash)
    assert code == 0, said
    assert off not in tended.places()[content_hash]
    tended.has([content_hash], 3)
    code, said = tended.oose("clones", "set", "usual", "--hash", content_hash)
    assert code == 0, said
    eventually(lambda: tended.is_settled([content_hash]))
    assert view(client, content_hash) == data


def test_what_is_protected_stays_until_it_is_not(tended: Tended, client: Client) -> None:
    data = os.urandom(100_000)
    content_hash = within(SOON, lambda: client.upload(data))["hash"]
    assert tended.oose("protect", content_hash)[0] == 0
    assert tended.oose("remove", "--yes", content_hash)[0] == 3
    tended.is_settled([content_hash])
    assert view(client, content_hash) == data
    assert tended.oose("protect", "--no", content_hash)[0] == 0
    code, said = tended.oose("remove", "--yes", content_hash)
    assert code == 0
    assert [each["removed"] for each in said["removed"]] == [2]
    for prism in (client, tended.stranger("prism2")):
        with pytest.raises(Refused, match="404"):
            view(prism, content_hash)
    assert content_hash not in tended.places()
    tended.agrees()

from pathlib import PurePosixPath
from typing import Any

import pytest

from oose.installing import layout
from oose.installing.configuring import Names, checked
from oose.installing.rooms import (
    Asked,
    label_of,
    next_port,
    prism_names,
    store_names,
    stores_in,
    with_store,
)
from oose.installing.runner import Refused

DISK = PurePosixPath("/media/om101")
SECRET = "a-password-made-for-the-cluster"
NOTHING = Asked()
CLUSTER = Asked(
    couchdb_url="https://couchdb:6984", redis_url="redis://redis:6379", listen="127.0.0.1"
)


def prism(before: Names | None = None, asked: Asked = NOTHING) -> Names:
    return prism_names(before or {}, asked, "Media7.example.org", SECRET)


def stores(names: Names) -> list[tuple[str, str, int]]:
    return [(each["name"], each["root"], each["port"]) for each in stores_in(names)]


def test_a_prism_alone_says_little() -> None:
    assert prism() == {
        "machine": "Media7.example.org",
        "root": "/var/lib/oose/prism",
        "prism": {"enabled": True, "name": "prism1"},
    }


def test_what_was_said_before_stays() -> None:
    before: Names = {
        "machine": "m",
        "root": "/srv/oose",
        "prism": {"name": "p", "port": 80, "max_upload": "1GB", "enabled": False},
        "clones": {"minimum": 1},
    }
    assert prism(before) == {**before, "prism": {**before["prism"], "enabled": True}}


def test_what_is_asked_for_overrules_what_was_said() -> None:
    asked = Asked(
        name="p2",
        machine="m2",
        group="g2",
        domain="example.org",
        listen="0.0.0.0",
        port=81,
        url="https://example.org",
        pem="auto",
        verify="/etc/ca.pem",
        insecure=True,
    )
    assert prism({"machine": "m", "prism": {"name": "p"}}, asked) == {
        "machine": "m2",
        "group": "g2",
        "domain": "example.org",
        "ssl": {"pem": "auto", "verify": "/etc/ca.pem"},
        "insecure": True,
        "root": "/var/lib/oose/prism",
        "prism": {
            "name": "p2",
            "enabled": True,
            "listen": "0.0.0.0",
            "port": 81,
            "url": "https://example.org",
        },
    }


def test_a_clusters_prism_is_named_for_its_machine_and_known_by_the_password() -> None:
    names = prism(asked=CLUSTER)
    account = {"username": "oose", "password": SECRET}
    assert names["couchdb"] == {"url": "https://couchdb:6984", **account}
    assert names["redis"] == {"url": "redis://redis:6379"}
    assert names["prism"] == {
        "enabled": True,
        **account,
        "listen": "127.0.0.1",
        "name": "media7",
    }
    assert checked(names, layout.PRISM).is_cluster
    assert prism(names) == names


def test_a_password_that_is_said_counts_for_every_room() -> None:
    before = prism(asked=CLUSTER)
    before = with_store(before, DISK, Asked(), [], SECRET)
    names = prism(before, Asked(password="another-password-of-it", redis_password="r"))
    everywhere = [names["prism"], names["couchdb"], *names["store"]]
    assert {each["password"] for each in everywhere} == {"another-password-of-it"}
    assert names["redis"]["password"] == "r"
    checked(names, layout.PRISM)
    again = store_names(
        {}, {"couchdb": names["couchdb"], "redis": names["redis"]}, DISK, Asked(password="c" * 16,
        listen="127.0.0.1"), host="h", taken=[], password="",
    )  # fmt: skip
    assert again["couchdb"]["password"] == again["store"][0]["password"] == "c" * 16


def test_credentials_in_couchdbs_url_stay_there() -> None:
    asked = Asked(couchdb_url="https://o:p@couchdb", redis_url="redis://r", listen="127.0.0.1")
    assert prism(asked=asked)["couchdb"] == {"url": "https://o:p@couchdb"}


def test_sentinels_take_the_place_of_a_server_and_back() -> None:
    asked = Asked(sentinels=("a:1", "b:2"), service="oose")
    names = prism(prism(asked=CLUSTER), asked)
    assert names["redis"] == {"service": "oose", "sentinels": ["a:1", "b:2"]}
    checked(names, layout.PRISM)
    names = prism(names, Asked(redis_url="redis://r"))
    assert names["redis"] == {"service": "oose", "url": "redis://r"}


def test_peers_are_reached_over_tls_or_not_at_all() -> None:
    asked = Asked(couchdb_url="https://couchdb:6984", redis_url="redis://redis:6379")
    with pytest.raises(Refused, match="the prism would be reached from other machines without TLS"):
        prism(asked=asked)
    names = prism(asked=Asked(couchdb_url="https://c", redis_url="redis://r", pem="auto"))
    assert names["prism"]["listen"] == "0.0.0.0"
    checked(names, layout.PRISM)
    checked(prism(asked=Asked(listen="0.0.0.0", insecure=True)), layout.PRISM)


@pytest.mark.parametrize(
    ("host", "label"),
    [("media7", "media7"), ("Media_7.example.org", "media-7"), ("-a-", "a"), ("x" * 70, "x" * 63)],
)
def test_a_machines_name_makes_a_label(host: str, label: str) -> None:
    assert label_of(host) == label


def test_a_store_joins_those_that_there_are() -> None:
    names = with_store(prism(), DISK, Asked(), [], "")
    assert names["store"] == [
        {"name": "om101", "root": "/media/om101", "port": 5972, "enabled": True}
    ]
    names = with_store(names, PurePosixPath("/media/om102"), Asked(), [5971, 5972], "")
    assert stores(names) == [("om101", "/media/om101", 5972), ("om102", "/media/om102", 5973)]
    assert len(checked(names, layout.PRISM).stores) == 2
    assert with_store(names, DISK, Asked(), [5972, 5973], "") == names
    changed = with_store(names, DISK, Asked(port=6000), [5972, 5973], "")
    assert stores(changed)[0] == ("om101", "/media/om101", 6000)


def test_a_store_listens_where_its_prism_does() -> None:
    names = prism(asked=Asked(listen="0.0.0.0", pem="auto"))
    assert with_store(names, DISK, Asked(), [], "")["store"][0]["listen"] == "0.0.0.0"
    other = with_store(names, DISK, Asked(listen="127.0.0.1"), [], "")
    assert other["store"][0]["listen"] == "127.0.0.1"


def test_stores_without_names_are_given_those_that_they_have() -> None:
    names: dict[str, Any] = {"root": "/srv/oose", "store": {"enabled": True}}
    assert stores(names) == [("store1", "/srv/oose/store1", 5972)]
    names = with_store(names, DISK, Asked(name="om101"), [5972], "")
    assert stores(names) == [
        ("store1", "/srv/oose/store1", 5972),
        ("om101", "/media/om101", 5973),
    ]
    assert stores({"store": [{}, {"name": "b"}]}) == [
        ("store1", "data/store1", 5972),
        ("b", "data/b", 5973),
    ]


def test_a_store_keeps_its_name_and_its_disk() -> None:
    names = with_store(prism(), DISK, Asked(), [], "")
    with pytest.raises(Refused, match="has the store om101 at /media/om101"):
        with_store(names, DISK, Asked(name="other"), [], "")
    with pytest.raises(Refused, match="has the store om101 at /media/om101"):
        with_store(names, PurePosixPath("/media/om9"), Asked(name="om101"), [], "")


def test_ports_run_out_of_nobodys_way() -> None:
    assert next_port([]) == 5972
    assert next_port([5973, 5972, 80]) == 5974


def test_a_store_of_its_own_is_in_the_cluster_of_its_machine() -> None:
    pattern = {**prism(asked=CLUSTER), "group": "a", "clones": {"minimum": 3}}
    names = store_names(
        {}, pattern, DISK, Asked(listen="127.0.0.1"), host="h", taken=[5972], password=SECRET
    )
    assert names == {
        "machine": "Media7.example.org",
        "couchdb": pattern["couchdb"],
        "redis": pattern["redis"],
        "group": "a",
        "clones": {"minimum": 3},
        "root": "/var/lib/oose/store/om101",
        "store": [
            {
                "name": "om101",
                "root": "/media/om101",
                "port": 5973,
                "enabled": True,
                "username": "oose",
                "password": SECRET,
                "listen": "127.0.0.1",
            }
        ],
    }
    again = store_names(names, pattern, DISK, Asked(), host="h", taken=[5973], password=SECRET)
    assert again == names

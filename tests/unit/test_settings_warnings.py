from pathlib import Path

import pytest
from attrs import evolve

from oose.settings import PrismSettings, Settings, StoreSettings, Tls, warnings
from oose.settings.reader import check, read
from oose.settings.warnings import exposures, is_loopback, rooms_of

PRISM = PrismSettings(enabled=True)
STORE = StoreSettings(Path("/data/store1"))


def settings(prism: PrismSettings = PRISM, ssl: Tls | None = None) -> Settings:
    return evolve(check({"prism": {"enabled": True}}, None), prism=prism, ssl=ssl)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_loopback_is_heard_here_only(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", "localhost.org"])
def test_everything_else_is_heard_elsewhere(host: str) -> None:
    assert not is_loopback(host)


def test_only_rooms_that_run_are_looked_at() -> None:
    assert rooms_of(PRISM, [STORE]) == [("prism", PRISM), ("store store1", STORE)]
    assert rooms_of(PrismSettings(), []) == []


def test_what_listens_here_only_is_in_no_danger() -> None:
    assert exposures([("prism", evolve(PRISM, password="short"))], tls=False) == []


def test_what_is_heard_elsewhere_needs_ssl_and_a_long_password() -> None:
    short = evolve(PRISM, listen="::", password="x" * 15)
    long = evolve(STORE, listen="0.0.0.0", password="x" * 16)
    none = evolve(STORE, name="store2", listen="0.0.0.0")
    rooms: list[tuple[str, PrismSettings | StoreSettings]] = [
        ("prism", short),
        ("store store1", long),
        ("store store2", none),
    ]
    password = ("prism.password", "shorter than 16 characters and reached from elsewhere")
    assert exposures(rooms, tls=True) == [password]
    assert exposures(rooms, tls=False) == [
        ("prism.listen", ":: is reached from elsewhere without ssl"),
        password,
        ("store store1.listen", "0.0.0.0 is reached from elsewhere without ssl"),
        ("store store2.listen", "0.0.0.0 is reached from elsewhere without ssl"),
    ]


def test_a_safe_configuration_has_no_warnings() -> None:
    assert warnings(settings()) == []
    assert warnings(settings(evolve(PRISM, listen="::"), Tls("auto"))) == []


def found_in(**names: object) -> list[str]:
    given = {"prism": {"enabled": True}, "store": {"enabled": True}, **names}
    return list(warnings(check(given, None)))


def test_fewer_stores_than_clones_are_said_once_at_the_start() -> None:
    assert warnings(read(None)) == []
    assert found_in() == [
        "clones.minimum: 2 for 1 store: uploads have fewer clones",
    ]
    assert found_in(clones={"minimum": 1}) == []
    assert found_in(clones={"accept_fewer": False}) == [
        "clones.minimum: 2 for 1 store: uploads are refused",
    ]
    two = [{"enabled": True}, {"enabled": True}]
    assert found_in(store=two) == []
    assert found_in(store=two, clones={"minimum": 3}) == [
        "clones.minimum: 3 for 2 stores: uploads have fewer clones",
    ]
    room = {"enabled": True, "username": "u", "password": "p" * 16}
    cluster = {"url": "http://x", "username": "u", "password": "p"}
    redis = {"url": "redis://x"}
    assert found_in(prism=room, store=room, couchdb=cluster, redis=redis) == []


def test_what_has_no_effect_is_said() -> None:
    ineffective = {
        "heartbeat": {"frequency": 9, "retries": 3, "enabled": True},
        "inventory": {"driver": "unix"},
        "clones": {"minimum": 1, "maximum": 3},
    }
    assert found_in(**ineffective) == [
        "heartbeat.enabled: has no effect without a cluster",
        "heartbeat.retries: has no effect without a cluster",
    ]


def test_what_is_insecure_is_said() -> None:
    exposed = evolve(PRISM, listen="0.0.0.0")
    line = "insecure: prism.listen: 0.0.0.0 is reached from elsewhere without ssl"
    assert warnings(settings(exposed)) == [line]
    assert warnings(settings(exposed, Tls(verify=False))) == [
        line,
        "insecure: ssl.verify: certificates of peers are not verified",
    ]

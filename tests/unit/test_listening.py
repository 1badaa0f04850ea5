"""Which room gets which socket."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from attrs import define

from oose.listening import CannotListen, bind_all
from oose.settings import PrismSettings, StoreSettings
from oose.systemd.inherited import Inherited


@define
class Systemd:
    """Listens, as its units say."""

    stack: ExitStack

    def listen(self, name: str, host: str = "127.0.0.1") -> Inherited:
        return Inherited(name, self.stack.enter_context(socket.create_server((host, 0))))


@pytest.fixture
def systemd() -> Iterator[Systemd]:
    with ExitStack() as stack:
        yield Systemd(stack)


def store(port: int = 0, name: str = "store1", listen: str = "127.0.0.1") -> StoreSettings:
    return StoreSettings(Path("/none"), name, port=port, listen=listen)


def test_a_room_takes_the_socket_of_its_name_wherever_that_listens(systemd: Systemd) -> None:
    given = systemd.listen("store1")
    [bound] = bind_all([store()], [given])
    assert (bound.socket, bound.port, bound.listens) == (given.socket, given.address[1], True)


@pytest.mark.parametrize("listen", ["127.0.0.1", "localhost"])
def test_a_room_takes_the_socket_of_its_address(systemd: Systemd, listen: str) -> None:
    one, two = systemd.listen("x.socket"), systemd.listen("x.socket")
    rooms: list[PrismSettings | StoreSettings] = [
        store(two.address[1], listen=listen),
        PrismSettings(port=one.address[1]),
    ]
    assert [each.socket for each in bind_all(rooms, [one, two])] == [two.socket, one.socket]


def test_a_name_counts_for_more_than_an_address_and_both_for_most(systemd: Systemd) -> None:
    one, two = systemd.listen("b"), systemd.listen("a")
    rooms = [store(one.address[1], "a"), store(two.address[1], "b")]
    assert [each.socket for each in bind_all(rooms, [one, two])] == [two.socket, one.socket]
    one, two = systemd.listen("a"), systemd.listen("a")
    rooms = [store(two.address[1], "a"), store(one.address[1], "a")]
    assert [each.socket for each in bind_all(rooms, [one, two])] == [two.socket, one.socket]


def test_a_room_for_which_there_is_none_binds_its_own(systemd: Systemd) -> None:
    given = systemd.listen("store1")
    first, second = bind_all([store(), PrismSettings(port=0)], [given])
    assert first.listens
    assert not second.listens
    assert second.port not in (0, given.address[1])
    second.socket.close()


def test_a_socket_that_is_meant_for_no_room_is_refused_with_what_there_is(
    systemd: Systemd,
) -> None:
    mine, other = systemd.listen("store1"), systemd.listen("x.socket")
    with pytest.raises(CannotListen) as caught:
        bind_all([store(5972)], [mine, other])
    said = str(caught.value)
    assert f"systemd listens on 127.0.0.1:{other.address[1]} ('x.socket') for this" in said
    assert "store1 on 127.0.0.1:5972" in said
    assert str(mine.address[1]) not in said


def test_a_second_socket_for_a_room_is_refused(systemd: Systemd) -> None:
    with pytest.raises(CannotListen, match=r"\('store1'\)"):
        bind_all([store()], [systemd.listen("store1"), systemd.listen("store1")])


def test_a_room_whose_address_nobody_knows_takes_none(systemd: Systemd) -> None:
    given = systemd.listen("x.socket")
    rooms = [store(name="store2", listen="not a host"), store(given.address[1])]
    with pytest.raises(CannotListen, match="store2 cannot listen on not a host:0: Name or"):
        bind_all(rooms, [given])

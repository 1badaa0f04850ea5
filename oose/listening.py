"""The socket that each room listens on: one of systemd's, or else bound here."""

import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any

from attrs import frozen

from oose.settings import PrismSettings, StoreSettings
from oose.systemd.inherited import Inherited

RoomSettings = PrismSettings | StoreSettings
Fits = Callable[[RoomSettings, Inherited], bool]


class CannotListen(Exception):
    """A room has no socket; the message is for whoever started the process."""


@frozen
class Bound:
    """A room's settings and the socket it will listen on; `port` is the one it really has.

    One of systemd's listens already: connections wait in it.
    """

    settings: RoomSettings
    socket: socket.socket
    port: int
    listens: bool = False


def bind_all(rooms: Sequence[RoomSettings], inherited: Sequence[Inherited]) -> list[Bound]:
    """A socket for each room, in their order: an inherited one where one is meant for it.

    `CannotListen`, also where an inherited one is meant for none: nobody would answer there.
    """
    given: dict[int, Inherited] = {}
    left = list(inherited)
    for fits in FITTING:
        for at, room in enumerate(rooms):
            found = next((each for each in left if fits(room, each)), None)
            if found is not None and at not in given:
                given[at] = found
                left.remove(found)
    if left:
        raise CannotListen(_meant_for_none(left, rooms))
    return [
        Bound(room, given[at].socket, given[at].address[1], listens=True)
        if at in given
        else bind(room)
        for at, room in enumerate(rooms)
    ]


def bind(settings: RoomSettings) -> Bound:
    """A socket bound to where a room is to listen, which does not accept yet; `CannotListen`."""
    host, port = settings.listen, settings.port
    try:
        family, kind, proto, _, address = _resolve(settings)
        bound = socket.socket(family, kind, proto)
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        raise CannotListen(
            f"{settings.name} cannot listen on {host}:{port}: {error.strerror}."
            " Is another instance running? Else choose another port in the configuration."
        ) from None
    return Bound(settings, bound, bound.getsockname()[1])


def is_every_address(host: str) -> bool:
    """Whether listening on `host` means on all of the machine's addresses."""
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


def _resolve(settings: RoomSettings) -> Any:
    return socket.getaddrinfo(
        settings.listen, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]


def _is_named(room: RoomSettings, inherited: Inherited) -> bool:
    return inherited.name == room.name


def _is_there(room: RoomSettings, inherited: Inherited) -> bool:
    try:
        address: tuple[str, int] = _resolve(room)[4][:2]
    except OSError:
        return False  # whoever binds it says so
    return address == inherited.address


def _is_named_and_there(room: RoomSettings, inherited: Inherited) -> bool:
    return _is_named(room, inherited) and _is_there(room, inherited)


FITTING: Sequence[Fits] = (_is_named_and_there, _is_named, _is_there)  # the best first


def _meant_for_none(left: Sequence[Inherited], rooms: Sequence[RoomSettings]) -> str:
    which = ", ".join(str(each) for each in left)
    where = ", ".join(f"{room.name} on {room.listen}:{room.port}" for room in rooms)
    return (
        f"systemd listens on {which} for this process, but no other room of the configuration has"
        f" that name or address: {where}. Change listen and port there, or the socket unit."
    )

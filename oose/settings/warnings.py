"""What is said at every start of a configuration that asks to be insecure."""

from collections.abc import Iterator, Sequence
from ipaddress import ip_address

from attrs import AttrsInstance, asdict

from oose.counting import some
from oose.settings.model import (
    HeartbeatSettings,
    PrismSettings,
    Settings,
    StoreSettings,
)

SHORTEST_PASSWORD = 16


def is_loopback(host: str) -> bool:
    """Whether listening on `host` is heard on this machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def exposures(
    rooms: Sequence[tuple[str, PrismSettings | StoreSettings]], *, tls: bool
) -> Sequence[tuple[str, str]]:
    """The dotted name and the danger of what others can reach without enough protection."""
    found = []
    for name, room in rooms:
        if is_loopback(room.listen):
            continue
        if not tls:
            found.append((f"{name}.listen", f"{room.listen} is reached from elsewhere without ssl"))
        if room.password is not None and len(room.password) < SHORTEST_PASSWORD:
            short = f"shorter than {SHORTEST_PASSWORD} characters and reached from elsewhere"
            found.append((f"{name}.password", short))
    return found


def rooms_of(
    prism: PrismSettings, stores: Sequence[StoreSettings]
) -> Sequence[tuple[str, PrismSettings | StoreSettings]]:
    """Every room that runs, with its dotted name."""
    rooms: list[tuple[str, PrismSettings | StoreSettings]] = []
    if prism.enabled:
        rooms.append(("prism", prism))
    rooms.extend((f"store {store.name}", store) for store in stores)
    return rooms


def warnings(settings: Settings) -> Sequence[str]:
    """What an operator should know about a configuration that is usable."""
    rooms = rooms_of(settings.prism, settings.stores)
    tls = settings.ssl is not None and settings.ssl.pem is not None
    lines = [f"insecure: {name}: {what}" for name, what in exposures(rooms, tls=tls)]
    if settings.ssl is not None and settings.ssl.verify is False:
        lines.append("insecure: ssl.verify: certificates of peers are not verified")
    return [*lines, *too_few_stores(settings), *without_effect(settings)]


def too_few_stores(settings: Settings) -> Iterator[str]:
    """Fewer stores than clones wanted, where nobody else has any."""
    wanted, there = settings.clones.minimum, len(settings.stores)
    if settings.prism.enabled and not settings.is_cluster and 0 < there < wanted:
        what = "have fewer clones" if settings.clones.accept_fewer else "are refused"
        yield f"clones.minimum: {wanted} for {some(there, 'store')}: uploads {what}"


def without_effect(settings: Settings) -> Iterator[str]:
    """What is set and changes nothing, here."""
    if not settings.is_cluster:
        for name in changed(settings.heartbeat, HeartbeatSettings()):
            if name != "frequency":
                yield f"heartbeat.{name}: has no effect without a cluster"


def changed(values: AttrsInstance, defaults: AttrsInstance) -> Sequence[str]:
    """The names whose values are not the defaults."""
    before = asdict(defaults)
    return [name for name, value in asdict(values).items() if value != before[name]]

"""What nginx is told of the prism and the stores of this machine, from their configurations."""

from collections.abc import Iterator, Sequence
from typing import Any

from oose.installing.dropins import numeric, with_port
from oose.installing.machine import Machine
from oose.installing.nginx.fronts import Front, PrismFront, StoreFront
from oose.installing.nginx.values import THIS_MACHINE, Web
from oose.installing.rooms import EVERY_ADDRESS, label_of
from oose.installing.runner import Refused
from oose.settings import PrismSettings, Settings, StoreSettings
from oose.settings.model import ACCEL_PREFIX

IPV6 = "/proc/net/if_inet6"  # proc(5): there where the kernel speaks it
MOST_IDLE = 30  # seconds that nginx keeps an unused connection to a peer
BESIDE = 60  # seconds that an answer may take beyond an import


def fronts(machine: Machine, web: Web, all_settings: Sequence[Settings]) -> Sequence[Front]:
    """One for each peer; `Refused` with what nginx cannot be told."""
    try:
        return list(unchecked(machine, web, all_settings))
    except ValueError as error:
        raise Refused(f"nginx cannot be told this: {error}") from None


def unchecked(machine: Machine, web: Web, all_settings: Sequence[Settings]) -> Iterator[Front]:
    """The same; `ValueError`."""
    prism = next((each for each in all_settings if each.prism.enabled), None)
    if prism is not None or web.prisms:
        yield prism_front(machine, web, prism)
    for settings in all_settings:
        for store in settings.stores:
            yield store_front(machine, web, settings, store)


def prism_front(machine: Machine, web: Web, settings: Settings | None) -> PrismFront:
    """For this machine's prism (None: there is none), and those of others after it."""
    if not web.server_names:
        raise Refused(
            "By which name do viewers and applications come to the prisms? --server-name"
            " oose.example.com"
        )
    room = settings.prism if settings is not None else None
    certificate, key = web.pem
    return PrismFront(
        **common(machine, web),
        **(peer(settings, room) if settings is not None and room is not None else {}),
        name=room.name if room is not None else label_of(machine.name),
        server_names=web.server_names,
        certificate=certificate,
        key=key,
        prisms=(*([upstream(room)] if room is not None else []), *web.prisms),
        requests=web.requests,
        burst=web.burst,
    )


def store_front(machine: Machine, web: Web, settings: Settings, store: StoreSettings) -> StoreFront:
    """For one store of a configuration."""
    certificate, key = web.store_pem
    return StoreFront(
        **common(machine, web),
        **peer(settings, store),
        name=store.name,
        server_names=(f"{store.name}.{settings.domain}",),
        certificate=certificate,
        key=key,
        upstream=upstream(store),
        root=store.root,
        internal=store.accel_redirect or ACCEL_PREFIX,
        deny_static=settings.prism.deny_static_types,
        most_rate=web.most_rate,
    )


def common(machine: Machine, web: Web) -> dict[str, Any]:
    """What is the same for all."""
    everywhere = (EVERY_ADDRESS, *(["::"] if machine.at(IPV6).exists() else []))
    return {
        "addresses": web.addresses or everywhere,
        "https_port": web.https_port,
        "http_port": web.http_port or None,
        "balancers": web.balancers,
    }


def peer(settings: Settings, room: PrismSettings | StoreSettings) -> dict[str, Any]:
    """What the configuration of a peer says of its connections."""
    return {
        "upstream_tls": settings.ssl is not None and settings.ssl.pem is not None,
        "answer_within": int(settings.retrieve.timeout) + BESIDE,
        "keep_alive": max(1, min(MOST_IDLE, int(room.idle_timeout) // 2)),
    }


def upstream(room: PrismSettings | StoreSettings) -> str:
    """Where a peer of this machine is reached from it."""
    host = numeric(room.listen)
    return with_port(THIS_MACHINE.get(host, host), room.port)

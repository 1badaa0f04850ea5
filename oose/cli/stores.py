"""Stores, for a command that asks them as their peers do."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.web.iweb import IPolicyForHTTPS

from oose.cli.exits import BAD_CONFIGURATION, NOT_ALLOWED, CommandFailed
from oose.cli.opened import Opened
from oose.cli.peers import named
from oose.credentials import Credentials
from oose.errors import OoseError
from oose.peer import Peer
from oose.peers import PeerClient
from oose.registry import Registry
from oose.secrets_file import FILE_NAME, UnreadableSecrets, load_or_make
from oose.settings import Settings, Tls
from oose.tls import SELF_SIGNED, UnusableCertificate, certificate_alone, client_policy

AWAY = "not asked"  # the state of a store that gives no answer


def peers_of(opened: Opened) -> PeerClient:
    """Asks the peers that the configuration's process would."""
    settings = opened.settings
    return PeerClient(opened.reactor, policy_for_peers(settings), credentials_of(settings))


def policy_for_peers(settings: Settings) -> IPolicyForHTTPS:
    """How their certificates are judged; this machine's own self-signed one is trusted."""
    ssl = settings.ssl or Tls()
    verify = Path(ssl.verify) if isinstance(ssl.verify, str) else ssl.verify
    own = certificate_alone(settings.root / SELF_SIGNED)
    try:
        return client_policy(verify, own=own if ssl.pem == "auto" and own.exists() else None)
    except UnusableCertificate as error:
        raise CommandFailed(str(error), BAD_CONFIGURATION) from None


def credentials_of(settings: Settings) -> Credentials:
    """What stores are shown: as configured, else as made for this machine at its first start."""
    kind, room = ("store", settings.stores[0]) if settings.stores else ("prism", settings.prism)
    if room.username is not None and room.password is not None:
        return Credentials(room.username, room.password)
    path = settings.root / FILE_NAME
    if not path.exists():
        raise CommandFailed(
            "The configuration has no credentials of peers, and this machine made none",
            NOT_ALLOWED,
        )
    try:
        return load_or_make(path)[kind]
    except UnreadableSecrets as error:
        raise CommandFailed(str(error)) from None


async def peers_known(opened: Opened) -> Registry:
    """All peers, as the database has them now."""
    registry = Registry(opened.databases.peer)
    await registry.load()
    return registry


async def store_named(registry: Registry, name: str) -> Peer:
    """The store that is meant; `NotFound`, or `CommandFailed` where that is not sure."""
    peer = await named(registry, name)
    if peer.kind != "store":
        raise CommandFailed(f"{peer.id} is no store")
    return peer


def silent(opened: Opened, store: Peer, error: OoseError) -> Mapping[str, Any]:
    """What there is to say of a store that cannot be asked."""
    why = error.message
    if store.machine == opened.settings.machine:
        why = f"{why}. Does the process run that is to serve it on this machine?"
    return {"store": store.place, "state": AWAY, "error": why}

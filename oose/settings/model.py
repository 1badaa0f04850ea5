"""What a configuration holds. Durations are seconds, sizes bytes, paths absolute."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from attrs import frozen

from oose.media_types import FILMS_AND_SOUND

Networks = tuple[IPv4Network | IPv6Network, ...]
ACCEL_PREFIX = "/oose-internal"  # what nginx's configuration in the documents calls it


class BadSettings(Exception):
    """The configuration cannot be used; `problems` names every reason, one a line."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@frozen
class Tls:
    """`ssl`: what we show (`pem`: a file, `auto` or None), and how we verify peers."""

    pem: str | None = None
    verify: str | bool = True


@frozen
class PrismSettings:
    """`prism`."""

    enabled: bool = False
    name: str = "prism1"
    listen: str = "127.0.0.1"
    port: int = 5971
    url: str | None = None
    username: str | None = None
    password: str | None = None
    workers: int = 1
    deny_static_types: frozenset[str] = FILMS_AND_SOUND
    exists_cache_life: float = 30.0
    purchase_cache_life: float = 30.0
    trusted_proxies: Networks = ()
    max_upload: int | None = None
    idle_timeout: float = 60.0


@frozen
class StoreSettings:
    """One of `store`: a disk. `accel_redirect` is the prefix of nginx's internal location."""

    root: Path
    name: str = "store1"
    prism: str = "prism1"
    listen: str = "127.0.0.1"
    port: int = 5972
    url: str | None = None
    username: str | None = None
    password: str | None = None
    workers: int = 1
    accel_redirect: str | None = None
    min_free: int = 1_000_000_000
    trusted_proxies: Networks = ()
    max_upload: int | None = None
    idle_timeout: float = 60.0


@frozen
class CouchSettings:
    """`couchdb`; `timeout` is for one request."""

    url: str
    username: str
    password: str
    database: str = "oose"
    timeout: float = 1.5


@frozen
class RedisSettings:
    """`redis`: one server at `url`, or the master of `service` as `sentinels` (host, port) tell."""

    url: str | None = None
    sentinels: tuple[tuple[str, int], ...] = ()
    service: str = "mymaster"
    username: str | None = None
    password: str | None = None
    prefix: str = "oose"
    timeout: float = 1.5


@frozen
class HeartbeatSettings:
    """`heartbeat`; `enabled` None means: in a cluster."""

    enabled: bool | None = None
    start_delay: float = 60.0
    frequency: float = 5.0
    retries: int = 8
    concurrency: int = 8
    ping_response_timeout: float = 2.0
    vote_life: float = 60.0
    vote_prune_frequency: float = 60.0


@frozen
class InventorySettings:
    """`inventory`: the sweep, verification and quarantine of each disk.

    A sweep looks at `files` a second and asks the database `requests` times a second at most;
    verification reads `verify_rate` bytes a second. None means: as fast as it goes; for
    `verify_frequency` never.
    """

    enabled: bool = True
    frequency: float = 6 * 3600.0
    driver: str = "auto"
    files: int | None = 20_000
    requests: int | None = 20
    verify_frequency: float | None = 180 * 86400.0
    verify_rate: int | None = 32_000_000
    quarantine_life: float = 30 * 86400.0


@frozen
class PurchaseSettings:
    """`purchase`."""

    life: float = 7200.0
    afterlife: float = 7200.0


@frozen
class CloneSettings:
    """`clones`; `accept_fewer` answers an upload that found fewer stores, and notes it.

    Repair: every `repair_frequency` seconds all content is looked at; a store that is away is
    waited for `repair_after` seconds. `repair_concurrency` clones are made at once by each prism,
    of `repair_rate` bytes a second in all (None: as fast as it goes).
    Demand: a clone should bear `bear` viewers a minute (0: never more clones); what has cooled down
    keeps its clones for `cool_after` seconds.
    """

    minimum: int = 2
    maximum: int = 8
    accept_fewer: bool = True
    repair: bool = True
    repair_after: float = 3600.0
    repair_frequency: float = 900.0
    repair_concurrency: int = 4
    repair_rate: int | None = 100_000_000
    bear: int = 600
    cool_after: float = 3600.0


@frozen
class SessionSettings:
    """`session`."""

    life: float = 30 * 86400.0


@frozen
class RetrieveSettings:
    """`retrieve`; `max_size` None means as much as the disks take."""

    allow_private: bool = False
    timeout: float = 600.0
    max_size: int | None = None
    max_redirects: int = 5


@frozen
class LogSettings:
    """`log`."""

    format: str = "text"
    level: str = "info"


@frozen
class Settings:
    """A whole configuration; `path` is the file it came from, None for the defaults."""

    path: Path | None
    root: Path
    machine: str
    prism: PrismSettings
    stores: tuple[StoreSettings, ...]
    domain: str | None = None
    group: str = "localgroup"
    default_hash_type: str = "sha1"
    insecure: bool = False
    ssl: Tls | None = None
    couchdb: CouchSettings | None = None
    redis: RedisSettings | None = None
    heartbeat: HeartbeatSettings = HeartbeatSettings()
    inventory: InventorySettings = InventorySettings()
    purchase: PurchaseSettings = PurchaseSettings()
    clones: CloneSettings = CloneSettings()
    session: SessionSettings = SessionSettings()
    retrieve: RetrieveSettings = RetrieveSettings()
    log: LogSettings = LogSettings()

    @property
    def is_cluster(self) -> bool:
        """Whether other processes share the databases, and so the content."""
        return self.couchdb is not None

"""What a process keeps things in: the embedded database of one machine, or those of a cluster."""

from collections.abc import Mapping
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IPolicyForHTTPS

from oose.accounts import Accounts, ManagedAccounts
from oose.couchdb import (
    CouchAccounts,
    CouchClient,
    CouchDocuments,
    CouchInventory,
    ensure_databases,
)
from oose.couchdb.documents import database_path
from oose.couchdb.rows import understood
from oose.embedded import (
    EmbeddedAccounts,
    EmbeddedDatabase,
    EmbeddedDocuments,
    EmbeddedFirstClones,
    EmbeddedInventory,
    EmbeddedPurchases,
    EmbeddedSessions,
    EndedElsewhere,
)
from oose.embedded.database import FILE_NAME
from oose.metadata.documents import DATABASES, Documents, Inventory
from oose.metadata.first_clones import FirstClones
from oose.passwords import Passwords
from oose.pool import Pool
from oose.purchases import Endings, OneProcess, Purchases, Sessions
from oose.redis import EndedChannel, RedisConnection, RedisPurchases, RedisSessions
from oose.settings import Settings
from oose.settings.model import CouchSettings, RedisSettings


class Databases(Protocol):
    """All that is kept beside the content itself.

    `own_accounts` are those that oose keeps itself; None where somebody else does.
    """

    peer: Documents
    inventory: Inventory
    content: Documents
    heartbeat: Documents
    accounts: Accounts
    own_accounts: ManagedAccounts | None
    sessions: Sessions
    purchases: Purchases
    endings: Endings
    first_clones: FirstClones | None

    async def open(self) -> None:
        """Be ready for questions; `Unavailable`, and then it may be called again."""
        ...

    async def close(self) -> None:
        """Let go, when what was asked for before is done."""
        ...

    def refuse_if_away(self) -> None:
        """`Unavailable` where documents are known to be out of reach; nothing is asked."""
        ...

    def describe(self) -> Mapping[str, int]:
        """For `/stats`: questions asked since the start, by database."""
        ...

    async def totals(self) -> Mapping[str, int]:
        """How many documents there are, by database; a few others may be among them."""
        ...


class OneMachine:
    """The embedded database below `root`.

    With a `clock` what other processes end in it is noticed; else nothing is to be remembered.
    """

    def __init__(
        self,
        settings: Settings,
        writer: Pool,
        readers: Pool,
        passwords: Pool,
        *,
        clock: IReactorTime | None = None,
    ) -> None:
        self.database = EmbeddedDatabase(settings.root / FILE_NAME, writer=writer, readers=readers)
        self.peer: Documents = EmbeddedDocuments(self.database, "peer")
        self.inventory: Inventory = EmbeddedInventory(self.database)
        self.content: Documents = EmbeddedDocuments(self.database, "content")
        self.heartbeat: Documents = EmbeddedDocuments(self.database, "heartbeat")
        self.own_accounts: ManagedAccounts | None = EmbeddedAccounts(
            self.database, Passwords(passwords)
        )
        self.accounts: Accounts = self.own_accounts
        self.sessions: Sessions = EmbeddedSessions(self.database)
        self.purchases: Purchases = EmbeddedPurchases(self.database)
        self._elsewhere = EndedElsewhere(self.database, clock) if clock is not None else None
        self.endings: Endings = self._elsewhere or OneProcess()
        self.first_clones: FirstClones | None = EmbeddedFirstClones(self.database)

    async def open(self) -> None:
        """See `Databases.open`."""
        await self.database.open()
        if self._elsewhere is not None:
            await self._elsewhere.open()

    async def close(self) -> None:
        """See `Databases.close`."""
        if self._elsewhere is not None:
            await self._elsewhere.close()
        await self.database.close()

    def refuse_if_away(self) -> None:
        """See `Databases.refuse_if_away`: it never is."""

    def describe(self) -> Mapping[str, int]:
        """See `Databases.describe`."""
        return {}

    async def totals(self) -> Mapping[str, int]:
        """See `Databases.totals`."""
        counted = "SELECT db, count(*) FROM documents GROUP BY db"
        rows = await self.database.read(lambda c: c.execute(counted).fetchall())
        return {**dict.fromkeys(DATABASES, 0), **dict(rows)}


class Cluster:
    """CouchDB and Redis; `policy` judges their certificates, `afterlife` (ms) is of purchases."""

    def __init__(
        self,
        couchdb: CouchSettings,
        redis: RedisSettings,
        afterlife: int,
        policy: IPolicyForHTTPS,
        reactor: Any,
    ) -> None:
        self._couch = CouchClient(reactor, policy, couchdb)
        self._redis = RedisConnection(reactor, redis, policy, reactor)
        self._channel = EndedChannel(self._redis, redis.prefix, reactor)
        self.peer: Documents = CouchDocuments(self._couch, "peer")
        self.inventory: Inventory = CouchInventory(self._couch)
        self.content: Documents = CouchDocuments(self._couch, "content")
        self.heartbeat: Documents = CouchDocuments(self._couch, "heartbeat")
        self.own_accounts: ManagedAccounts | None = None
        self.accounts: Accounts = CouchAccounts(self._couch, reactor, service=couchdb.username)
        self.sessions: Sessions = RedisSessions(self._redis, redis.prefix)
        self.purchases: Purchases = RedisPurchases(self._redis, redis.prefix, afterlife)
        self.endings: Endings = self._channel
        self.first_clones: FirstClones | None = None
        self._is_open = False

    async def open(self) -> None:
        """See `Databases.open`."""
        await ensure_databases(self._couch)
        await self._redis.open()
        await self._channel.open()

    async def close(self) -> None:
        """See `Databases.close`."""
        await self._channel.close()
        await self._redis.close()
        await self._couch.close()

    def refuse_if_away(self) -> None:
        """See `Databases.refuse_if_away`."""
        self._couch.refuse_if_away()

    def describe(self) -> Mapping[str, int]:
        """See `Databases.describe`."""
        return {
            "couchdb": self._couch.requests - self._couch.listens,
            "redis": self._redis.asked,
        }

    async def totals(self) -> Mapping[str, int]:
        """See `Databases.totals`."""
        found: dict[str, int] = {}
        for name in DATABASES:
            path = database_path(self._couch.settings.database, name)
            answer = await self._couch.ask("GET", path, repeat=True)
            with understood():
                found[name] = int(answer.value["doc_count"])
        return found

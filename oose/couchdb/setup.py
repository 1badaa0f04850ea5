"""The databases of oose in a CouchDB, who may use them, the account that does, and the index."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from oose.couchdb.accounts import is_admin, path_of
from oose.couchdb.client import CouchClient
from oose.couchdb.documents import database_path
from oose.couchdb.index import DESIGN, DOCUMENT
from oose.couchdb.presence import RETRY_AFTER
from oose.couchdb.rows import as_document, understood
from oose.errors import NotAllowed, Unavailable
from oose.log import part
from oose.metadata.documents import DATABASES
from oose.settings.model import CouchSettings

MAKING = 30.0  # seconds: a cluster makes a database's shards on all of its nodes
TRIES = 3  # when others do the same
ADMINS_ONLY: Mapping[str, Any] = {"names": [], "roles": ["_admin"]}
_log = part("couchdb")


@frozen
class Prepared:
    """What was made, that was not there before: databases, the account or its password, the index.

    An index that was another one is made anew.
    """

    databases: Sequence[str]
    account: bool
    index: bool


async def ensure_databases(client: CouchClient) -> Sequence[str]:
    """Make the databases that are missing, where our account may; their names.

    `Unavailable` where it may not, with what to do. The index is made or renewed likewise; without
    it things work, but slowly.
    """
    missing = await _missing(client)
    inventory = database_path(client.settings.database, "inventory")
    if not missing and (await _index(client, inventory)).is_ours:
        return ()
    session = await client.ask("GET", "/_session", repeat=True)
    if not is_admin(session):  # some servers do not survive the attempt
        if not missing:
            _log.warn(
                "CouchDB does not have the index of what stores have, or another version's:"
                " finding it takes long. `oose couchdb setup` makes it"
            )
            return ()
        names = ", ".join(path[1:] for path in missing)
        raise Unavailable(
            f"CouchDB does not have {names}, and the account of oose may not make databases:"
            " run `oose couchdb setup`",
            retry_after=RETRY_AFTER,
        )
    for path in missing:
        await _make(client, path)
        await _restrict(client, path, client.settings.username)
    await _ensure_index(client, inventory)
    return tuple(path[1:] for path in missing)


async def prepare(admin: CouchClient, settings: CouchSettings) -> Prepared:
    """With an administrator's account make all that `settings` name: databases, rights, account.

    What is there already stays; may be done any number of times. `NotAllowed` for an account that
    is no administrator's.
    """
    session = await admin.ask("GET", "/_session", expected={401, 403}, repeat=True)
    if session.status >= 400:
        raise NotAllowed("CouchDB does not know this administrator, or the password is wrong")
    if not is_admin(session):
        raise NotAllowed(
            f"{admin.settings.username} is no administrator of CouchDB: name one with --admin"
        )
    is_own = admin.settings.username == settings.username
    made_account = False if is_own else await _ensure_account(admin, settings)
    missing = await _missing(admin)
    for name in DATABASES:
        path = database_path(settings.database, name)
        if path in missing:
            await _make(admin, path)
        await _restrict(admin, path, settings.username)
    made_index = await _ensure_index(admin, database_path(settings.database, "inventory"))
    return Prepared(tuple(path[1:] for path in missing), made_account, made_index)


async def _missing(client: CouchClient) -> Sequence[str]:
    missing = []
    for name in DATABASES:
        path = database_path(client.settings.database, name)
        answer = await client.ask("GET", path, expected={404}, repeat=True)
        if answer.status == 404:
            missing.append(path)
    return missing


async def _make(client: CouchClient, path: str) -> None:
    until = client.clock.seconds() + MAKING
    await client.ask("PUT", path, expected={412}, repeat=True, until=until)  # 412: by another
    _log.info("Made the database {name}", name=path[1:])


async def _restrict(client: CouchClient, path: str, account: str) -> None:
    """Let the account in, beside whom an administrator has let in, and nobody else."""
    for _ in range(TRIES):
        now = await client.ask("GET", f"{path}/_security", repeat=True)
        with understood():
            wanted = _with_member(now.value, account)
        if now.value == wanted:
            return
        where = f"{path}/_security"
        answer = await client.ask("PUT", where, wanted, expected={409}, repeat=True)
        if answer.status < 400:
            return
    raise Unavailable("Others change the rights in CouchDB at the same time", retry_after=1)


def _with_member(rights: Mapping[str, Any], account: str) -> Mapping[str, Any]:
    members = rights.get("members") or {}
    names = members.get("names") or []
    return {
        "admins": rights.get("admins") or ADMINS_ONLY,
        "members": {
            "names": names if account in names else [*names, account],
            "roles": members.get("roles") or ADMINS_ONLY["roles"],
        },
    }


@frozen
class _Found:
    """The index that is there: whether it is ours, and its revision where there is one."""

    is_ours: bool
    rev: str | None


async def _index(client: CouchClient, path: str) -> _Found:
    answer = await client.ask("GET", f"{path}/{DOCUMENT}", expected={404}, repeat=True)
    if answer.status == 404:
        return _Found(is_ours=False, rev=None)
    with understood():
        document = as_document(answer.value)
        return _Found(document.body == DESIGN, document.rev)


async def _ensure_index(client: CouchClient, path: str) -> bool:
    """Make the index, or make it anew where it is not as it should be; whether that was so."""
    for _ in range(TRIES):
        found = await _index(client, path)
        if found.is_ours:
            return False
        body = DESIGN if found.rev is None else {**DESIGN, "_rev": found.rev}
        until = client.clock.seconds() + MAKING
        where = f"{path}/{DOCUMENT}"
        answer = await client.ask("PUT", where, body, expected={409}, repeat=True, until=until)
        if answer.status < 400:
            _log.info("Made the index of what stores have in {name}", name=path[1:])
            return True
    raise Unavailable("Others change the index in CouchDB at the same time", retry_after=1)


async def _ensure_account(admin: CouchClient, settings: CouchSettings) -> bool:
    """Make the account, or give it its password, unless it opens with it already."""
    path = "/_users"
    if (await admin.ask("GET", path, expected={404}, repeat=True)).status == 404:
        await _make(admin, path)
    if await _opens(admin, settings):
        return False
    where = path_of(settings.username)
    found = await admin.ask("GET", where, expected={404}, repeat=True)
    user: Mapping[str, Any] = {"type": "user", "name": settings.username, "roles": []}
    if found.status < 400:
        user = found.value
    await admin.ask("PUT", where, {**user, "password": settings.password}, repeat=True)
    return True


async def _opens(admin: CouchClient, settings: CouchSettings) -> bool:
    who = {"name": settings.username, "password": settings.password}
    answer = await admin.ask(
        "POST", "/_session", who, expected={400, 401, 403}, repeat=True, is_anonymous=True
    )
    return answer.status < 400

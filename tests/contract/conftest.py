"""The implementations that have to meet the contracts, one parameter each."""

from collections.abc import AsyncIterator, Generator, Iterator
from itertools import count
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from tests.contract.kept import (
    Bare,
    Couch,
    Double,
    Embedded,
    KeepsAccounts,
    KeepsDocuments,
    KeepsInventory,
    KeepsPurchases,
    KeepsSessions,
    KeepsUsers,
    Redis,
    Slow,
)
from tests.couchdb_double import Cluster, served
from tests.pouchdb import Pouchdb, start
from tests.redis_server import RedisServer, running


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Keep a property's test as it is: pytest_twisted would wrap it again for each parameter."""
    given = getattr(pyfuncitem.obj, "hypothesis", None)
    inner = getattr(given, "inner_test", None)
    try:
        return (yield)
    finally:
        if given is not None:
            given.inner_test = inner


numbers = count()


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Embedded]:
    keeps = Embedded(tmp_path)
    yield keeps
    pytest_twisted.blockon(Deferred.fromCoroutine(keeps.close()))


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[Redis]:
    redis_server.cli("FLUSHALL")
    keeps = Redis(redis_server.settings)
    yield keeps
    pytest_twisted.blockon(Deferred.fromCoroutine(keeps.close()))


@pytest.fixture(scope="session")
def pouchdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pouchdb]:
    with start(tmp_path_factory.mktemp("pouchdb")) as server:
        yield server


@pytest.fixture
def couch(pouchdb: Pouchdb) -> Iterator[Couch]:
    pouchdb.forget_users()
    keeps = Couch(pouchdb, f"test{next(numbers)}")
    yield keeps
    pytest_twisted.blockon(Deferred.fromCoroutine(keeps.close()))


@pytest_twisted.async_yield_fixture
async def double() -> AsyncIterator[Double]:
    async with served(Cluster()) as cluster:
        keeps = Double(cluster, "test")
        yield keeps
        await keeps.close()


@pytest.fixture(params=["embedded", "couch", "double"])
def keeps_documents(request: pytest.FixtureRequest) -> KeepsDocuments:
    keeps: KeepsDocuments = request.getfixturevalue(request.param)
    return keeps


@pytest.fixture
def slow(pouchdb: Pouchdb) -> Iterator[Slow]:
    keeps = Slow(pouchdb, f"test{next(numbers)}")
    yield keeps
    pytest_twisted.blockon(Deferred.fromCoroutine(keeps.close()))


@pytest_twisted.async_yield_fixture
async def bare() -> AsyncIterator[Bare]:
    async with served(Cluster()) as cluster:
        keeps = Bare(cluster, "test")
        yield keeps
        await keeps.close()


@pytest.fixture(params=["embedded", "couch", "double", "bare", "slow"])
def keeps_inventory(request: pytest.FixtureRequest) -> KeepsInventory:
    keeps: KeepsInventory = request.getfixturevalue(request.param)
    return keeps


@pytest.fixture(params=["embedded", "redis"])
def keeps_purchases(request: pytest.FixtureRequest) -> KeepsPurchases:
    keeps: KeepsPurchases = request.getfixturevalue(request.param)
    return keeps


@pytest.fixture(params=["embedded", "redis"])
def keeps_sessions(request: pytest.FixtureRequest) -> KeepsSessions:
    keeps: KeepsSessions = request.getfixturevalue(request.param)
    return keeps


@pytest.fixture(params=["embedded", "couch"])
def keeps_accounts(request: pytest.FixtureRequest) -> KeepsAccounts:
    keeps: KeepsAccounts = request.getfixturevalue(request.param)
    return keeps


@pytest.fixture(params=["embedded"])
def keeps_users(request: pytest.FixtureRequest) -> KeepsUsers:
    keeps: KeepsUsers = request.getfixturevalue(request.param)
    return keeps

"""The implementations that have to meet the contracts, one parameter each."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from tests.contract.kept import (
    Embedded,
    KeepsDocuments,
    KeepsPurchases,
    KeepsSessions,
    KeepsUsers,
)


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Embedded]:
    keeps = Embedded(tmp_path)
    yield keeps
    pytest_twisted.blockon(Deferred.fromCoroutine(keeps.close()))


@pytest.fixture(params=["embedded"])
def keeps_documents(request: pytest.FixtureRequest) -> KeepsDocuments:
    keeps: KeepsDocuments = request.getfixturevalue(request.param)
    return keeps


@pytest.fixture(params=["embedded"])
def keeps_purchases(request: pytest.FixtureRequest) -> KeepsPurchases:
    keeps: KeepsPurchases = request.getfixturevalue(request.param)
    return keeps


@pytest.fixture(params=["embedded"])
def keeps_sessions(request: pytest.FixtureRequest) -> KeepsSessions:
    keeps: KeepsSessions = request.getfixturevalue(request.param)
    return keeps


@pytest.fixture(params=["embedded"])
def keeps_users(request: pytest.FixtureRequest) -> KeepsUsers:
    keeps: KeepsUsers = request.getfixturevalue(request.param)
    return keeps

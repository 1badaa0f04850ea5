"""The simulations' database meets the contract of the real ones."""

from typing import Any

import pytest

from oose.metadata.documents import DATABASES, Database, Documents
from tests.contract import test_documents as contract
from tests.contract.kept import KeepsDocuments
from tests.simulation.memory import MemoryDocuments


class Memory:
    def __init__(self, reactor: Any) -> None:
        self._databases = {name: MemoryDocuments(reactor) for name in DATABASES}

    async def documents(self, name: Database) -> Documents:
        return self._databases[name]

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def keeps_documents() -> KeepsDocuments:
    from twisted.internet import reactor  # noqa: PLC0415 # installed by pytest_twisted

    return Memory(reactor)


# The properties are left out: pytest_twisted can wrap each of them in one place only.
globals().update(
    (name, test)
    for name, test in vars(contract).items()
    if name.startswith("test_") and not hasattr(test, "hypothesis")
)

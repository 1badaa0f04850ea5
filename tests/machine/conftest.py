from collections.abc import AsyncIterator
from pathlib import Path

import pytest_twisted

from tests.machine.running import Machine, one_machine, running


@pytest_twisted.async_yield_fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    """One prism with one store."""
    async with running(one_machine(tmp_path)) as machine:
        yield machine

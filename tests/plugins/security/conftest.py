"""What the tests of ``security`` share: a migrated database and a clock."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from helicone_gw import Database
from helicone_gw.testing import VirtualClock
from helicone_gw_security.plugin import VERSIONS
from helicone_gw_security.store import KeyTable


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/test.db"


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url)
    await database.migrate("security", VERSIONS)
    yield database
    await database.close()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def table(database: Database) -> KeyTable:
    return KeyTable(database)

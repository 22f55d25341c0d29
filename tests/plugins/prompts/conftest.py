"""A migrated database, on SQLite or on Postgres, and an editor of its prompts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from helicone_gw import Database
from helicone_gw.testing import VirtualClock
from helicone_gw_prompts.editing import Bounds, Editor
from helicone_gw_prompts.plugin import VERSIONS


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture(params=["sqlite"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """SQLite; Postgres, too, for tests that are parametrized with `everywhere`."""
    postgres = request.param == "postgres"
    url: str = request.getfixturevalue("postgres_url") if postgres else f"sqlite:///{tmp_path}/prompts.db"
    database = Database(url)
    await database.migrate("prompts", VERSIONS)
    yield database
    await database.close()


@pytest.fixture
def changed() -> list[str]:
    """An entry for every edit."""
    return []


@pytest.fixture
def editor(database: Database, clock: VirtualClock, changed: list[str]) -> Editor:
    return Editor(
        database, clock.now, Bounds(max_size=2_000, max_prompts=5, max_versions=4), lambda: changed.append("x")
    )

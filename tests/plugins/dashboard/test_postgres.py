"""Views on a real PostgreSQL server."""

from __future__ import annotations

import pytest

from helicone_gw import Database
from helicone_gw.registry import load
from helicone_gw.testing import GatewayFactory
from tests.plugins.dashboard.test_views import ADMIN, ANN, BOB, VIEWS, ask, names


@pytest.mark.full
async def test_views_are_kept_seen_and_taken_away(gateway: GatewayFactory, postgres_url: str) -> None:
    database = Database(postgres_url)
    for branch, versions in load("dashboard").migrations.items():
        await database.migrate(branch, versions)
    await database.close()
    async with gateway(["dashboard"], config={"database": {"url": postgres_url}}) as running:
        wanted = {"name": "Failed", "query": "range=7d", "shared": True}
        kept = await ask(running, "POST", VIEWS, ANN, body=wanted)
        again = await ask(running, "POST", VIEWS, ANN, body={**wanted, "query": "range=24h"})
        assert (again["id"], again["query"]) == (kept["id"], "range=24h")
        assert await names(running, BOB) == ["Failed"]
        await ask(running, "DELETE", f"{VIEWS}/{kept['id']}", ADMIN)
        assert await names(running, ANN) == []

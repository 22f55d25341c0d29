"""The plugin on a real Postgres, in real time."""

from __future__ import annotations

import pytest

from helicone_gw import Database
from helicone_gw.registry import load
from helicone_gw.testing import GatewayFactory
from tests.plugins.alerts.running import ALLOWED, LOGGED, SINK, delivered, evaluated, followed, receiver, rest


@pytest.mark.full
async def test_it_works_on_postgres(gateway: GatewayFactory, postgres_url: str) -> None:
    database = Database(postgres_url)
    for each in ("logging", "alerts"):
        for branch, versions in load(each).migrations.items():
            await database.migrate(branch, versions)
    await database.close()
    sink = receiver()
    hook = {"type": "webhook", "url": "http://sink.test/alerts"}
    alert = {"metric": "count", "threshold": 1, "channels": ["hook"], "by": "user"}
    config = {"alerts": {"poll_every": 1e8, "channels": {"hook": hook}, "alerts": {"any": alert}}}
    async with gateway([*LOGGED, config], http=sink, config={**ALLOWED, "database": {"url": postgres_url}}) as running:
        filters = {"propertyFilters": [{"key": "Env", "value": "prod"}]}
        await rest(running, "POST", "/v1/webhooks", {"destination": f"{SINK}/hook", "config": filters})
        evaluator = {"scoring_type": "regex", "name": "greets", "code_template": "Hello"}
        made = (await rest(running, "POST", "/v1/evaluator", evaluator, status=201))["id"]
        await rest(running, "POST", f"/v1/evaluator/{made}/onlineEvaluators", {})
        for env in ("prod", "dev"):
            await running.chat(headers={"Helicone-User-Id": "ann", "Helicone-Property-Env": env})
        await followed(running)
        await delivered(running)
        await evaluated(running)
        await evaluated(running)
        assert sorted(each.target for each in sink.requests) == ["/alerts", "/hook"]
        assert (await rest(running, "GET", f"/v1/evaluator/{made}/stats"))["totalUses"] == 2

"""Charts: what is unknown is a gap, and never drawn as zero."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

from helicone_gw.model import Cost, Usage
from helicone_gw.testing import GatewayFactory, RunningGateway
from helicone_gw_dashboard.charts import chart, lane, of_series
from tests.plugins.logging.asking import START, log_all
from tests.plugins.logging.conftest import build

HOUR = 3600
TIMES = {"from": round(START * 1000), "to": round((START + 3 * HOUR) * 1000)}


def test_nothing_known_is_told_from_nothing_there() -> None:
    at = ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"]
    for values, known, unknown in (((None, 0), False, True), ((0, 0), False, False), ((None, 2), True, True)):
        made = chart(at, 3_600_000, "count", lane("tokens", values), lane("earlier", (None, 5), "before"))
        assert (made["known"], made["unknown"]) == (known, unknown), values


def test_what_is_unknown_of_a_bucket_is_a_gap() -> None:
    names = "requests", "errors", "cost", "total_tokens", "completion_tokens", "cache_hits"
    buckets: list[dict[str, Any]] = [
        {"at": "2026-01-01T00:00:00Z", **dict.fromkeys(names, 3)},
        {"at": "2026-01-01T01:00:00Z", **dict.fromkeys(names, 3), "cost": None, "total_tokens": None},
    ]
    made = of_series({"buckets": buckets}, 3_600_000)
    assert [one["values"] for one in made["tokens"]["lanes"]] == [[3, None], [3, 3]]
    assert made["cost"]["lanes"][0]["values"] == [3, None]


async def page(running: RunningGateway, path: str, **params: Any) -> str:
    query = "&".join(f"{name}={value}" for name, value in params.items())
    reply = await running.request("GET", f"/dashboard{path}?{query}", headers={"Accept": "text/html"})
    assert reply.status == 200, reply.body[-500:]
    return reply.body.decode()


async def test_pages_say_what_is_not_known(tmp_path: Path) -> None:
    user = {"Helicone-User-Id": "ann"}
    async with GatewayFactory(tmp_path)(["logging", "dashboard"]) as running:
        dark = [build(headers=user, received_at=START + 60 * each, usage=None, cost=None) for each in range(3)]
        await log_all(running.gateway.database, dark)
        for path, more in (("/", {}), ("/user", {"id": "ann"})):
            shown = await page(running, path, **TIMES, **more)
            assert "What it cost is not known." in shown
            assert "How many tokens there were is not known." in shown
            assert "– in, – out" in shown
        known = build(headers=user, received_at=START + HOUR, usage=Usage(20, 5), cost=Cost(10**9))
        await log_all(running.gateway.database, [known])
        shown = await page(running, "/", **TIMES)
        drawn = [json.loads(html.unescape(each)) for each in re.findall(r'data-chart="([^"]+)"', shown)]
        values = {one["name"]: one["values"] for each in drawn for one in each["lanes"] if one["look"] == "bars"}
        assert {value for value in values["all"] if value != 0} == {None, 25}
        assert {value for value in values["cost"] if value != 0} == {None, 1}
        assert "20 in, 5 out" in shown

"""Following the log's numbers: over gaps, over other organizations' rows, behind long streams."""

from __future__ import annotations

from typing import Any, cast

import pytest

from helicone_gw import Database
from helicone_gw.testing import VirtualClock
from helicone_gw_alerts import following
from helicone_gw_alerts.following import Follower, Following
from helicone_gw_alerts.log import Log
from helicone_gw_alerts.outbox import Outbox, Target
from helicone_gw_alerts.plugin import VERSIONS
from helicone_gw_alerts.webhooks import Sampling

pytestmark = pytest.mark.virtual_time


class FakeLog:
    """A log whose rows are ``{organization: {seq: received_at}}``, which answers what following asks on SQLite."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[int, int]] = {"red": {}, "blue": {}}

    async def post(self, organization: str, path: str, body: Any) -> Any:
        sql, rows = body["sql"], self.rows[organization]
        by_time = sorted(rows, key=lambda seq: rows[seq])
        if sql.startswith("WITH"):
            asked = {
                int(text)
                for text in sql.partition("VALUES (")[2]
                .partition(") SELECT")[0]
                .replace("(", "")
                .replace(")", "")
                .split(",")
            }
            found = [
                {"seq": seq, "id": f"{organization}{seq}", "ended_at": None, "dialect": "openai"}
                for seq in rows
                if seq in asked
            ]
        elif "WHERE received_at <" in sql:
            found = []
        elif "DESC" in sql:
            found = [{"seq": seq} for seq in by_time[::-1][: following.NEWEST]]
        else:
            found = [{"seq": seq} for seq in by_time[:200]]
        return {"rows": found}


async def test_every_row_is_offered_once_in_its_order(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "NEWEST", 30)
    database = Database(f"sqlite:///{tmp_path}/following.db")
    await database.migrate("alerts", VERSIONS)
    clock = VirtualClock()
    outbox = Outbox(database, clock, max_pending=100_000, max_dead=10)
    log = FakeLog()
    followed = Following(database, cast(Log, log), outbox)
    follower = Follower("red", Target("webhook", "w"), Sampling(), 0.0)

    async def step() -> list[str]:
        await followed.step([follower])
        return [each.payload["id"] for each in await outbox.due(follower.target, clock.now(), 100_000)]

    assert await step() == []
    log.rows["red"] |= {seq: seq for seq in range(5000, 5010)}
    assert len(await step()) == 10, "other organizations' rows stand before"
    log.rows["red"] |= {seq: seq for seq in range(5010, 6300)}
    assert len(await step()) == 1300
    log.rows["red"][7000] = 6290
    assert len(await step()) == 1301, "behind rows of others, and received before rows that were looked at"
    log.rows["red"] |= {seq: seq for seq in range(9000, 9100)}
    everything = await step()
    assert len(everything) == len(set(everything)) == 1401
    assert set(everything) == {f"red{seq}" for seq in log.rows["red"]}
    assert await step() == everything
    await database.close()

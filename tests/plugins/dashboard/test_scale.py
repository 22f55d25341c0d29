"""Pages over a million requests, in CPU time of this process: the gateway, the database and the rendering together."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from helicone_gw.testing import GatewayFactory
from tests.bench.dashboard_visits import unmeasured
from tests.plugins.logging.test_scale import DAYS, START, fill

ROWS = 1_000_000
MONTH = f"from={START}&to={START + DAYS * 86_400_000}"
ONE_MODEL = '[{"request_response_rmt":{"model":{"equals":"model-3"}}}]'
PAGES = {
    "overview, a month": f"/?{MONTH}",
    "overview, a month of one model": f"/?{MONTH}&filter={ONE_MODEL}",
    "its percentiles": f"/dashboard/percentiles/latency?{MONTH}",
    "its list of users": f"/dashboard/lists/user?{MONTH}",
    "its list of errors": f"/dashboard/lists/status?{MONTH}",
    "its number of users": f"/dashboard/active-users?{MONTH}",
    "requests, newest first": f"/dashboard/requests?{MONTH}",
    "requests of one model": f"/dashboard/requests?{MONTH}&filter={ONE_MODEL}",
    "their number": f"/dashboard/requests/count?{MONTH}",
    "sessions": f"/dashboard/sessions?{MONTH}",
    "a session": "/dashboard/session?id=session-1000",
    "users": f"/dashboard/users?{MONTH}",
    "users that are searched for": f"/dashboard/users?{MONTH}&words=1",
    "a user": f"/dashboard/user?{MONTH}&id=user-0",
    "values of a property": f"/dashboard/properties?{MONTH}",
    "models": f"/dashboard/models?{MONTH}",
    "their percentiles": f"/dashboard/models/percentiles/latency?{MONTH}",
    "the cache": f"/dashboard/cache?{MONTH}",
    "limits": f"/dashboard/limits?{MONTH}",
}
SECONDS = 0.15


@pytest.mark.full
@pytest.mark.timeout(3600)
async def test_every_page_takes_no_more_than_it_may(tmp_path: Path, gateway: GatewayFactory) -> None:
    await fill(tmp_path / "log.db", ROWS)
    database = {"url": f"sqlite:///{tmp_path / 'log.db'}"}
    async with gateway(["logging", "cost", "dashboard"], config={"database": database}) as running:
        listed = (await running.request("GET", f"/dashboard/requests?{MONTH}")).body.decode()
        one = re.search(r'data-row="([^"]+)"', listed)
        assert one is not None
        took: dict[str, float] = {}
        for name, address in {**PAGES, "a request": f"/dashboard/requests/{one[1]}"}.items():
            times = []
            for _ in range(4):
                began = time.process_time()
                reply = await running.request("GET", address, headers={"Accept": "text/html"})
                times.append(time.process_time() - began)
                assert reply.status == 200, name
            took[name] = min(times)
            print(f"\n{name}: {took[name] * 1000:.0f} ms of CPU", end="")
    assert {name: seconds for name, seconds in took.items() if seconds > SECONDS} == {}


def test_every_page_is_among_those_whose_time_is_measured() -> None:
    assert list(unmeasured()) == []

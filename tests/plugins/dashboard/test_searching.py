"""Searching: which lists look at every request, and what the page of requests says when that took too long."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest

from helicone_gw import GatewayKey
from helicone_gw.testing import GatewayFactory
from helicone_gw_dashboard.lens import Lens, leaf
from helicone_gw_dashboard.searching import WITHIN, searches
from tests.plugins.dashboard.test_pages import LOGGED, get, logged

EXPRESSION = {"type": "condition", "field": {"column": "path"}, "operator": "contains", "value": "chat"}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ((), False),
        ((leaf("model", "equals", "m"),), False),
        ((leaf("user_id", "contains", "ann"),), True),
        ((leaf("properties", "not-contains", "shop", "app"),), True),
        (({"left": leaf("model", "equals", "contains"), "operator": "or", "right": leaf("path", "like", "%x")},), True),
        (({"type": "and", "expressions": [EXPRESSION]},), True),
        ((leaf("error_message", "contains", "x"), leaf("user_id", "equals", "ann")), False),
        ((leaf("error_message", "contains", "x"), leaf("user_id", "not-equals", "ann")), True),
        ((leaf("user_id", "equals", "contains"),), False),
        (("odd", 7, None), False),
    ],
)
def test_a_part_of_a_text_is_looked_for_everywhere(filters: tuple[Any, ...], expected: bool) -> None:
    assert searches(Lens("1h", 0, 1, filters)) is expected


async def test_what_is_found_in_time_is_shown_with_a_way_to_go_on(
    gateway: GatewayFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helicone_gw_logging.query.searching.FIRST", 1)
    monkeypatch.setattr("helicone_gw_logging.query.searching.MOST", 1)
    async with gateway(LOGGED, config={"providers": {"demo": {}}}) as running:
        found = await logged(running, **{"User-Id": "needle-7"})
        for number in range(3):
            await logged(running, **{"User-Id": f"hay-{number}"})
        ask = running.gateway.pages.ask

        async def hurried(method: str, path: str, *, caller: GatewayKey | None, **more: Any) -> Any:
            if "within" in (more.get("json") or {}):
                assert more["json"]["within"] == WITHIN
                with monkeypatch.context() as patch:
                    ticks = iter(range(10_000))
                    patch.setattr(running.gateway.clock, "monotonic", lambda: float(next(ticks)))
                    return await ask(method, path, caller=caller, **more)
            return await ask(method, path, caller=caller, **more)

        monkeypatch.setattr(running.gateway.pages, "ask", hurried)
        query = Lens("1h", 0, 1).searching("needle")
        page = await get(running, f"/dashboard/requests?range=1h&filter={quote(query['filter'])}")
        for _ in range(3):
            assert "Searched back to" in page
            assert "Search further" in page
            assert found["request_id"] not in page
            assert "No request matches" not in page
            link = re.search(r'hx-get="([^"]+)" hx-target="closest tr"', page)
            assert link is not None
            page = await get(running, link[1].replace("&amp;", "&"), **{"HX-Request": "true"})
        assert f'data-row="{found["request_id"]}"' in page

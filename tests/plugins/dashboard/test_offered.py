"""Other plugins' pages and cards, drawn from data."""

from __future__ import annotations

from collections.abc import Sequence

from helicone_gw import (
    DashboardCard,
    DashboardPage,
    Gateway,
    GatewayKey,
    NotFound,
    PanelQuery,
    Plugin,
    Shown,
    ShownChart,
    ShownFigure,
    ShownTable,
    ShownText,
    hookimpl,
)
from helicone_gw.testing import GatewayFactory


class Reporting(Plugin):
    """Offers a page of every kind of part, pages that go wrong, and a card."""

    asked: PanelQuery | None = None

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        offer = gateway.pages.offer
        offer(self.name, DashboardPage("report", "My report", self._report))
        offer(self.name, DashboardPage("secret", "For admins", self._report, role="admin"))
        offer(self.name, DashboardPage("faulty", "Faulty", self._faulty))
        offer(self.name, DashboardPage("refusing", "Refusing", self._refusing))
        offer(self.name, DashboardCard("card", "My card", self._report))
        offer(self.name, DashboardCard("bad", "Bad card", self._faulty))

    async def _report(self, query: PanelQuery) -> Sequence[Shown]:
        Reporting.asked = query
        return [
            ShownText("<b>Words</b>"),
            ShownFigure("Spent", 12.5, "money"),
            ShownFigure("Share", 0.25, "percent", "of all"),
            ShownTable([("Who", "text"), ("Took", "duration"), ("When", "time")], [["<i>ann</i>", 1500, 0]] * 1001),
            ShownChart([0, 60_000], 60_000, {"a": [1, None], "b": [2.5, 3]}),
            ShownFigure("Unknown", None),
        ]

    async def _faulty(self, query: PanelQuery) -> Sequence[Shown]:
        raise RuntimeError("the password is xyzzy")

    async def _refusing(self, query: PanelQuery) -> Sequence[Shown]:
        raise NotFound("There is no report of that day.")


async def test_pages_and_cards_of_other_plugins_are_drawn(gateway: GatewayFactory) -> None:
    async with gateway(["logging", "reporting", "dashboard"], classes={"reporting": Reporting}) as running:

        async def get(path: str, status: int = 200) -> str:
            reply = await running.request("GET", path, headers={"Accept": "text/html"})
            assert reply.status == status, reply.body
            return reply.body.decode()

        page = await get("/dashboard/of/reporting/report?range=7d&day=monday")
        assert "<title>My report" in page
        assert 'href="/dashboard/of/reporting/report" aria-current="page"' in page
        assert "&lt;b&gt;Words&lt;/b&gt;" in page
        assert "$12.50" in page
        assert "25 %" in page
        assert page.count("<td>&lt;i&gt;ann&lt;/i&gt;</td>") == 1000
        assert "1 more rows are not shown" in page
        assert "1.5 s" in page
        assert "1970-01-01 00:00:00" in page
        assert "data-chart=" in page
        asked = Reporting.asked
        assert asked is not None
        assert asked.params == {"range": "7d", "day": "monday"}
        assert 0 <= 7 * 86_400_000 - (asked.end - asked.start) <= 3_600_000, "whole hours, and the one that is not over"

        await running.chat("Hello")
        assert "My card" in await get("/dashboard/cards")
        assert "cannot show this" in await get("/dashboard/cards"), "one card fails for itself"
        faulty = await get("/dashboard/of/reporting/faulty", 500)
        assert "xyzzy" not in faulty
        assert "There is no report of that day." in await get("/dashboard/of/reporting/refusing", 404)
        await get("/dashboard/of/reporting/nothing", 404)
        await get("/dashboard/of/another/report", 404)

        viewer = GatewayKey("v", "viewer", "viewer", role="viewer")
        ask = running.gateway.pages.ask
        assert (await ask("GET", "/dashboard/of/reporting/secret", caller=viewer)).status_code == 403
        assert "For admins" not in (await ask("GET", "/dashboard/welcome", caller=viewer)).text

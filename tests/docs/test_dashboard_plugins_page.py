"""docs/dashboard-plugins.md: its plugin is in the dashboard as the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from helicone_gw import Gateway, PanelQuery
from helicone_gw.testing import GatewayFactory, PluginConformance

PAGE = (Path(__file__).parents[2] / "docs" / "dashboard-plugins.md").read_text()
NAMES: dict[str, Any] = {"__name__": "refusals"}
for block in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
    exec(block, NAMES)


class TestThePlugin(PluginConformance):
    """It holds what every plugin must hold."""

    plugin = NAMES["RefusalsPlugin"]
    name = "refusals"


async def test_its_page_and_its_card_show_what_it_counted(gateway: GatewayFactory) -> None:
    plugins = ["logging", "refusals", {"security": {"keys": {"one": {"key": "k" * 40, "role": "admin"}}}}, "dashboard"]
    headers = {"Helicone-Auth": f"Bearer {'k' * 40}"}
    async with gateway(plugins, classes={"refusals": NAMES["RefusalsPlugin"]}) as running:
        assert (await running.chat("Hello")).status == 401
        page = (await running.request("GET", "/dashboard/of/refusals/reasons", headers=headers)).body.decode()
        assert "Counted by this worker" in page
        assert re.search(r"<td>\w+</td><td class=\"number\">1</td>", page)
        card = (await running.request("GET", "/dashboard/cards", headers=headers)).body.decode()
        assert "since the start" in card
        await _logged(running.gateway)
        query = PanelQuery(None, 0, 1 << 45)
        assert await NAMES["errors_of"](running.gateway, query) == 1


async def _logged(gateway: Gateway) -> None:
    for _ in range(100):
        answer = await gateway.pages.ask("POST", "/v1/request/count/query", caller=None, json={"filter": "all"})
        if answer.json()["data"]:
            return
        await gateway.clock.sleep(0.05)


def test_every_part_and_every_name_of_a_unit_is_there() -> None:
    from typing import get_args

    from helicone_gw import panels

    for part in get_args(panels.Shown):
        assert f"`{part.__name__}(" in PAGE
    for unit in get_args(panels.Unit):
        assert f"`{unit}`" in PAGE

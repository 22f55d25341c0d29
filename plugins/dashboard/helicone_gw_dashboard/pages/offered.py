"""Offered: pages and cards of other plugins, drawn from the data that they give."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Final

from quart import Response

from helicone_gw import (
    DashboardCard,
    DashboardPage,
    GatewayError,
    PanelQuery,
    Shown,
    ShownChart,
    ShownFigure,
    ShownTable,
    ShownText,
    require_role,
)
from helicone_gw_dashboard import charts, formatting
from helicone_gw_dashboard.lens import RANGES, Lens
from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.view import ASK_SECONDS, Trouble, View

PAGES = Pages("offered")

MOST_ROWS: Final = 1000
"""Rows of a table that are shown."""
MOST_PARTS: Final = 100
"""Parts of a page that are shown."""
MOST_LINES: Final = 4
"""Lines of a chart that are shown."""


@PAGES.get("/of/<plugin>/<name>", "Page")
async def offered(view: View, plugin: str, name: str) -> Response:
    """A page that the plugin instance ``plugin`` offers."""
    for owner, panel in view.gateway.pages.offered:
        if owner == plugin and panel.name == name and isinstance(panel, DashboardPage):
            require_role(view.caller, panel.role)
            lens = view.lens()
            view.title, view.section = panel.title, f"{owner}/{name}"
            parts = await _parts(view, owner, panel, lens)
            path = f"/of/{plugin}/{name}"
            return view.render("offered.html", lens=lens, ranges=RANGES, path=path, parts=parts)
    raise Trouble(404, "No plugin offers such a page.")


@PAGES.get("/cards", "Cards")
async def cards(view: View) -> Response:
    """The cards that plugins offer: a part of the overview that it need not wait for."""
    lens = view.lens()
    shown = [
        (owner, panel)
        for owner, panel in view.gateway.pages.offered
        if isinstance(panel, DashboardCard) and view.may(panel.role)
    ]
    made = await view.panels(
        **{f"{number}": _parts(view, owner, panel, lens) for number, (owner, panel) in enumerate(shown)}
    )
    return view.render("_cards.html", cards=[(panel, made[f"{n}"]) for n, (_, panel) in enumerate(shown)])


async def _parts(view: View, owner: str, panel: DashboardPage | DashboardCard, lens: Lens) -> list[dict[str, Any]]:
    """What the plugin shows, ready to be drawn. Raises `Trouble`, also for what the plugin did wrong."""
    query = PanelQuery(view.caller, lens.start, lens.end, dict(view.args))
    try:
        async with asyncio.timeout(ASK_SECONDS):
            return list(_drawn(await panel.show(query)))
    except TimeoutError:
        raise Trouble(503, f"The plugin {owner!r} took too long to answer.") from None
    except GatewayError as refused:
        raise Trouble(refused.status, refused.message) from None
    except Trouble:
        raise
    except Exception:
        view.gateway.log.exception("a plugin cannot show what it offers", plugin=owner, panel=panel.name)
        raise Trouble(500, f"The plugin {owner!r} cannot show this; the gateway's own log says why.") from None


def _drawn(shown: Sequence[Shown]) -> Iterator[dict[str, Any]]:
    for kind, group in itertools.groupby(shown[:MOST_PARTS], type):
        if kind is ShownFigure:
            yield {"kind": "figures", "figures": [_figure(part) for part in group if isinstance(part, ShownFigure)]}
            continue
        for part in group:
            if isinstance(part, ShownTable):
                yield _table(part)
            elif isinstance(part, ShownChart):
                yield {"kind": "chart", "chart": _chart(part)}
            elif isinstance(part, ShownText):
                yield {"kind": "text", "text": part.text}


def _figure(part: ShownFigure) -> dict[str, str]:
    return {"label": part.label, "value": written(part.value, part.unit), "note": part.note}


def _table(part: ShownTable) -> dict[str, Any]:
    units = [unit for _, unit in part.columns]
    return {
        "kind": "table",
        "columns": [(title, unit != "text") for title, unit in part.columns],
        "rows": [
            [(written(cell, unit), unit != "text") for cell, unit in zip(row, units, strict=False)]
            for row in part.rows[:MOST_ROWS]
        ],
        "left": max(len(part.rows) - MOST_ROWS, 0),
    }


def _chart(part: ShownChart) -> charts.Chart:
    lanes = [charts.lane(name, values, "line", number) for number, (name, values) in enumerate(part.lines.items())]
    return charts.chart(part.times, part.bucket, part.unit, *lanes[:MOST_LINES])


def written(value: Any, unit: str) -> str:
    """A value of a plugin's as it is shown; what is no number where one should be stands as it is."""
    if value is None:
        return formatting.UNKNOWN
    if unit == "time":
        return formatting.moment(value)
    if unit == "text" or isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    write = {
        "count": formatting.compact,
        "money": formatting.money,
        "duration": formatting.duration,
        "percent": formatting.percent,
    }
    return write.get(unit, str)(value)

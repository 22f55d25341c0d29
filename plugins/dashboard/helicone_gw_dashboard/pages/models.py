"""Models: what each was used for, how quick it is, what it costs, and which targets are left alone now."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from quart import Response

from helicone_gw import Usage
from helicone_gw_dashboard.asking import PERCENTILES, TOP, asked
from helicone_gw_dashboard.lens import RANGES, Lens, leaf
from helicone_gw_dashboard.listing import order, share
from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.view import Trouble, View

PAGES = Pages("models")

SORTS: Final[Mapping[str, str]] = {
    "cost": "cost",
    "requests": "requests",
    "errors": "errors",
    "tokens": "total_tokens",
}

SHARES: Final[Mapping[str, tuple[int, ...]]] = {"latency": (50, 95), "time_to_first_token": (50,)}
"""Percentiles that the table has, by what they are of."""

MOST: Final = 100
"""Models that are shown."""
MOST_PROVIDERS: Final = 12
"""Providers that are asked for the models which they answered for."""
MOST_TARGETS: Final = 200
"""Targets that are shown while they are left alone."""

_SAMPLE: Final = 1000
"""Tokens whose cost tells the price of a million: few enough for a model's lowest tier."""


class Price(NamedTuple):
    """Dollars for a million tokens; ``None`` is unknown. ``source`` says who knows it."""

    provider: str
    input: float | None
    output: float | None
    source: str


@PAGES.get("/models", "Models")
async def models(view: View) -> Response:
    """All models that were used in a period, and the health of targets as of now."""
    lens = view.lens()
    sort = order(view, SORTS, "cost")
    panels = await view.panels(
        models=view.ask("POST", TOP, json={**asked(lens), "by": "model", "sort": SORTS[sort], "limit": MOST}),
        providers=_providers(view, lens),
    )
    rows = (panels["models"].data or {"values": []})["values"]
    providers: Mapping[str, list[str]] = panels["providers"].data or {}
    measure = SORTS[sort]
    largest = max((row[measure] or 0 for row in rows), default=0)
    states = view.gateway.health.states()
    for row in rows:
        name = row["value"]
        row["id"] = _id(name)
        row["share"] = share(row[measure], largest)
        row["params"] = lens.params if name is None else lens.plus("model", "equals", name)
        row["providers"] = sorted(providers.get(name, []))
        row["prices"] = [] if name is None else [_price(view, provider, name) for provider in row["providers"]]
        targets = {f"{provider}/{name}" for provider in row["providers"]} | set(row["providers"])
        # What follows in brackets is a deployment of the target.
        row["states"] = sorted({state for target, state in states.items() if target.partition(" (")[0] in targets})
    policy = view.gateway.health.policy
    return view.render(
        "models.html",
        lens=lens,
        sort=sort,
        sorts=SORTS,
        shares=SHARES,
        ranges=RANGES,
        panel=panels["models"],
        rows=rows,
        resting=_resting(view, states) if view.operates else None,
        policy=policy,
    )


@PAGES.get("/models/percentiles/<metric>", "Models")
async def percentiles(view: View, metric: str) -> Response:
    """Percentiles of every model, for cells of the table, which need not wait for them."""
    if metric not in SHARES:
        raise Trouble(404, "There are no such percentiles.")
    lens, shares = view.lens(), SHARES[metric]
    question = {**asked(lens), "by": "model", "metric": metric, "percentiles": list(shares), "limit": MOST}
    found = await view.ask("POST", PERCENTILES, json=question)
    cells = [
        (f"{metric}-p{share}-{_id(one['value'])}", one["values"][f"p{share}"])
        for one in found["groups"]
        for share in shares
    ]
    return view.render("_model_percentiles.html", cells=cells)


def _id(model: Any) -> str:
    """What stands for a model's name in the ids of elements."""
    return hashlib.sha256(str(model).encode()).hexdigest()[:12]


async def _providers(view: View, lens: Lens) -> dict[str, list[str]]:
    """Who answered for which model, by the model's name, as far as `MOST_PROVIDERS` go."""
    question = {**asked(lens), "by": "provider", "limit": MOST_PROVIDERS}
    names = [one["value"] for one in (await view.ask("POST", TOP, json=question))["values"] if one["value"]]

    def narrowed(provider: str) -> dict[str, Any]:
        filters = [*lens.filters, leaf("provider", "equals", provider)]
        return {**asked(lens), "userFilter": filters, "by": "model", "limit": MOST}

    found = await asyncio.gather(*(view.ask("POST", TOP, json=narrowed(name)) for name in names))
    providers: dict[str, list[str]] = {}
    for name, models in zip(names, found, strict=True):
        for one in models["values"]:
            providers.setdefault(one["value"], []).append(name)
    return providers


def _price(view: View, provider: str, model: str) -> Price:
    """The price in force now, at the lowest tier."""
    found = view.gateway.prices.find(provider, model)
    if found is None:
        return Price(provider, None, None, "")

    def million(usage: Usage) -> float | None:
        cost = found.cost(usage)
        return None if cost is None else cost.nano_usd / _SAMPLE / 1000

    of_input = million(Usage(input_tokens=_SAMPLE, output_tokens=0))
    of_output = million(Usage(input_tokens=0, output_tokens=_SAMPLE))
    return Price(provider, of_input, of_output, f"{found.source} {found.version}".strip())


def _resting(view: View, states: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Targets and keys that are left alone now: name, state of the breaker, and why."""
    reasons = view.gateway.health.resting()
    shown = list(states.items())[:MOST_TARGETS]
    return [(name, state.replace("_", " "), reasons.get(name, "")) for name, state in shown]

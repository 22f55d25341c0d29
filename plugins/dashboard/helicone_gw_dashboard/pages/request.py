"""Request: all that is known of one, in the drawer beside the list and as a page of its own."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final

from quart import Response

from helicone_gw_dashboard import conversation, explaining, snippets
from helicone_gw_dashboard.arithmetic import arithmetic
from helicone_gw_dashboard.formatting import instant
from helicone_gw_dashboard.layers import layers
from helicone_gw_dashboard.lens import leaf
from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.timeline import timeline
from helicone_gw_dashboard.view import Trouble, View

PAGES = Pages("requests")

SQL: Final = "/v1/helicone-sql/execute"
_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


@PAGES.get("/requests/<id>", "Request")
async def request(view: View, id: str) -> Response:
    """One request: its conversation, bodies, timeline, cost, and what explains them."""
    path = f"/v1/request/{_quoted(id)}"
    logged = await view.ask("GET", path, params={"includeBody": "true"})
    panels = await view.panels(row=_row(view, logged), before=_before(view, logged))
    row, attempts = panels["row"].data or ({}, [])
    before = panels["before"].data
    body, answer = logged["request_body"], logged["response_body"]
    keyed = view.caller is not None
    url = f"{view.origin}{logged['request_path']}"
    replayable = isinstance(body, dict) and logged["source"] == "gateway" and logged["request_path"].startswith("/v")
    return await view.render_aside(
        "_request.html" if view.partial else "request.html",
        logged=logged,
        row=row,
        attempts=attempts,
        panels=panels,
        said=await asyncio.to_thread(conversation.read, body, answer, before["request_body"] if before else None),
        before=before,
        timeline=timeline(row, attempts),
        layers=layers(row),
        sample=view.gateway.config.pipeline.every,
        sums=[arithmetic(view.gateway.prices, attempt) for attempt in attempts],
        reasons=list(explaining.explained(row, attempts)) if row else [],
        notes=explaining.others(row),
        properties=_own(logged["properties"]),
        curl=snippets.curl(url, body, keyed=keyed) if replayable else "",
        python=snippets.python(url, body, keyed=keyed) if replayable else "",
        playground=view.site.has("/playground"),
    )


@PAGES.post("/requests/<id>/rating", "Request")
async def rate(view: View, id: str) -> Response:
    """Say whether the answer was good."""
    good = (await view.form()).get("rating") == "good"
    await view.ask("POST", f"/v1/request/{_quoted(id)}/feedback", json={"rating": good})
    return await _opinion(view, id)


@PAGES.post("/requests/<id>/score", "Request")
async def score(view: View, id: str) -> Response:
    """Give a score."""
    form = await view.form()
    try:
        value = float(form.get("value", ""))
    except ValueError:
        raise Trouble(400, "A score is a number.") from None
    await view.ask("POST", f"/v1/request/{_quoted(id)}/score", json={"scores": {form.get("name", ""): value}})
    return await _opinion(view, id)


@PAGES.post("/requests/<id>/property", "Request")
async def add_property(view: View, id: str) -> Response:
    """Give a property."""
    form = await view.form()
    given = {"key": form.get("key", "").strip(), "value": form.get("value", "")}
    await view.ask("PUT", f"/v1/request/{_quoted(id)}/property", json=given)
    return await _opinion(view, id)


async def _opinion(view: View, id: str) -> Response:
    logged = await view.ask("GET", f"/v1/request/{_quoted(id)}")
    return view.render("_opinion.html", logged=logged, properties=_own(logged["properties"]))


def _own(properties: Mapping[str, str]) -> dict[str, str]:
    """Properties without those by which Helicone's own headers are kept."""
    return {key: value for key, value in properties.items() if not key.lower().startswith("helicone-")}


async def _row(view: View, logged: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The request as the log has it, with what plugins noted, and its attempts."""
    at, one = instant(logged["request_created_at"]), _quoted(logged["id"])
    # By its time, which has an index that ids have not; nothing in these statements is a client's.
    received_at = 0 if at is None else round(at.timestamp() * 1000)
    rows = await _rows(view, f"SELECT * FROM requests WHERE received_at = {received_at} AND id = '{one}'")  # noqa: S608
    if not rows:
        return {}, []
    attempts = await _rows(view, f"SELECT * FROM attempts WHERE seq = {int(rows[0]['seq'])} ORDER BY number")  # noqa: S608
    return rows[0], attempts


async def _rows(view: View, sql: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await view.ask("POST", SQL, json={"sql": sql}))["rows"]
    return rows


async def _before(view: View, logged: Mapping[str, Any]) -> dict[str, Any] | None:
    """The request before this one in its session, with its body."""
    if not logged["session_id"]:
        return None
    node = [
        leaf("session_id", "equals", logged["session_id"]),
        leaf("request_created_at", "lt", logged["request_created_at"]),
    ]
    found = await view.ask("POST", "/v1/request/query", json={"filter": node, "limit": 1})
    if not found:
        return None
    one: dict[str, Any] = await view.ask(
        "GET", f"/v1/request/{_quoted(found[0]['id'])}", params={"includeBody": "true"}
    )
    return one


def _quoted(id: str) -> str:
    """``id``, if it can be one: then it stands for itself in paths and in SQL. Raises `Trouble` (404)."""
    if not _ID.fullmatch(id):
        raise Trouble(404, "There is no request of that id.")
    return id

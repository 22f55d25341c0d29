"""Trees over HTTP: what a session is made of (contract 12)."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from msgspec import Struct

from helicone_gw_logging.api.routes import Call, Refused, Routes
from helicone_gw_logging.api.rows import dollars, logged_status
from helicone_gw_logging.measures import known_sum
from helicone_gw_logging.query import sessions as query
from helicone_gw_logging.query.reading import reading
from helicone_gw_logging.query.requests import Row
from helicone_gw_logging.query.sorts import HITS
from helicone_gw_logging.query.tree import Node, tree, ways, written
from helicone_gw_logging.times import iso

ROUTES = Routes("sessions")

MAX_REQUESTS: Final = 2000
"""Requests that a tree is made of."""


class SessionRow(Struct, frozen=True, kw_only=True):
    """A session: its requests with one id and one name. Cost and tokens are what is known, null where nothing is.

    ``duration`` is seconds from the first request to the last, ``avg_latency`` milliseconds.
    """

    session_id: str
    session_name: str
    created_at: str
    latest_request_created_at: str
    duration: float
    total_requests: int
    errors: int
    total_cost: float | None
    unknown_costs: int
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    unknown_tokens: int
    avg_latency: float | None
    tag: str | None = None


class OneSession(Struct, frozen=True, forbid_unknown_fields=True):
    """Which of an id's sessions: those with one name ("": those without), or all."""

    name: str | None = None


class TreeNode(Struct, frozen=True, kw_only=True):
    """One path of a session, and what its requests and all below it come to.

    ``parent`` is the path above, null at the root. ``request_ids`` are its own, by their ``id``. ``duration_ms`` runs
    from the beginning of the first request to the end of the last answer, ``latency_ms`` is all latencies together.
    Cost and tokens are what is known, null where there are requests and nothing is.
    """

    path: str
    parent: str | None
    label: str
    depth: int
    request_ids: list[str]
    started_at: str | None
    offset_ms: int
    duration_ms: int
    latency_ms: int
    requests: int
    errors: int
    cost: float | None
    unknown_costs: int
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    unknown_tokens: int


class TreeRequest(Struct, frozen=True, kw_only=True):
    """A request of a session; ``offset_ms`` is how long after the session's beginning it came."""

    id: str
    request_id: str
    path: str
    name: str | None
    started_at: str
    offset_ms: int
    latency: int | None
    time_to_first_token: int | None
    status: int
    outcome: str
    error_code: str | None
    provider: str | None
    model: str | None
    operation: str
    source: str
    stream: bool
    cached: bool
    cost: float | None
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    trace_id: str | None
    span_id: str | None
    parent_span_id: str | None


class SessionTree(Struct, frozen=True, kw_only=True):
    """A session: what it comes to for each of its names, its paths as a tree (each before what is below it), its
    requests by their time. ``complete`` is false where there are more requests than are shown (2,000)."""

    session_id: str
    sessions: list[SessionRow]
    tag: str | None
    nodes: list[TreeNode]
    requests: list[TreeRequest]
    complete: bool


@ROUTES.get("/v1/session/{id}/tree", query=OneSession, data=SessionTree, errors=(404,))
async def one(call: Call) -> SessionTree:
    """What a session is made of: its requests, and their paths as a tree with what each part of it comes to."""
    session, name = call.path["id"], call.query.name
    async with reading(call.database) as connection:
        summaries = await query.of_id(connection, call.scope, session, name)
        rows = await query.requests_of(connection, call.scope, session, name, MAX_REQUESTS + 1)
        tag = await query.tag_of(connection, call.scope, session)
    if not summaries and not rows:
        raise Refused(404, "Session not found")
    complete, rows = len(rows) <= MAX_REQUESTS, rows[:MAX_REQUESTS]
    begun = rows[0]["received_at"] if rows else 0
    nodes, found = await asyncio.to_thread(lambda: ([_node(node, rows, begun) for node in tree(rows)], ways(rows)))
    return SessionTree(
        session_id=session,
        sessions=[session_row({**each, "tag": tag}) for each in summaries],
        tag=tag,
        nodes=nodes,
        requests=[_request(row, way, begun) for row, way in zip(rows, found, strict=True)],
        complete=complete,
    )


def session_row(row: Row) -> SessionRow:
    """A session as the API shows it; ``row`` is by column, and has its ``tag``."""
    requests = row["requests"]
    prompt, completion, total = (
        known_sum(row[name], row["unknown_tokens"], requests)
        for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    )
    return SessionRow(
        session_id=row["session_id"],
        session_name=row["session_name"],
        created_at=iso(row["first_at"]) or "",
        latest_request_created_at=iso(row["last_at"]) or "",
        duration=(row["last_at"] - row["first_at"]) / 1000,
        total_requests=requests,
        errors=row["errors"],
        total_cost=dollars(known_sum(row["cost_nano_usd"], row["unknown_costs"], requests)),
        unknown_costs=row["unknown_costs"],
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=total,
        unknown_tokens=row["unknown_tokens"],
        avg_latency=row["latency_sum"] / row["latency_count"] if row["latency_count"] else None,
        tag=row["tag"],
    )


def _node(node: Node, rows: list[Row], begun: int) -> TreeNode:
    unknown, requests = node.unknown_tokens, node.requests
    return TreeNode(
        path=node.path,
        parent=node.parent,
        label=node.label,
        depth=node.depth,
        request_ids=[rows[place]["id"] for place in node.own],
        started_at=iso(node.started_at) if node.requests else None,
        offset_ms=node.started_at - begun if node.requests else 0,
        duration_ms=node.ended_at - node.started_at,
        latency_ms=node.latency,
        requests=requests,
        errors=node.errors,
        cost=dollars(known_sum(node.cost_nano_usd, node.unknown_costs, requests)),
        unknown_costs=node.unknown_costs,
        prompt_tokens=known_sum(node.prompt_tokens, unknown, requests),
        completion_tokens=known_sum(node.completion_tokens, unknown, requests),
        total_tokens=known_sum(node.total_tokens, unknown, requests),
        unknown_tokens=unknown,
    )


def _request(row: Row, way: tuple[str, ...], begun: int) -> TreeRequest:
    same = {name: row[name] for name in TreeRequest.__struct_fields__ if name in row}
    made: dict[str, Any] = {
        "path": written(way),
        "name": row["session_name"],
        "started_at": iso(row["received_at"]) or "",
        "offset_ms": row["received_at"] - begun,
        "status": logged_status(row["status"], row["outcome"], row["threat"]),
        "model": row["model"] or row["request_model"],
        "cached": row["cache_status"] in HITS,
        "cost": dollars(row["cost_nano_usd"]),
    }
    return TreeRequest(**{**same, **made})

"""Tree: the requests of a session as its paths order them: labels from the root down, what leads to them implied."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from msgspec import Struct

MAX_DEPTH: Final = 32
"""Labels of a path that make nodes of their own; what is deeper is one node with the rest of the path as its label."""

ABOVE: Final = "trace.above"
"""The annotation of a request whose path is known from somewhere on only: the span that the path goes on from."""

Row = dict[str, Any]


class Node(Struct):
    """One path: its own requests, and what they and all below come to.

    ``path`` has a slash before every label; the root's is "/". Times are epoch milliseconds: ``started_at`` when the
    first request came, ``ended_at`` when the last answer ended. ``cost_nano_usd`` is what is known.
    """

    path: str
    parent: str | None
    label: str
    depth: int
    own: list[int] = []
    started_at: int = 0
    ended_at: int = 0
    requests: int = 0
    errors: int = 0
    cost_nano_usd: int = 0
    unknown_costs: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    unknown_tokens: int = 0
    latency: int = 0


def labels(path: str | None) -> tuple[str, ...]:
    """The labels of a path, which may begin or end with slashes; none: the root."""
    return _bounded([label for label in (path or "").split("/") if label])


def ways(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """The labels that lead to each of a session's requests.

    Those of a span that was told of before the spans above it go on from where these are, as far as they came since.
    """
    spans = {(row["trace_id"], row["span_id"]): place for place, row in enumerate(rows) if row["span_id"]}
    found: list[tuple[str, ...] | None] = [None] * len(rows)
    for start in range(len(rows)):
        open_ones: dict[int, None] = {}
        place: int | None = start
        while place is not None and found[place] is None and place not in open_ones:
            open_ones[place] = None
            row = rows[place]
            place = spans.get((row["trace_id"], (row["annotations"] or {}).get(ABOVE)))
        way = () if place is None else found[place] or ()
        for place in reversed(open_ones):
            way = found[place] = _bounded([*way, *labels(rows[place]["session_path"])])
    return [way or () for way in found]


def _bounded(found: list[str]) -> tuple[str, ...]:
    if len(found) > MAX_DEPTH:
        found = [*found[: MAX_DEPTH - 1], "/".join(found[MAX_DEPTH - 1 :])]
    return tuple(found)


def tree(rows: Sequence[Row]) -> list[Node]:
    """The nodes of a session's requests, each before what is below it, siblings by the time of their first request.

    ``own`` of a node are places in ``rows``, which are in the order of their times.
    """
    nodes: dict[tuple[str, ...], Node] = {(): Node("/", None, "", 0)}
    for place, (row, way) in enumerate(zip(rows, ways(rows), strict=True)):
        for depth in range(len(way) + 1):
            here = way[:depth]
            node = nodes.get(here)
            if node is None:
                node = nodes[here] = Node(written(here), written(here[:-1]), here[-1], depth)
            _add(node, row)
        nodes[way].own.append(place)
    # A node comes into being with the first of its requests, so that siblings are in the order of time already.
    children: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for way in nodes:
        if way:
            children.setdefault(way[:-1], []).append(way)
    ordered: list[Node] = []
    waiting: list[tuple[str, ...]] = [()]
    while waiting:
        way = waiting.pop()
        ordered.append(nodes[way])
        waiting += reversed(children.get(way, []))
    return ordered


def written(labels: Iterable[str]) -> str:
    """The path of these labels."""
    return "/" + "/".join(labels)


def _add(node: Node, row: Row) -> None:
    ended = row["ended_at"] if row["ended_at"] is not None else row["received_at"] + (row["latency"] or 0)
    node.started_at = min(node.started_at, row["received_at"]) if node.requests else row["received_at"]
    node.ended_at = max(node.ended_at, ended) if node.requests else ended
    node.requests += 1
    node.errors += row["outcome"] != "ok"
    node.cost_nano_usd += row["cost_nano_usd"] or 0
    node.unknown_costs += row["cost_nano_usd"] is None
    node.prompt_tokens += row["prompt_tokens"] or 0
    node.completion_tokens += row["completion_tokens"] or 0
    node.total_tokens += row["total_tokens"] or 0
    node.unknown_tokens += row["total_tokens"] is None
    node.latency += row["latency"] or 0

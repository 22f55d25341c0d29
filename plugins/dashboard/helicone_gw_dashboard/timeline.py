"""Timeline: where the time of a request went, as far as its row and its attempts have it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from helicone_gw_dashboard.explaining import noted


class Step(NamedTuple):
    """A step of the way: it began ``start`` ms after the request and took ``took``; both also as parts of the whole.

    ``kind``: waited, took or failed.
    """

    name: str
    note: str
    kind: str
    start: float
    took: float
    left: float
    width: float


def timeline(row: Mapping[str, Any], attempts: Sequence[Mapping[str, Any]]) -> list[Step]:
    """The steps of a request in their order: what was waited for, attempts, the answer. Times are epoch ms."""
    received, ended = row.get("received_at"), row.get("ended_at")
    if received is None or ended is None:
        return []
    whole = max(ended - received, 1)
    steps: list[Step] = []

    def add(name: str, start: float | None, end: float | None, kind: str = "took", note: str = "") -> None:
        if start is None or end is None or end < start:
            return
        left = min(max(start - received, 0) / whole, 1)
        width = min(max(end - start, 0) / whole, 1 - left)
        steps.append(Step(name, note, kind, start - received, end - start, left * 100, width * 100))

    notes = noted(row)
    at = received
    queued = notes.get("ratelimit.queued_ms")
    if isinstance(queued, (int, float)):
        add("Queue of a limit", received, received + queued, "waited")
        at = received + queued
    for name, note in notes.items():
        if isinstance(note, dict) and isinstance(note.get("ms"), (int, float)):
            add(name, at, at + note["ms"], "took", f"{note.get('calls', 1)} call of a plugin's own")
    for attempt in attempts:
        started, first, last = attempt["started_at"], attempt["first_byte_at"], attempt["ended_at"]
        add("Gateway" if at == received else "Pause before the next attempt", at, started, "waited")
        model = attempt["model"] or attempt["request_model"] or ""
        name = f"{attempt['provider']} {model}".strip()
        status = attempt["status"]
        failed = bool(attempt["error_code"]) or (status is not None and status >= 400)
        note = attempt["error_code"] or ("" if status is None else str(status))
        if failed or first is None:
            add(name, started, last if last is not None else ended, "failed" if failed else "took", note)
        else:
            add(f"{name}: first byte", started, first, "waited", note)
            add(f"{name}: answer", first, last if last is not None else ended)
        at = max(at, last if last is not None else ended)
    for name, start, took in _waits(notes.get("pipeline.waits")):
        add(f"The answer, for a check of {name}", received + start, received + start + took, "waited")
        at = max(at, received + start + took)
    if not attempts:
        add("Gateway, without any provider", at, ended)
    elif ended > at:
        add("Gateway", at, ended, "waited")
    return steps


def _waits(note: object) -> Iterator[tuple[str, float, float]]:
    """What the gateway noted that an answer waited for: whom, when (ms after the request was received), how long."""
    for each in note if isinstance(note, list) else ():
        if isinstance(each, list) and len(each) == 3 and isinstance(each[0], str):
            name, start, took = each
            if all(isinstance(one, (int, float)) and 0 <= one < 1e12 for one in (start, took)):
                yield name, start, took

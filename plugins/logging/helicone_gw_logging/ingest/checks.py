"""Checks: whether the body of a log call is what Helicone's contract says (section 1.5), field by field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from helicone_gw_logging.ingest.instants import in_range, instant, number

ROUNDING = 0.002
"""Seconds that an end may lie before its start: clients round both."""


class Problem(Struct, frozen=True):
    """What is wrong with one field; ``field`` is its path with dots, "" for the whole body."""

    field: str
    message: str


class Refused(Exception):
    """A log call that cannot be taken, with everything that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(" ".join(f"{each.field or 'body'}: {each.message}" for each in problems))
        self.problems = problems


def problems(body: Mapping[str, Any], now: float, *, timing_optional: bool) -> list[Problem]:
    """Everything that is wrong with ``body``; ``now`` is in epoch seconds."""
    found = [*_request(body.get("providerRequest")), *_response(body.get("providerResponse"))]
    timing = body.get("timing")
    if timing is None and timing_optional:
        return found
    return found + _timing(timing, now)


def times(timing: Any, now: float) -> tuple[float, float, float | None]:
    """Start, end and first token in epoch seconds, of a ``timing`` without problems (``None``: all now)."""
    if not isinstance(timing, dict):
        return now, now, None
    started = instant(timing.get("startTime"))
    ended = instant(timing.get("endTime"))
    assert started is not None
    assert ended is not None
    first = number(timing.get("timeToFirstToken"))
    return started, max(started, ended), None if first is None or first < 0 else started + first / 1000


def _request(given: Any) -> list[Problem]:
    if not isinstance(given, dict):
        return [_wrong("providerRequest", "an object", given)]
    found = []
    if not isinstance(given.get("url"), str) or not given["url"]:
        found.append(_wrong("providerRequest.url", "a non-empty string", given.get("url")))
    if not isinstance(given.get("json"), dict):
        found.append(_wrong("providerRequest.json", "an object", given.get("json")))
    if not isinstance(given.get("meta"), dict | None):
        found.append(_wrong("providerRequest.meta", "an object", given.get("meta")))
    return found


def _response(given: Any) -> list[Problem]:
    if not isinstance(given, dict):
        return [_wrong("providerResponse", "an object", given)]
    found = []
    status = given.get("status")
    whole = isinstance(status, int | float) and -1000 < status < 1000 and status == int(status)
    if isinstance(status, bool) or not whole:
        found.append(_wrong("providerResponse.status", "a number", status))
    if not isinstance(given.get("headers"), dict | None):
        found.append(_wrong("providerResponse.headers", "an object", given.get("headers")))
    answer, text = given.get("json"), given.get("textBody")
    if not isinstance(text, str | None):
        found.append(_wrong("providerResponse.textBody", "a string", text))
    if not isinstance(answer, dict | str | None):
        found.append(_wrong("providerResponse.json", "an object", answer))
    elif answer is None and text is None:
        found.append(Problem("providerResponse", "Either json or textBody is required."))
    return found


def _timing(given: Any, now: float) -> list[Problem]:
    if not isinstance(given, dict):
        return [_wrong("timing", "an object", given)]
    found = []
    at: dict[str, float] = {}
    for name in ("startTime", "endTime"):
        field, value = f"timing.{name}", given.get(name)
        moment = instant(value)
        if value is None:
            found.append(Problem(field, "It is required."))
        elif moment is None:
            found.append(Problem(field, "It must be a time: seconds and milliseconds, or a string."))
        elif moment < 0:
            found.append(Problem(field, "It must not be negative."))
        else:
            at[name] = moment
    if len(at) == 2:
        started, ended = at["startTime"], at["endTime"]
        if started - ended > ROUNDING:
            found.append(Problem("timing.startTime", "It must not be later than endTime."))
        elif not in_range(started, max(started, ended), now):
            found.append(Problem("timing.startTime", "It must lie within the last ten years, and not ahead of now."))
    return found


def _wrong(field: str, wanted: str, given: Any) -> Problem:
    return Problem(field, "It is required." if given is None else f"It must be {wanted}.")

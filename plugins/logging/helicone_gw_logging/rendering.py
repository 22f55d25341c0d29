"""Rendering: logged requests for people and for programs."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from helicone_gw_logging.query import LoggedBody, LoggedRequest, RequestDetail
from helicone_gw_logging.times import iso, local

ID = 18
"""Characters of an id that a line shows: ids begin with their time, those of one minute share the first eight."""

_TIMES = ("received_at", "first_byte_at", "first_token_at", "ended_at", "started_at")
COLUMNS = (
    ("time", 19, "left"),
    ("id", ID, "left"),
    ("status", 6, "right"),
    ("provider", 12, "left"),
    ("model", 28, "left"),
    ("latency", 8, "right"),
    ("first", 8, "right"),
    ("tokens", 15, "right"),
    ("cost", 12, "right"),
    ("user", 16, "left"),
    ("outcome", 40, "left"),
)


def as_json(request: LoggedRequest) -> bytes:
    """One line of JSON: every column by its name, times in ISO 8601 (UTC), ``properties`` as an object."""
    return msgspec.json.encode(_values(request))


def detail_as_json(detail: RequestDetail) -> bytes:
    """The same with ``attempts``, ``request_body`` and ``response_body``."""
    return msgspec.json.encode(
        {
            **_values(detail.request),
            "attempts": [
                _with_times(row.model_dump(exclude={"seq", "organization_id", "received_at"}))
                for row in detail.attempts
            ],
            "request_body": _body_values(detail.request_body),
            "response_body": _body_values(detail.response_body),
        }
    )


def table(requests: Iterable[LoggedRequest]) -> Table:
    """A table of requests, one line each."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name, _, justify in COLUMNS:
        shown.add_column(name, justify="right" if justify == "right" else "left", no_wrap=True, overflow="ellipsis")
    for request in requests:
        shown.add_row(*cells(request))
    return shown


def line(request: LoggedRequest) -> Text:
    """The same line by itself, in columns of fixed width, for a list that has no end."""
    return _line(cells(request))


def header() -> Text:
    """The names over such lines."""
    return _line([Text(name, style="bold") for name, _, _ in COLUMNS])


def cells(request: LoggedRequest) -> list[Text]:
    """The values of one line, in the order of `COLUMNS`."""
    row = request.row
    good = row.outcome == "ok" and (row.status or 0) < 400
    problem = "" if good else " ".join(part for part in (row.outcome, row.error_code) if part)
    tokens = (
        ""
        if row.prompt_tokens is None and row.completion_tokens is None
        else (f"{_number(row.prompt_tokens)} > {_number(row.completion_tokens)}")
    )
    return [
        Text(local(row.received_at)),
        Text(row.id[:ID], style="cyan"),
        Text("-" if row.status is None else str(row.status), style="green" if good else "red"),
        printable(row.provider or "-"),
        printable(row.model or row.request_model or "-"),
        Text(_seconds(row.latency)),
        Text(_seconds(row.time_to_first_token)),
        Text(tokens),
        Text(dollars(row.cost_nano_usd)),
        printable(row.user_id or ""),
        printable(problem, style="red"),
    ]


def facts(detail: RequestDetail) -> Iterable[Text]:
    """Everything about one request, line by line."""
    for name, value in _values(detail.request).items():
        if value is None or value == {} or name in ("seq", "hour"):
            continue
        shown = dollars(value) if name == "cost_nano_usd" else value
        if isinstance(shown, dict):
            shown = msgspec.json.encode(shown).decode()
        yield Text(f"{name:<28} ", style="bold").append_text(printable(str(shown)))
    for attempt in detail.attempts:
        what = f"{attempt.provider}/{attempt.request_model or '-'}"
        how = "no answer" if attempt.status is None else str(attempt.status)
        problem = f": {attempt.error_message}" if attempt.error_message else ""
        yield Text(f"attempt {attempt.number:<20} ", style="bold").append_text(printable(f"{what} {how}{problem}"))
    for title, body in (("request body", detail.request_body), ("response body", detail.response_body)):
        if body is not None:
            yield Text(f"\n{title} ({', '.join(filter(None, (body.state, body.content_type)))})", style="bold")
            yield body_text(body)


def body_text(body: LoggedBody) -> Text:
    """A body for the terminal: JSON indented, other text as it is, anything else by its size."""
    if body.data is None:
        return Text("(not kept)" if body.state in ("unreadable", "dropped") else "(empty)", style="dim")
    try:
        return printable(msgspec.json.format(body.data, indent=2).decode())
    except (msgspec.DecodeError, UnicodeDecodeError):
        decoded = _as_text(body)
    return Text(f"({len(body.data)} bytes, not text)", style="dim") if decoded is None else printable(decoded)


def printable(text: str, style: str = "") -> Text:
    """Text without control characters: what a client or a provider sent must not steer the terminal."""
    return Text("".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text), style=style)


def dollars(nano_usd: int | None) -> str:
    """An amount in US dollars, exact; ``?`` when it is unknown."""
    if nano_usd is None:
        return "?"
    return f"${(Decimal(nano_usd) / 10**9).normalize():f}" if nano_usd else "$0"


def _values(request: LoggedRequest) -> dict[str, Any]:
    return {**_with_times(request.row.model_dump()), "properties": dict(request.properties)}


def _with_times(values: dict[str, Any]) -> dict[str, Any]:
    return {name: iso(value) if name in _TIMES else value for name, value in values.items()}


def _body_values(body: LoggedBody | None) -> dict[str, Any] | None:
    if body is None:
        return None
    text = None if body.data is None else _as_text(body)
    values: dict[str, Any] = {"state": body.state, "content_type": body.content_type, "text": text}
    if body.data is not None and text is None:
        values["base64"] = base64.b64encode(body.data).decode()
    return values


def _as_text(body: LoggedBody) -> str | None:
    data = body.data or b""
    try:
        # A body that was cut may end inside a character.
        text = data.decode("utf-8", "ignore" if body.state == "truncated" else "strict")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _line(values: list[Text]) -> Text:
    whole = Text()
    for (_, width, justify), value in zip(COLUMNS, values, strict=True):
        value.truncate(width, overflow="ellipsis")
        value.align("right" if justify == "right" else "left", width)
        whole.append_text(value).append(" ")
    whole.rstrip()
    return whole


def _seconds(milliseconds: int | None) -> str:
    return "" if milliseconds is None else f"{milliseconds / 1000:.2f} s"


def _number(count: int | None) -> str:
    return "?" if count is None else str(count)

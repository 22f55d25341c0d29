"""Datasets: requests and their answers as JSON lines, in the forms that fine-tuning takes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Literal

import msgspec

from helicone_gw_alerts.log import Log
from helicone_gw_alerts.texts import exchanged

Form = Literal["openai-chat", "pairs", "bodies"]
PAGE: Final = 100
"""Requests that are read at once."""
MAX_LINES: Final = 100_000
"""Lines of one dataset."""


async def lines(log: Log, organization: str, filter: Any, form: Form, limit: int) -> AsyncIterator[bytes]:
    """A line for each request that ``filter`` matches, oldest first; those that have no place in ``form`` are left out.

    Raises `LogUnavailable` and `Refusal`.
    """
    cursor_at, written = 0, 0
    while written < limit:
        asked = {"filter": filter, "sort": {"created_at": "asc"}, "limit": PAGE, "offset": cursor_at}
        rows = await log.post(organization, "/v1/request/query-clickhouse", asked)
        for row in rows:
            whole = await log.get(organization, f"/v1/request/{row['id']}", includeBody="true")
            line = made(whole, form)
            if line is not None and written < limit:
                written += 1
                yield line
        cursor_at += len(rows)
        if len(rows) < PAGE:
            return


def made(row: Mapping[str, Any], form: Form) -> bytes | None:
    """A request as a line; ``None`` for one without bodies, without an answer, or that ``form`` cannot show."""
    request, response = row["request_body"], row["response_body"]
    if request is None or response is None or row["outcome"] != "ok":
        return None
    value: Any
    if form == "bodies":
        value = {"id": row["id"], "request": request, "response": response, "scores": row["scores"]}
    else:
        chat = isinstance(request, dict) and isinstance(request.get("messages"), list)
        anthropic = row["operation"] == "messages"
        what = exchanged(row, "anthropic" if anthropic else "openai")
        if not what.response:
            return None
        if form == "pairs":
            value = {"prompt": what.request, "completion": what.response}
        elif not chat:
            return None
        else:
            system = request.get("system")
            first = [{"role": "system", "content": system}] if isinstance(system, str) and anthropic else []
            answer = {"role": "assistant", "content": what.response}
            value = {"messages": [*first, *request["messages"], answer]}
    return msgspec.json.encode(value) + b"\n"

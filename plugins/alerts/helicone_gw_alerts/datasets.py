"""Datasets: requests and their answers as JSON lines, in the forms that fine-tuning takes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
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
        dialects = await _dialects(log, organization, [row["id"] for row in rows])
        for row in rows:
            whole = await log.get(organization, f"/v1/request/{row['id']}", includeBody="true")
            line = made(whole, form, dialects.get(row["id"], "openai"))
            if line is not None and written < limit:
                written += 1
                yield line
        cursor_at += len(rows)
        if len(rows) < PAGE:
            return


async def _dialects(log: Log, organization: str, ids: Sequence[str]) -> dict[str, str]:
    """The clients' dialects, by request."""
    if not ids:
        return {}
    listed = ", ".join("'" + each.replace("\0", "").replace("'", "''") + "'" for each in ids)
    query = f"SELECT id, dialect FROM requests WHERE id IN ({listed})"  # noqa: S608
    rows = (await log.post(organization, "/v1/helicone-sql/execute", {"sql": query}))["rows"]
    return {row["id"]: str(row["dialect"]) for row in rows}


def made(row: Mapping[str, Any], form: Form, dialect: str) -> bytes | None:
    """A request as a line; ``None`` for one without bodies, without an answer, or that ``form`` cannot show."""
    request, response = row["request_body"], row["response_body"]
    if request is None or response is None or row["outcome"] != "ok":
        return None
    value: Any
    if form == "bodies":
        value = {"id": row["id"], "request": request, "response": response, "scores": row["scores"]}
    else:
        what = exchanged(row, dialect)
        if not what.response:
            return None
        if form == "pairs":
            value = {"prompt": what.request, "completion": what.response}
        else:
            messages = _messages(request, dialect)
            if messages is None:
                return None
            value = {"messages": [*messages, {"role": "assistant", "content": what.response}]}
    return msgspec.json.encode(value) + b"\n"


def _messages(request: Any, dialect: str) -> list[Any] | None:
    """What was asked as messages of OpenAI's; ``None`` where it is not, or where those could not say it."""
    messages = request.get("messages") if isinstance(request, dict) else None
    if not isinstance(messages, list) or dialect != "anthropic":
        return messages if isinstance(messages, list) else None
    system = request.get("system")
    found = [] if system is None else [{"role": "system", "content": _text(system)}]
    for each in messages:
        known = isinstance(each, dict) and each.get("role") in ("user", "assistant")
        found.append({"role": each["role"], "content": _text(each.get("content"))} if known else {"content": None})
    return None if any(each["content"] is None for each in found) else found


def _text(content: Any) -> str | None:
    """Anthropic's content, where it is nothing but text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    texts = [each["text"] for each in content if isinstance(each, dict) and isinstance(each.get("text"), str)]
    return "\n".join(texts) if len(texts) == len(content) else None

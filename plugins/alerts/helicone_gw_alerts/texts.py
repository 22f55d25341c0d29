"""Texts: what was asked and what was answered, read out of the bodies that the log keeps, in any dialect."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from helicone_gw import Chunk, MalformedBody, text_pieces, wire_format


class Exchanged(Struct, frozen=True):
    """What is scored: the texts of request and answer, and both bodies as the log keeps them (JSON, or text)."""

    id: str
    request: str
    response: str
    request_body: Any = None
    response_body: Any = None
    model: str | None = None
    properties: Mapping[str, str] = msgspec.field(default_factory=dict)


def exchanged(row: Mapping[str, Any], dialect: str) -> Exchanged:
    """What a row of the log, with its bodies, says; ``dialect`` is the client's."""
    request, response = row["request_body"], row["response_body"]
    return Exchanged(
        id=row["id"],
        request=_request_text(request, dialect, row["operation"]),
        response=_response_text(response, dialect, row["operation"]),
        request_body=request,
        response_body=response,
        model=row["model"],
        properties=row["properties"],
    )


def _request_text(body: Any, dialect: str, operation: str) -> str:
    wire = wire_format(dialect, operation)
    if body is None or wire is None:
        return _plain(body)
    try:
        return "\n".join(wire.prompt_text(_bytes(body)))
    except MalformedBody:
        return _plain(body)


def _response_text(body: Any, dialect: str, operation: str) -> str:
    if isinstance(body, str) and ("data:" in body[:1000] or "event:" in body[:1000]):
        events = re.split(r"\r?\n\r?\n", body)
        pieces = [
            piece.text
            for event in events
            if event.strip()
            for piece in text_pieces(dialect, operation, Chunk(event.encode() + b"\n\n").json)
            if not piece.whole
        ]
        return "".join(pieces)
    wire = wire_format(dialect, operation)
    if body is None or wire is None:
        return _plain(body)
    return "\n".join(wire.reply_text(_bytes(body)))


def _plain(body: Any) -> str:
    return "" if body is None else body if isinstance(body, str) else msgspec.json.encode(body).decode()


def _bytes(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else msgspec.json.encode(body)

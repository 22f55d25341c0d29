"""Answers that the lane itself gives to what never reaches the application: OpenAI's error shape, which SDKs read."""

from __future__ import annotations

import json
from http import HTTPStatus

from helicone_gw.engines.http1.errors import BadMessage

_CODES = {
    408: "request_timeout",
    431: "headers_too_large",
    414: "uri_too_long",
    500: "internal_error",
    503: "unavailable",
}


def refusal(problem: BadMessage) -> bytes:
    """A whole answer, after which the connection is closed."""
    status = HTTPStatus(problem.status)
    error = {
        "message": problem.reason,
        "type": "invalid_request_error" if status < 500 else "api_error",
        "param": None,
        "code": _CODES.get(status, "invalid_request"),
    }
    body = json.dumps({"error": error}).encode("ascii")
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body

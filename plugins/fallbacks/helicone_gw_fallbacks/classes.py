"""Classes of failure: what kind of error an attempt ended with, whatever the provider's words for it."""

from __future__ import annotations

import json
import re
from typing import Any, Literal, get_args

from helicone_gw import (
    AuthenticationFailed,
    BadRequest,
    GatewayError,
    PermissionDenied,
    UpstreamConnectError,
    UpstreamError,
    UpstreamStatus,
    UpstreamStreamError,
    UpstreamTimeout,
)

ErrorClass = Literal[
    "rate_limit",
    "overloaded",
    "server",
    "timeout",
    "connection",
    "auth",
    "not_found",
    "context_length",
    "content_policy",
    "invalid",
    "not_offered",
]
"""``not_offered``: the gateway has no credential for the target, or cannot carry the request to it."""

CLASSES: tuple[ErrorClass, ...] = get_args(ErrorClass)

_BY_STATUS: dict[int, ErrorClass] = {
    401: "auth",
    402: "auth",
    403: "auth",
    404: "not_found",
    408: "timeout",
    410: "not_found",
    429: "rate_limit",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}
_OURS = frozenset(
    {
        "model_not_permitted",
        "operation_not_offered",
        "provider_credential_unavailable",
        "provider_key_not_found",
        "provider_not_configured",
        "provider_not_permitted",
        "stored_state_not_available",
        "translation_loss",
    }
)
"""Codes of refusals of the gateway's own that are about one target."""

_TOO_LONG = re.compile(
    r"context.{0,10}(length|window|size)|maximum.context|prompt.is.too.long|input.is.too.long|too.many.(input.)?tokens"
    r"|exceeds?.{0,30}(token|context)|token.{0,30}exceed|reduce.the.length",
    re.IGNORECASE | re.DOTALL,
)
_UNWANTED = re.compile(
    r"content.{0,12}(policy|filter)|responsible.?ai|safety.(system|setting)|usage.polic|prohibited.content|moderation",
    re.IGNORECASE | re.DOTALL,
)
_SEARCHED = 4096
"""Characters of an error's words that are looked at."""


def classify(error: GatewayError) -> ErrorClass | None:
    """The class of a failed attempt's ``error``; ``None`` for an error that no other target would change."""
    if isinstance(error, UpstreamTimeout):
        return "timeout"
    if isinstance(error, UpstreamStatus):
        return _of_status(error.status, _words(error.response.body or b""))
    if isinstance(error, UpstreamStreamError):
        return _of_status(error.status, (error.message[:_SEARCHED] + " " + _event_words(error.event)))
    if isinstance(error, (UpstreamConnectError, UpstreamError)):
        return "connection"
    if isinstance(error, (AuthenticationFailed, BadRequest, PermissionDenied)) and error.code in _OURS:
        return "not_offered"
    return None


def _of_status(status: int, words: str) -> ErrorClass:
    if status in (400, 413, 422):
        # OpenAI, Anthropic, Gemini, Azure and Bedrock all say these with a status that means many other things.
        return (
            "context_length" if _TOO_LONG.search(words) else "content_policy" if _UNWANTED.search(words) else "invalid"
        )
    if status == 403 and _UNWANTED.search(words):
        return "content_policy"
    if "overloaded_error" in words:
        return "overloaded"
    return _BY_STATUS.get(status, "server" if status >= 500 else "invalid")


def _event_words(event: bytes) -> str:
    data = [line[5:].strip() for line in event.splitlines() if line.startswith(b"data:")]
    return _words(b"\n".join(data))


def _words(body: bytes) -> str:
    """What an error says of itself: its code, type, status and message."""
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return body[:_SEARCHED].decode(errors="replace")
    if isinstance(value, list) and value:
        value = value[0]  # Gemini's streams answer errors in an array
    problem = value.get("error", value) if isinstance(value, dict) else value
    if not isinstance(problem, dict):
        return str(problem)[:_SEARCHED]
    said = [
        str(problem[key]) for key in ("code", "type", "status", "message", "__type") if problem.get(key) is not None
    ]
    inner = problem.get("innererror")
    if isinstance(inner, dict):
        said.append(str(inner.get("code")))
    return " ".join(said)[:_SEARCHED]

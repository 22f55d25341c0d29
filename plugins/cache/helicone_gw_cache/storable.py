"""Storable: whether an answer may be given to somebody who asks the same; only whole and successful ones may."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from helicone_gw import Attempt, Exchange, Response

FILTERED = frozenset(
    {
        "content_filter", "content_filtered", "refusal", "safety", "recitation", "blocklist", "prohibited_content",
        "spii", "image_safety", "image_prohibited_content", "image_recitation", "language", "model_armor",
        "guardrail_intervened", "error", "error_toxic", "error_limit", "timeout", "failed", "cancelled", "canceled",
        "malformed_function_call", "unexpected_tool_call", "malformed_model_output", "user_cancel", "pause_turn",
        "other",
    }
)  # fmt: skip
"""Stop reasons (lower case) of answers that a filter or a failure ended, or that are to be gone on with."""

REFUSED = "cache.store"
"""The annotation by which a plugin inside says (``False``) that the answer is its own refusal and not to be stored."""


class _Peek(msgspec.Struct):
    """What tells an answer from an error, or from the promise of an answer."""

    error: Any = None
    status: Any = None


_ONE = msgspec.json.Decoder(_Peek)
_MANY = msgspec.json.Decoder(list[_Peek])


def refusal(exchange: Exchange, response: Response, *, store_fallbacks: bool) -> str | None:
    """Why the answer that ``exchange`` got may not be stored, in a word or two; ``None``: it may."""
    if response.status != 200:
        return f"status {response.status}"
    if exchange.error is not None:
        return "error"
    if exchange.ended_early:
        return "ended early"
    if exchange.annotations.get(REFUSED) is False:
        return "refused inside"
    if (exchange.stop_reason or "").lower() in FILTERED:
        return f"stopped by {exchange.stop_reason}"
    if response.headers.get("content-encoding", "identity") != "identity":
        return "coded"
    answered = [attempt for attempt in exchange.attempts if attempt.ok]
    if not answered:
        return "no provider's"
    if not store_fallbacks and not _as_asked(exchange, answered):
        return "fallback"
    return None if response.streamed else _unfit(response.body or b"")


def _as_asked(exchange: Exchange, answered: Sequence[Attempt]) -> bool:
    """Whether the target that was asked first gave the answer, or another deployment of the same."""
    if exchange.route is None:
        return True
    first = exchange.route.targets[0]
    wanted = first.provider, first.model, first.base_url
    return exchange.provider == first.provider and any(
        (attempt.target.provider, attempt.target.model, attempt.target.base_url) == wanted for attempt in answered
    )


def _unfit(body: bytes) -> str | None:
    """What is wrong with a body that came with a 200."""
    try:
        peeks = [_ONE.decode(body)]
    except msgspec.ValidationError:
        try:
            peeks = _MANY.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return "no answer"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "no JSON"
    for peek in peeks:
        if peek.error:
            return "error"
        if isinstance(peek.status, str) and peek.status.lower() in ("queued", "in_progress", *FILTERED):
            return f"status {peek.status}"
    return None

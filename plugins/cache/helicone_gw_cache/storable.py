"""Storable: whether an answer may be given to somebody who asks the same; only whole and successful ones may."""

from __future__ import annotations

import re
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


# Of every choice and candidate: an exchange knows the reason of the first alone. They begin with letters, which are
# found several times as fast as a quote. In a string the quotes would have backslashes; what a model puts into
# arguments of a tool may be taken for a reason, and is then not stored.
_REASON = re.compile(rb'eason"\s*:\s*"([A-Za-z_]{1,40})"')  # finish_reason, stop_reason, finishReason, stopReason
_REFUSAL = re.compile(rb'refusal"\s*:\s*"[^"]')


def unfinished(answer: bytes) -> str | None:
    """Why a part of ``answer``, a body or the events of a stream, is none: a filter ended it, or it refuses."""
    for found in _REASON.finditer(answer):
        reason = found[1].decode("latin-1")
        if reason.lower() in FILTERED:
            return f"stopped by {reason}"
    return "refused" if _REFUSAL.search(answer) is not None else None


def refusal(exchange: Exchange, response: Response, *, store_fallbacks: bool) -> str | None:
    """Why the answer that ``exchange`` got may not be stored, in a word or two; ``None``: it may."""
    if response.status != 200:
        return f"status {response.status}"
    if exchange.error is not None:
        return "error"
    if exchange.ended_early:
        return "ended early"
    if exchange.substituted:
        return "no provider's"
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
    return unfinished(body)

"""Ending: how an exchange turned out, and what was captured of its bodies."""

from __future__ import annotations

from msgspec import Struct

from helicone_gw.errors import DeadlineExceeded, InternalError, UpstreamError, UpstreamTimeout
from helicone_gw.exchange import Exchange
from helicone_gw.model import Capture, Outcome, OutcomeKind
from helicone_gw.pipeline.settling import NOT_BILLED


class Sent(Struct):
    """What the client was sent: status (``None``: nothing), the body or its beginning, its size in bytes.

    ``broken``: the connection was broken on purpose, so that nobody takes the answer for complete.
    """

    status: int | None = None
    data: bytes = b""
    size: int = 0
    broken: bool = False


def conclude(exchange: Exchange, sent: Sent, *, limit: int, now: float, left: bool, cancelled: bool) -> None:
    """Put outcome, time of the end and captures (``limit`` bytes each) on ``exchange``, final.

    ``left``: the client did, before the end. ``cancelled``: the server gave up.
    """
    error, before = exchange.error, exchange.outcome
    exchange.ended_at = now
    if before is not None and not (left or cancelled) and error is None and before.bytes_sent == sent.size:
        return  # it went as was said before the end
    if not exchange.attempts and exchange.cost is None:
        exchange.cost = NOT_BILLED  # no provider was asked, so this zero is known
    exchange.outcome = Outcome(
        kind=_kind(exchange, sent, left, cancelled),
        status=sent.status,
        bytes_sent=sent.size,
        message=None if error is None else error.message,
        code=None if error is None else error.code,
    )
    body = exchange.original.body
    if body is None:
        exchange.request_capture = Capture(b"", exchange._uploaded > 0, exchange._uploaded)
    else:
        exchange.request_capture = Capture(body[:limit], len(body) > limit, len(body))
    kept = sent.data[:limit]
    exchange.response_capture = Capture(kept, sent.size > len(kept) or sent.broken, sent.size)


def _kind(exchange: Exchange, sent: Sent, left: bool, cancelled: bool) -> OutcomeKind:
    error = exchange.error
    if left:
        return "client_disconnected"
    if cancelled:
        return "interrupted"
    if error is None:
        return "ok"
    if isinstance(error, (UpstreamTimeout, DeadlineExceeded)):
        return "timeout"
    if isinstance(error, InternalError):
        return "internal_error"
    if sent.broken and isinstance(error, UpstreamError):
        return "stream_broken"
    return "upstream_error" if isinstance(error, UpstreamError) else "refused"

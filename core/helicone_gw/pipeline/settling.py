"""Settling: what an attempt used and cost, once, however it ended; and what its exchange cost in all."""

from __future__ import annotations

from typing import Protocol

from helicone_gw.clock import Clock
from helicone_gw.dialects.base import WireFormat
from helicone_gw.errors import UpstreamConnectError, UpstreamError, UpstreamStatus, UpstreamStreamError
from helicone_gw.exchange import Exchange
from helicone_gw.health import Health
from helicone_gw.model import Attempt, Cost, Usage
from helicone_gw.pipeline.answer import LiveStream
from helicone_gw.pipeline.estimating import estimate
from helicone_gw.pipeline.translating import note_loss
from helicone_gw.sse import split_events

NOT_BILLED = Cost(0, source="no charge")
"""An attempt that the provider refused, or that never reached it."""
ESTIMATED = "usage.estimated"
"""The annotation that lists the numbers of attempts whose usage is estimated."""


class Pricing(Protocol):
    """What an attempt needs of the price service."""

    def cost(self, provider: str, model: str | None, usage: Usage | None, *, asked: str | None = None) -> Cost | None:
        """What ``usage`` costs, ``None`` when unknown."""


class Settling:
    """Ends attempts. ``estimated`` and ``unknown`` count those that were broken off, by what could be said of them."""

    def __init__(self, prices: Pricing, health: Health, clock: Clock) -> None:
        self._prices = prices
        self._health = health
        self._clock = clock
        self.estimated = 0
        self.unknown = 0

    def settle(self, exchange: Exchange, attempt: Attempt) -> None:
        """Settle an attempt whose usage is as known as it will ever be."""
        attempt.ended_at = self._clock.now()
        if attempt.cost is None:
            attempt.cost = self._cost(exchange, attempt)
        self._health.ended(
            attempt.target, None if attempt.first_byte_at is None else attempt.first_byte_at - attempt.started_at
        )
        exchange.usage = attempt.usage
        if len(exchange.attempts) == 1:
            exchange.cost = attempt.cost
        else:
            self._sum_up(exchange)

    def end(self, exchange: Exchange, attempt: Attempt, live: LiveStream | None = None) -> None:
        """Settle an attempt that was answered: times, usage, cost, health. Calling it twice changes nothing.

        A stream (``live``) that did not come to its end is settled like one that was `broken_off`.
        """
        if attempt.ended_at is not None:
            return
        if live is not None and live.reader is not None:
            self._read(exchange, attempt, live)
            if not live.whole:
                self._estimate(exchange, attempt, live.wire, live)
        self.settle(exchange, attempt)

    def broken_off(
        self, exchange: Exchange, attempt: Attempt, wire: WireFormat | None, live: LiveStream | None, *, sent: bool
    ) -> None:
        """Settle an attempt that came to no answer: it failed, or nobody waited for it any more.

        ``sent``: it was on its way to the provider, whose answer would have been of format ``wire``.
        """
        if attempt.ended_at is not None:
            return
        if live is not None and live.reader is not None:
            self._read(exchange, attempt, live)
        error = attempt.error
        refused = isinstance(error, (UpstreamStatus, UpstreamConnectError)) or (
            error is not None and not isinstance(error, UpstreamError)
        )
        # An error in place of the first event is a refusal, too.
        refused = refused or (isinstance(error, UpstreamStreamError) and attempt.usage is None)
        if refused or not sent:
            attempt.cost = self._cost(exchange, attempt) if attempt.usage is not None else NOT_BILLED
        else:
            self._estimate(exchange, attempt, wire, live)
        before = exchange.usage
        self.settle(exchange, attempt)
        if attempt.usage is None:
            exchange.usage = before  # of the last attempt that used anything

    def as_answered(self, exchange: Exchange, attempt: Attempt, usage: Usage) -> None:
        """Take ``usage``, of a whole answer to the same request, for that of an attempt which was not waited for.

        Providers finish answers that are not streamed, and bill them, whether anybody waits or not.
        """
        attempt.usage = Usage(usage.input_tokens, usage.output_tokens, estimated=True)
        attempt.cost = self._cost(exchange, attempt)
        _note_estimate(exchange, attempt)
        self._sum_up(exchange)

    def _read(self, exchange: Exchange, attempt: Attempt, live: LiveStream) -> None:
        reader = live.reader
        assert reader is not None
        if live.unread:
            # It came with the first event, and nobody relays it any more; what it says of usage counts.
            for event in split_events(live.unread):
                reader.feed(event)
            live.unread = b""
        attempt.usage = reader.usage
        attempt.model = reader.model or attempt.target.model
        if exchange.committed:
            exchange.stop_reason = reader.stop_reason
            if live.translation is not None:
                note_loss(exchange, live.translation)  # what the answer lost is known now; the header has left

    def _estimate(self, exchange: Exchange, attempt: Attempt, wire: WireFormat | None, live: LiveStream | None) -> None:
        attempt.usage = usage = estimate(exchange.request, wire, attempt.usage, live)
        if usage is None or usage.input_tokens is None or usage.output_tokens is None:
            self.unknown += 1
        elif usage.estimated:
            self.estimated += 1
        if usage is not None and usage.estimated:
            _note_estimate(exchange, attempt)

    def _cost(self, exchange: Exchange, attempt: Attempt) -> Cost | None:
        usage = attempt.usage
        if usage is None:
            return None
        override = exchange.request.helicone.model_override
        if override is not None:
            return self._prices.cost(attempt.target.provider, override, usage)
        # Providers answer with dated names; the one that was asked for may be the one with a price.
        asked = attempt.target.model
        return self._prices.cost(attempt.target.provider, attempt.model or asked, usage, asked=asked)

    def _sum_up(self, exchange: Exchange) -> None:
        costs = [each.cost for each in exchange.attempts]
        known = [cost for cost in costs if cost is not None]
        if len(known) < len(costs):
            exchange.cost = None
        else:
            exchange.cost = known[0] if len(known) == 1 else total(known)


def total(costs: list[Cost]) -> Cost:
    """The sum of several attempts, as a cost whose source is the last one's that has a price."""
    # Free attempts (refused ones) say nothing of where the price comes from.
    priced = [cost for cost in costs if cost.nano_usd or cost.source != NOT_BILLED.source] or costs
    last = priced[-1]
    return Cost(
        sum(cost.nano_usd for cost in costs),
        last.parts if len(priced) == 1 else (),
        last.source,
        last.version,
        any(cost.estimated for cost in costs),
    )


def _note_estimate(exchange: Exchange, attempt: Attempt) -> None:
    numbers: list[int] = exchange.annotations.get(ESTIMATED, [])
    if attempt.number not in numbers:
        exchange.annotate(ESTIMATED, [*numbers, attempt.number])

"""Asking: a plugin's own question to a model, with all that the core has for calls, and through no plugin.

Keys, accounts, translation between dialects, usage and prices are those of every other call; hooks are not run, so that
a plugin that asks from a hook never meets itself, and nothing is retried: a plugin has its own idea of failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct

from helicone_gw.background import Background
from helicone_gw.errors import DeadlineExceeded, GatewayError, NotFound, UpstreamProtocolError
from helicone_gw.exchange import Exchange
from helicone_gw.headers import Headers, RawHeaders
from helicone_gw.helicone import EMPTY
from helicone_gw.ids import new_id
from helicone_gw.ingress.operations import json_path
from helicone_gw.model import Cost, Request, Route, Target, Usage
from helicone_gw.pipeline.lifecycle import Pipeline
from helicone_gw.pipeline.services import Services

MAX_PURPOSES = 256
"""Purposes that are counted apart; further ones are counted together, as "other"."""


class Asked(Struct, frozen=True):
    """A model's answer to a plugin: its body is whole, of a stream too (``streamed``: server-sent events).

    ``cost`` and ``usage`` are ``None`` where they are unknown; ``seconds`` is how long it took.
    """

    body: bytes
    headers: Headers
    target: Target
    streamed: bool = False
    usage: Usage | None = None
    cost: Cost | None = None
    seconds: float = 0.0

    def json(self) -> Any:
        """The decoded body. Raises `UpstreamProtocolError` for anything but JSON."""
        try:
            return msgspec.json.decode(self.body)
        except (ValueError, RecursionError):
            raise UpstreamProtocolError("The provider's answer is not JSON.", target=self.target) from None


@dataclass(slots=True)
class AskedTotal:
    """What the questions of one purpose came to. ``nano_usd`` is what is known; ``unpriced`` calls may have cost more.

    ``failed`` contains ``late``: those that were given up because their time was over.
    """

    calls: int = 0
    failed: int = 0
    late: int = 0
    unpriced: int = 0
    nano_usd: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


class Asking:
    """Asks models for plugins. ``services`` are those of the gateway, with a chain that has no layers.

    ``targets`` says where a model string leads when nobody names the provider.
    """

    def __init__(
        self, services: Services, background: Background, targets: Callable[[str, Exchange], Sequence[Target]]
    ) -> None:
        self._pipeline = Pipeline(services, background)
        self._targets = targets
        self.totals: dict[str, AskedTotal] = {}
        """What was asked so far, by purpose."""

    async def __call__(
        self,
        operation: str,
        body: Mapping[str, Any],
        *,
        purpose: str,
        timeout: float,
        provider: str | None = None,
        dialect: str = "openai",
        exchange: Exchange | None = None,
    ) -> Asked:
        """Ask, once, with the gateway's own credentials.

        Args:
            operation: of ``dialect``, one whose model stands in its JSON body: "chat", "embeddings", "moderations",
                "responses", "rerank", "messages", ...
            body: the request's, in the words of ``dialect``; a provider of another dialect gets a translation.
            purpose: whose question this is and what for, dotted ("moderation.judge"): a constant of the plugin.
            timeout: seconds until the last byte of the answer; the call is then given up.
            provider: where to ask; by default where the body's model leads.
            exchange: the exchange for whose sake it is asked. What it cost is annotated there under ``purpose``, apart
                from the exchange's own cost. Its caller's permits and credential have no say: it is the gateway asking.

        Raises:
            GatewayError: what the call ended with (`UpstreamStatus`, ...), `DeadlineExceeded` when time was over,
                `NotFound` for an operation, or a model, that leads nowhere.
        """
        total = self._total(purpose)
        total.calls += 1
        try:
            call = self._exchange(operation, dialect, body, provider)
        except GatewayError:
            total.failed += 1
            raise
        sink = _Collected(self._pipeline.services.max_event)
        clock = self._pipeline.services.clock
        began = clock.monotonic()
        try:
            try:
                async with asyncio.timeout(timeout):
                    await self._pipeline.handle(call, sink)
            except TimeoutError:
                total.late += 1
                call.error = DeadlineExceeded(f"No answer within {timeout:g} seconds.")
            if call.error is not None:
                raise call.error
        except GatewayError:
            total.failed += 1
            raise
        finally:
            self._observe(call)
            self._account(call, total, exchange, purpose, clock.monotonic() - began)
        assert call.response is not None
        return Asked(
            body=b"".join(sink.pieces),
            headers=call.response.headers,
            target=call.attempts[-1].target,
            streamed=call.response.streamed,
            usage=call.usage,
            cost=call.cost,
            seconds=clock.monotonic() - began,
        )

    def _total(self, purpose: str) -> AskedTotal:
        if purpose not in self.totals and len(self.totals) >= MAX_PURPOSES:
            purpose = "other"
        return self.totals.setdefault(purpose, AskedTotal())

    def _exchange(self, operation: str, dialect: str, body: Mapping[str, Any], provider: str | None) -> Exchange:
        """The exchange of a question, routed already."""
        services, path, model = self._pipeline.services, json_path(dialect, operation), str(body.get("model") or "")
        request = Request(
            method="POST",
            path=path or "",
            query="",
            headers=Headers({"content-type": "application/json"}),
            body=msgspec.json.encode(body),
            dialect=dialect,
            operation=operation,
            helicone=EMPTY,
            model=model or None,
            stream=body.get("stream") is True,
        )
        call = Exchange(new_id(), request, services.clock.now())
        targets = self._targets(model, call) if provider is None else (Target(provider, model or None),)
        if path is None or not targets:
            raise NotFound(
                f"There is nobody to ask for {operation!r} in the dialect {dialect!r}.", code="nobody_to_ask"
            )
        call.route = Route((next((each for each in targets if services.health.available(each)), targets[0]),))
        return call

    def _observe(self, call: Exchange) -> None:
        """Tell the gateway's health, which no plugin does for this call."""
        for attempt in call.attempts:
            if attempt.error is not None or attempt.status is not None:
                self._pipeline.services.health.observe(attempt.target, attempt.error, started_at=attempt.started_at)

    def _account(
        self, call: Exchange, total: AskedTotal, exchange: Exchange | None, purpose: str, seconds: float
    ) -> None:
        # Not one attempt: it never began, and cost nothing. One that was given up cost what nobody knows.
        cost, usage = call.cost, call.usage or Usage()
        if cost is None and call.attempts:
            total.unpriced += 1
        total.nano_usd += 0 if cost is None else cost.nano_usd
        total.input_tokens += usage.input_tokens or 0
        total.output_tokens += usage.output_tokens or 0
        if exchange is None:
            return
        before = exchange.annotations.get(purpose, {"calls": 0, "nano_usd": 0, "ms": 0})
        known = cost is not None and before["nano_usd"] is not None
        exchange.annotate(
            purpose,
            {
                "calls": before["calls"] + 1,
                "nano_usd": before["nano_usd"] + cost.nano_usd if cost is not None and known else None,
                "ms": before["ms"] + round(seconds * 1000),
            },
        )


def asked_route(exchange: Exchange) -> Route:
    """The routing table of a gateway that asks: the question says where it goes."""
    assert exchange.route is not None
    return exchange.route


class _Collected:
    """A `Sink` that keeps at most ``limit`` bytes of an answer."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self.disconnected = False
        self.pieces: list[bytes] = []

    async def start(self, status: int, headers: RawHeaders) -> None:
        """Nothing to keep: they are on the exchange."""

    async def send(self, data: bytes) -> None:
        """Keep a piece of the body. Raises `UpstreamProtocolError` for the first one that is too much."""
        if self._left < 0:
            return
        self._left -= len(data)
        if self._left < 0:
            self.pieces.clear()
            raise UpstreamProtocolError("The provider's answer is too large.")
        self.pieces.append(data)

    async def finish(self, last: bytes = b"") -> None:
        """Keep the last piece."""
        if last:
            self.pieces.append(last)

    async def abort(self) -> None:
        """The error is on the exchange."""

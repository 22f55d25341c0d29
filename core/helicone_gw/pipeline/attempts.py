"""Attempts: one call of one target, from permits to the answer, ended exactly once whatever became of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct

from helicone_gw.clock import Clock
from helicone_gw.dialects.base import WireFormat
from helicone_gw.dialects.translate.translation import Translation
from helicone_gw.errors import GatewayError, PermissionDenied, UpstreamError, UpstreamStatus
from helicone_gw.exchange import Exchange
from helicone_gw.health import Health
from helicone_gw.model import Attempt, Target, Upstream, UpstreamRequest
from helicone_gw.pipeline.answer import Answer, LiveStream
from helicone_gw.pipeline.answering import Answering
from helicone_gw.pipeline.permits import check_permits
from helicone_gw.pipeline.settling import Pricing, Settling


class Call(Struct, frozen=True):
    """A call ready for the wire. ``added_usage``: the gateway asked for usage in the stream, the client did not.

    ``translation`` is set where the provider speaks another dialect than the client.
    """

    request: UpstreamRequest
    added_usage: bool = False
    translation: Translation | None = None


Prepare = Callable[[Exchange, Target], Awaitable[Call]]


class Attempts:
    """Makes attempts. ``max_body`` bounds a buffered reply and a single event, in bytes.

    ``decode_replies`` says whether any layer reads the answer of an exchange for which these asked
    (`Chain.reads_answer`); ``usage_refused`` is told when a provider answered 400 because of the usage that the gateway
    asked for.
    """

    def __init__(
        self,
        *,
        prepare: Prepare,
        upstream: Upstream,
        prices: Pricing,
        health: Health,
        clock: Clock,
        max_body: int,
        commit_timeout: float,
        decode_replies: Callable[[int], bool],
        usage_refused: Callable[[Target], None],
    ) -> None:
        self.prepare = prepare
        self.settling = Settling(prices, health, clock)
        self.end = self.settling.end
        self._health = health
        self._clock = clock
        self._answering = Answering(upstream, clock, max_body, commit_timeout, decode_replies=decode_replies)
        self._usage_refused = usage_refused

    async def make(self, exchange: Exchange, target: Target, *, layer: int, gated: bool) -> Answer:
        """Call ``target``. Raises the `GatewayError` that the attempt ended with; either way it is on the exchange.

        ``gated``: somebody could still retry or fall back. A stream is then held back until its first real event, and
        a reply that is not JSON although it should be is a failure, not an answer.
        """
        opened = self.opened(exchange, target)
        with opened as attempt:
            call = await self.prepare(exchange, target)
            attempt.url = call.request.url.partition("?")[0]
            try:
                answer = await self._answering.answer(opened, call, layer, gated)
            except UpstreamStatus as refusal:
                if not (call.added_usage and _names_usage_option(refusal)):
                    raise
                # The provider does not know stream_options: remember that, and ask again as the client did.
                self._usage_refused(target)
                attempt.first_byte_at = attempt.status = attempt.provider_request_id = None
                call = await self.prepare(exchange, target)
                answer = await self._answering.answer(opened, call, layer, gated)
        if answer.body is not None:
            self.settling.settle(exchange, attempt)
        return answer

    def opened(self, exchange: Exchange, target: Target) -> Opened:
        """A new attempt on the exchange, as a context that ends it with the error that leaves the block, if any.

        Entering it raises `PermissionDenied` (inside the attempt) when the caller's key may not use ``target``.
        """
        attempt = Attempt(len(exchange.attempts) + 1, target, self._clock.now())
        exchange.attempts.append(attempt)
        self._health.started(target)
        return Opened(self.settling, exchange, attempt)

    async def discard(self, exchange: Exchange, answer: Answer) -> None:
        """Let go of an answer that nobody takes, and settle its attempt."""
        try:
            await answer.aclose()
        finally:
            if answer.attempt is not None:
                self.end(exchange, answer.attempt, answer.live)


class Opened(Struct):
    """The block in which an attempt gets its answer, and what is known of that.

    ``sent``: the call is on its way to the provider. ``wire`` is the format of its answer (``None``: nobody knows it),
    ``live`` the stream that came.
    """

    settling: Settling
    exchange: Exchange
    attempt: Attempt
    sent: bool = False
    wire: WireFormat | None = None
    live: LiveStream | None = None

    def __enter__(self) -> Attempt:
        try:
            check_permits(self.exchange, self.attempt.target)
        except PermissionDenied as error:
            self.__exit__(PermissionDenied, error, None)
            raise
        return self.attempt

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: object) -> None:
        if problem is None:
            return
        if isinstance(problem, GatewayError):
            self.attempt.error = problem
            if isinstance(problem, UpstreamError):
                problem.target = self.attempt.target
        self.settling.broken_off(self.exchange, self.attempt, self.wire, self.live, sent=self.sent)


def _names_usage_option(refusal: UpstreamStatus) -> bool:
    body = refusal.response.body or b""
    return refusal.status in (400, 422) and (b"stream_options" in body or b"include_usage" in body)

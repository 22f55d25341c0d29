"""Conversation: routing, the only attempt loop there is, and who is asked what follows a failure."""

from __future__ import annotations

from dataclasses import dataclass
from types import CoroutineType

import structlog

from helicone_gw.chain import Hook
from helicone_gw.decisions import Fallback, Retry
from helicone_gw.errors import GatewayError, InternalError, NotFound, UpstreamError
from helicone_gw.exchange import Exchange
from helicone_gw.model import Attempt, Response, Route, Target
from helicone_gw.pipeline.answer import Answer
from helicone_gw.pipeline.hedging import hedged
from helicone_gw.pipeline.hooks import Raised
from helicone_gw.pipeline.rendering import render_error
from helicone_gw.pipeline.services import MakeAttempt, Services
from helicone_gw.waiting import seconds_until, within

log = structlog.get_logger("helicone_gw.pipeline")

LAST_WORDS = 1.0
"""Seconds for which ``on_error`` of all layers may wait when the deadline is over."""


@dataclass(frozen=True, slots=True)
class Step:
    """What the attempt loop does next: wait ``after`` seconds, then try ``target``."""

    target: Target
    after: float = 0.0


class Conversation:
    """One exchange's conversation with its upstreams. ``depth`` is how many layers it entered."""

    def __init__(self, services: Services, exchange: Exchange, make: MakeAttempt) -> None:
        self._services = services
        self._exchange = exchange
        self._make = make
        self._told = 0
        self.depth = 0

    @property
    def untold(self) -> bool:
        """Whether ``on_attempt`` has not heard of every attempt."""
        return self._told < len(self._exchange.attempts)

    async def converse(self) -> Answer:
        """Try targets until one answers or nobody wants to go on. Raises `Raised`."""
        services, exchange = self._services, self._exchange
        exchange.route = route = await self._route()
        target = route.targets[0]
        while True:
            gated = bool(services.chain.on_error) and len(exchange.attempts) + 1 < services.max_attempts
            try:
                if route.hedge_after is None:
                    answer = await self._make(exchange, target, layer=self.depth, gated=gated)
                else:
                    answer = await self._hedged(target, route.hedge_after)
                    target = answer.attempt.target if answer.attempt is not None else target
            except GatewayError as error:
                await self.tell_attempts()
                failed = error.target if isinstance(error, UpstreamError) and error.target is not None else target
                step = await self._ask(error, self.depth, failed)
                if isinstance(step, Answer):
                    return step
                if step.after:
                    await services.clock.sleep(step.after)
                target = step.target
                continue
            exchange.provider = target.provider
            attempt = answer.attempt or exchange.attempts[-1]
            exchange.model = attempt.model or target.model
            if answer.body is not None:
                await self.tell_attempts()
            return answer

    async def _hedged(self, target: Target, after: float) -> Answer:
        """Ask ``target``, and the next one too if it has not answered ``after`` seconds later."""
        exchange = self._exchange

        def spare() -> Target | None:
            # What was sent already, or streams through, cannot be sent a second time.
            enough = len(exchange.attempts) >= self._services.max_attempts
            return None if enough or exchange.request.body is None else self._next_target()

        async def ask(each: Target) -> Answer:
            return await self._make(exchange, each, layer=self.depth, gated=True)

        answer = await hedged(ask, target, spare, after, self.discard)
        if answer.attempt is not None:
            # Whoever asks which attempt answered looks at the last one.
            exchange.attempts.sort(key=lambda each: each is answer.attempt)
            self._settle_losers(answer.attempt)
        return answer

    def _settle_losers(self, winner: Attempt) -> None:
        """What the exchange used is what its answer did; of those that were given up, what can be said of them."""
        exchange = self._exchange
        exchange.usage = usage = winner.usage
        if usage is None or winner.ended_at is None:
            return  # a stream: what its loser generated was seen, or was nothing
        for loser in exchange.attempts:
            estimated = loser.usage is None or loser.usage.estimated
            if loser is not winner and loser.error is None and loser.cost is None and estimated:
                self._services.attempts.settling.as_answered(exchange, loser, usage)

    async def discard(self, answer: Answer) -> None:
        """Let go of an answer that nobody takes."""
        await self._services.attempts.discard(self._exchange, answer)

    async def tell_attempts(self) -> None:
        """Tell every layer of the attempts that it has not heard of. Raises `Raised`."""
        services = self._services
        for attempt in self._news():
            hooks = iter(services.chain.on_attempt)
            while (word := services.caller.next_word(hooks, self._exchange, attempt)) is not None:
                if isinstance(word[1], CoroutineType):
                    await word[1]

    async def tell_of_attempts(self) -> None:
        """The same when nothing can be changed any more: faults are logged."""
        for attempt in self._news():
            for hook in self._services.chain.on_attempt:
                await self._services.caller.tell(hook, self._exchange, attempt)

    def _news(self) -> list[Attempt]:
        told, self._told = self._told, len(self._exchange.attempts)
        return self._exchange.attempts[told:]

    async def answer_to(self, error: GatewayError, layer: int) -> Answer:
        """What the client gets for ``error``, which came from ``layer`` and from no attempt.

        Layers are not waited for longer than `LAST_WORDS` behind the deadline.
        """
        seconds = seconds_until(self._exchange._deadline) + LAST_WORDS
        try:
            answer = await within(seconds, self._ask(error, layer, None))
        except TimeoutError:
            log.warning("what follows an error was not said in time", request_id=self._exchange.request_id)
            self._exchange.error = error
            return self.final(error)
        assert isinstance(answer, Answer)
        return answer

    async def _ask(self, error: GatewayError, layer: int, after_attempt: Target | None) -> Step | Answer:
        """Ask the layers outside ``layer`` what follows ``error``, innermost first.

        ``after_attempt`` is the target whose attempt failed; only then may the answer be another `Step`.
        """
        services, exchange = self._services, self._exchange
        for hook in services.chain.on_error:
            if hook.index >= min(layer, self.depth):
                continue
            try:
                result = await services.caller.call(hook, exchange, error)
            except Raised as raised:
                # The layers outside are asked about the new error, which is no failed attempt.
                error, after_attempt = raised.error, None
                continue
            if result is None:
                continue
            if isinstance(result, Response):
                exchange.substituted = True
                return Answer.of_response(result, hook.index, services.max_event)
            if not isinstance(result, (Retry, Fallback)):
                error, after_attempt = wrong_value(exchange, hook, result), None
                continue
            step = None if after_attempt is None else self._step(result, after_attempt)
            if step is not None:
                return step
        exchange.error = error
        return self.final(error)

    def _step(self, decision: Retry | Fallback, failed: Target) -> Step | None:
        """What ``decision`` amounts to, ``None`` when there is no budget, deadline or target left for it."""
        exchange, health = self._exchange, self._services.health
        if len(exchange.attempts) >= self._services.max_attempts or exchange._uploaded:
            return None
        if isinstance(decision, Fallback):
            target = decision.target or self._next_target()
            if target is not None and decision.request is not None:
                exchange.request = decision.request
            return None if target is None else Step(target)
        if not health.available(failed) and (other := self._next_target()) is not None:
            return Step(other)
        if decision.after >= seconds_until(exchange._deadline):
            return None
        return Step(failed, decision.after)

    def _next_target(self) -> Target | None:
        """The next target that was not tried yet, healthy ones first."""
        assert self._exchange.route is not None
        tried = {attempt.target for attempt in self._exchange.attempts}
        left = [target for target in self._exchange.route.targets if target not in tried]
        return next((target for target in left if self._services.health.available(target)), left[0] if left else None)

    def final(self, error: GatewayError) -> Answer:
        """The answer for an error that nobody answered."""
        same, failed = False, None
        if self._exchange.attempts:
            failed = next((each for each in self._exchange.attempts if each.error is error), None)
            target = (failed or self._exchange.attempts[-1]).target
            same = self._services.same_dialect(self._exchange.original, target)
            if isinstance(error, UpstreamError) or (failed is not None and len(self._exchange.attempts) > 1):
                self._exchange.provider = target.provider
        response = render_error(self._exchange, error, same_dialect=same)
        return Answer(response.status, response.headers, 0, body=response.body, attempt=failed)

    async def _route(self) -> Route:
        services, exchange = self._services, self._exchange
        hooks = iter(services.chain.route_model)
        while (word := services.caller.next_word(hooks, exchange)) is not None:
            hook, result = word
            if isinstance(result, CoroutineType) and (result := await result) is None:
                continue
            if not isinstance(result, Route):
                raise Raised(wrong_value(exchange, hook, result), hook.index)
            if result.targets:
                return result
            raise Raised(NotFound(f"No provider offers model {exchange.request.model!r}."), hook.index)
        try:
            return services.default_route(exchange)
        except GatewayError as error:
            raise Raised(error, self.depth) from error


def wrong_value(exchange: Exchange, hook: Hook, value: object) -> GatewayError:
    """The error for a hook that returned what it may not return; it names plugin and hook."""
    log.error(
        "plugin returned a value of the wrong type",
        plugin=hook.plugin,
        hook=hook.name,
        request_id=exchange.request_id,
        type=type(value).__name__,
    )
    return InternalError(f"Plugin {hook.plugin!r} returned a {type(value).__name__} from {hook.name}.")

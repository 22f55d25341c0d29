"""Run: one exchange on its way down, across to the upstream, and up again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from helicone_gw.chain import Chain
from helicone_gw.clock import Clock
from helicone_gw.decisions import Fallback, Retry
from helicone_gw.dialects import error_format
from helicone_gw.errors import (
    DeadlineExceeded,
    GatewayError,
    InternalError,
    NotFound,
    Unavailable,
    UpstreamError,
    UpstreamTimeout,
)
from helicone_gw.health import Health
from helicone_gw.model import Capture, Exchange, Gate, Outcome, OutcomeKind, Request, Response, Route, Target
from helicone_gw.pipeline.answer import Answer
from helicone_gw.pipeline.attempts import Attempts
from helicone_gw.pipeline.hooks import HookCaller, Raised
from helicone_gw.pipeline.relay import Relay
from helicone_gw.pipeline.rendering import error_facts, outcome_headers, render_error
from helicone_gw.pipeline.sink import Sink

log = structlog.get_logger("helicone_gw.pipeline")

LONG_DEADLINE = 1800.0
"""Seconds that ``Helicone-Increase-Timeout`` gives an exchange to commit."""


class MakeAttempt(Protocol):
    """One attempt at one target: the answer, or the `GatewayError` that it ended with."""

    async def __call__(self, exchange: Exchange, target: Target, *, layer: int, gated: bool) -> Answer:
        """Make it."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """What every run needs.

    ``default_route`` is the core's own table, the last word when no plugin routes. ``same_dialect`` says whether a
    target speaks the dialect of a request, so that its errors may pass as they are. ``max_attempts``, ``deadline``
    (seconds until commit) and ``max_event`` (bytes) bound one exchange.
    """

    chain: Chain
    caller: HookCaller
    attempts: Attempts
    default_route: Callable[[Exchange], Route]
    same_dialect: Callable[[Request, Target], bool]
    health: Health
    clock: Clock
    max_attempts: int
    deadline: float
    max_event: int


@dataclass(frozen=True, slots=True)
class Step:
    """What the attempt loop does next: wait ``after`` seconds, then try ``target``."""

    target: Target
    after: float = 0.0


class Run:
    """The way of one exchange. ``depth`` is how many layers it entered."""

    def __init__(self, services: Services, exchange: Exchange, sink: Sink, make: MakeAttempt) -> None:
        self.services = services
        self.exchange = exchange
        self.sink = sink
        self.depth = 0
        self.cancelled = False
        self._make = make
        self._answer: Answer | None = None
        self._relay: Relay | None = None
        self._body: bytes = b""
        self._bytes_sent = 0
        self._status: int | None = None
        self._broken = False
        self._told = 0
        self._settled_gates = 0

    async def answer(self) -> None:
        """The whole way, from the first ``pre_request`` to the last byte."""
        exchange = self.exchange
        seconds = LONG_DEADLINE if exchange.request.helicone.increase_timeout else self.services.deadline
        try:
            async with asyncio.timeout(seconds) as deadline:
                exchange._deadline = deadline.when() or exchange._deadline
                answer = await self._obtain()
        except TimeoutError:
            if not deadline.expired():
                raise
            late = DeadlineExceeded(f"No answer within {seconds:g} seconds (limits.deadline).")
            answer = await self._answer_to(late, self.depth)
        await self._ascend(answer)

    async def send_error(self, error: GatewayError) -> None:
        """Answer with ``error``, asking nobody."""
        self.exchange.error = error
        await self._ascend(self._final(error))

    # DOWN

    async def _obtain(self) -> Answer:
        try:
            answer = await self._descend()
            if answer is None:
                answer = await self._converse_beside_gates()
            self._answer = answer
        except Raised as raised:
            answer = await self._answer_to(raised.error, raised.layer)
            self._answer = answer
        return answer

    async def _descend(self) -> Answer | None:
        services, exchange = self.services, self.exchange
        for hook in services.chain.pre_request:
            self.depth = hook.index + 1
            result = await services.caller.call(hook, exchange)
            if result is None:
                continue
            if isinstance(result, Request):
                exchange.request = result
            elif isinstance(result, Response):
                return Answer.of_response(result, hook.index, services.max_event)
            else:
                raise Raised(_wrong_value(hook.plugin, "pre_request", result), hook.index)
        self.depth = services.chain.depth
        return None

    async def _route(self) -> Route:
        services, exchange = self.services, self.exchange
        for hook in services.chain.route_model:
            result = await services.caller.call(hook, exchange)
            if result is None:
                continue
            if not isinstance(result, Route):
                raise Raised(_wrong_value(hook.plugin, "route_model", result), hook.index)
            if result.targets:
                return result
            raise Raised(NotFound(f"No provider offers model {exchange.request.model!r}."), hook.index)
        try:
            return services.default_route(exchange)
        except GatewayError as error:
            raise Raised(error, self.depth) from error

    # CORE

    async def _converse_beside_gates(self) -> Answer:
        """Converse while watching what `Exchange.before_commit` registered: a refusal cancels the upstream call."""
        if not self.exchange._before_commit:
            return await self._converse()
        conversing = asyncio.ensure_future(self._converse())
        try:
            while not conversing.done() and (open_gates := self._open_gates()):
                watched: set[asyncio.Future[Any]] = {conversing, *(gate.task for gate in open_gates)}
                await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
                self._settle_done_gates()
            return await conversing
        except BaseException:
            conversing.cancel()
            await asyncio.wait({conversing})
            if not conversing.cancelled() and conversing.exception() is None:
                await conversing.result().aclose()
            raise

    async def _converse(self) -> Answer:
        """The attempt loop, the only one there is."""
        services, exchange = self.services, self.exchange
        exchange.route = route = await self._route()
        target = route.targets[0]
        while True:
            gated = bool(services.chain.on_error) and len(exchange.attempts) + 1 < services.max_attempts
            try:
                answer = await self._make(exchange, target, layer=self.depth, gated=gated)
            except GatewayError as error:
                await self._tell_attempts()
                step = await self._ask(error, self.depth, target)
                if isinstance(step, Answer):
                    return step
                if step.after:
                    await services.clock.sleep(step.after)
                target = step.target
                continue
            self._answer = answer
            exchange.provider = target.provider
            exchange.model = exchange.attempts[-1].model or target.model
            if answer.body is not None:
                await self._tell_attempts()
            return answer

    async def _tell_attempts(self) -> None:
        exchange = self.exchange
        while self._told < len(exchange.attempts):
            attempt = exchange.attempts[self._told]
            self._told += 1
            for hook in self.services.chain.on_attempt:
                await self.services.caller.call(hook, exchange, attempt)

    # Errors

    async def _answer_to(self, error: GatewayError, layer: int) -> Answer:
        """What the client gets for ``error``, which came from ``layer`` and from no attempt."""
        answer = await self._ask(error, layer, None)
        assert isinstance(answer, Answer)
        return answer

    async def _ask(self, error: GatewayError, layer: int, after_attempt: Target | None) -> Step | Answer:
        """Ask the layers outside ``layer`` what follows ``error``, innermost first.

        ``after_attempt`` is the target whose attempt failed; only then may the answer be another `Step`.
        """
        services, exchange = self.services, self.exchange
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
                return Answer.of_response(result, hook.index, services.max_event)
            if not isinstance(result, (Retry, Fallback)):
                error, after_attempt = _wrong_value(hook.plugin, "on_error", result), None
                continue
            step = None if after_attempt is None else self._step(result, after_attempt)
            if step is not None:
                return step
        exchange.error = error
        return self._final(error)

    def _step(self, decision: Retry | Fallback, failed: Target) -> Step | None:
        """What ``decision`` amounts to, ``None`` when there is no budget, deadline or target left for it."""
        exchange, health = self.exchange, self.services.health
        if len(exchange.attempts) >= self.services.max_attempts or exchange._uploaded:
            return None
        if isinstance(decision, Fallback):
            target = decision.target or self._next_target()
            return None if target is None else Step(target)
        if not health.available(failed) and (other := self._next_target()) is not None:
            return Step(other)
        if asyncio.get_running_loop().time() + decision.after >= exchange._deadline:
            return None
        return Step(failed, decision.after)

    def _next_target(self) -> Target | None:
        """The next target that was not tried yet, healthy ones first."""
        assert self.exchange.route is not None
        tried = {attempt.target for attempt in self.exchange.attempts}
        left = [target for target in self.exchange.route.targets if target not in tried]
        return next((target for target in left if self.services.health.available(target)), left[0] if left else None)

    def _final(self, error: GatewayError) -> Answer:
        same = False
        if self.exchange.attempts:
            target = self.exchange.attempts[-1].target
            same = self.services.same_dialect(self.exchange.original, target)
            if isinstance(error, UpstreamError):
                self.exchange.provider = target.provider
        response = render_error(self.exchange, error, same_dialect=same)
        return Answer(response.status, response.headers, 0, body=response.body)

    # Gates

    def _open_gates(self) -> list[Gate]:
        return [gate for gate in self.exchange._before_commit if not gate.task.done()]

    def _settle_done_gates(self) -> None:
        """Raise the refusal of any gate that is done; forget those that agreed."""
        gates = self.exchange._before_commit
        for gate in [gate for gate in gates if gate.task.done()]:
            gates.remove(gate)
            problem = None if gate.task.cancelled() else gate.task.exception()
            if problem is None:
                continue
            if isinstance(problem, GatewayError):
                raise Raised(problem, gate.layer) from problem
            plugin = self.services.chain.layers[gate.layer]
            log.warning("check before commit failed", plugin=plugin, mode=gate.on_failure, fault=repr(problem))
            if gate.on_failure == "closed":
                raise Raised(Unavailable(f"A check of plugin {plugin!r} failed, and it fails closed."), gate.layer)

    async def _settle_gates(self) -> None:
        while gates := self.exchange._before_commit:
            self._settle_done_gates()
            if open_gates := self._open_gates():
                await asyncio.wait({gate.task for gate in open_gates}, return_when=asyncio.FIRST_COMPLETED)
            elif not gates:
                return

    # UP

    async def _ascend(self, answer: Answer) -> None:
        """Up through the layers outside the answer's; each change of answer starts further out, so this ends."""
        while True:
            try:
                self._answer = answer
                await self._settle_gates()
                replaced = None if answer.body is None else await self._respond(answer)
            except Raised as raised:
                await answer.aclose()
                if answer.attempt is not None:
                    self.services.attempts.end(self.exchange, answer.attempt, answer.live)
                answer = await self._answer_to(raised.error, min(raised.layer, answer.layer))
                continue
            if replaced is None:
                break
            answer = replaced
        if answer.tunnel is not None:
            await self._commit(Response(answer.status, answer.headers), unary=False)
            self._bytes_sent = await answer.tunnel()
            await self._after_stream(answer)
            await self.sink.finish()
        elif answer.live is not None:
            await self._stream(answer)

    async def _respond(self, answer: Answer) -> Answer | None:
        """``on_response`` for a buffered answer, then send it; or the stream that a plugin put in its place."""
        services, exchange = self.services, self.exchange
        response = Response(answer.status, answer.headers, answer.body)
        exchange.response = response
        for hook in services.chain.on_response:
            if hook.index >= min(answer.layer, self.depth):
                continue
            result = await services.caller.call(hook, exchange, response)
            if result is None:
                continue
            if not isinstance(result, Response):
                raise Raised(_wrong_value(hook.plugin, "on_response", result), hook.index)
            if result.stream is not None:
                return Answer.of_response(result, hook.index, services.max_event)
            exchange.response = response = result
        await self._settle_gates()
        self._body = response.body or b""
        await self._commit(response, unary=True)
        await self.sink.send(self._body)
        self._bytes_sent = len(self._body)
        await self.sink.finish()
        return None

    async def _commit(self, response: Response, *, unary: bool) -> None:
        exchange = self.exchange
        exchange.response = response
        exchange.committed = True
        headers = outcome_headers(exchange, self.services.clock.now(), unary=unary)
        own = {name for name, _ in headers}
        # To a HEAD, the provider's own length says more than that of a body which nobody sends.
        if unary and (exchange.original.method != "HEAD" or "content-length" not in response.headers):
            own.add(b"content-length")
            headers.append((b"content-length", str(len(response.body or b"")).encode()))
        headers.extend(field for field in response.headers.raw if field[0] not in own)
        self._status = response.status
        await self.sink.start(response.status, tuple(headers))

    async def _stream(self, answer: Answer) -> None:
        services, exchange = self.services, self.exchange
        live = answer.live
        assert live is not None
        await self._commit(Response(answer.status, answer.headers, None, live.source, streamed=True), unary=False)
        self._relay = relay = Relay(services.chain, services.caller, services.clock, exchange, answer)
        try:
            await relay.run(self.sink)
        except Raised as raised:
            await self._break(answer, raised.error, raised.layer)
            return
        except GatewayError as error:
            await self._break(answer, error, answer.layer)
            return
        except (OSError, ValueError, RuntimeError) as fault:
            # A plugin's own stream failed.
            log.error("stream failed", request_id=exchange.request_id, exc_info=fault)
            await self._break(answer, InternalError("The answer was cut short by a fault."), answer.layer)
            return
        await live.aclose()
        await self.sink.finish()
        await self._after_stream(answer)
        self._answer = None

    async def _break(self, answer: Answer, error: GatewayError, layer: int) -> None:
        """A stream that cannot go on: say so in the client's dialect, then break the connection."""
        services, exchange = self.services, self.exchange
        exchange.error = exchange.error or error
        self._broken = True
        live = answer.live
        assert live is not None
        await live.aclose()
        if answer.attempt is not None and isinstance(error, UpstreamError):
            answer.attempt.error = error
        if live.events:
            formatter = error_format(exchange.original.dialect)
            sequence = 0 if live.reader is None else live.reader.sequence
            event = formatter.event(error_facts(exchange, error), exchange.original.operation, sequence)
            await self.sink.send(event)
            if self._relay is not None:
                self._relay.capture.add(event)
        await self.sink.abort()
        for hook in services.chain.on_error:
            if hook.index < min(layer, self.depth):
                await services.caller.tell(hook, exchange, error)
        await self._after_stream(answer)

    async def _after_stream(self, answer: Answer) -> None:
        """Usage and cost are known now: settle the attempt, and let the layers outside see what went by."""
        services, exchange = self.services, self.exchange
        if answer.attempt is not None:
            services.attempts.end(exchange, answer.attempt, answer.live)
            exchange.model = answer.attempt.model or answer.attempt.target.model
        for attempt in exchange.attempts[self._told :]:
            self._told += 1
            for hook in services.chain.on_attempt:
                await services.caller.tell(hook, exchange, attempt)
        assert exchange.response is not None
        exchange.response = exchange.response.replace(body=b"", stream=None, streamed=True)
        if self._broken:
            return
        for hook in services.chain.on_response:
            if hook.index < min(answer.layer, self.depth):
                await services.caller.tell(hook, exchange, exchange.response)

    # END

    @property
    def unsettled(self) -> bool:
        """Whether something may still be open behind this exchange."""
        exchange = self.exchange
        return bool(
            exchange._before_commit
            or self._told < len(exchange.attempts)
            or (self._answer is not None and (self._answer.live or self._answer.tunnel))
        )

    async def settle(self) -> None:
        """Close the upstream, stop the checks, end the attempts; harmless when all that is done already."""
        services, exchange = self.services, self.exchange
        for gate in exchange._before_commit:
            gate.task.cancel()
        if exchange._before_commit:
            await asyncio.wait({gate.task for gate in exchange._before_commit})
        answer = self._answer
        if answer is not None:
            await answer.aclose()
        for attempt in exchange.attempts:
            live = answer.live if answer is not None and answer.attempt is attempt else None
            services.attempts.end(exchange, attempt, live)
        for attempt in exchange.attempts[self._told :]:
            self._told += 1
            for hook in services.chain.on_attempt:
                await services.caller.tell(hook, exchange, attempt)

    def conclude(self) -> None:
        """Make outcome and captures final."""
        exchange, limit = self.exchange, self.services.chain.capture_bytes
        exchange.ended_at = self.services.clock.now()
        relay = self._relay
        sent = self._bytes_sent if relay is None else relay.capture.size
        error = exchange.error
        exchange.outcome = Outcome(
            kind=self._kind(),
            status=self._status,
            bytes_sent=sent,
            message=None if error is None else error.message,
            code=None if error is None else error.code,
        )
        body = exchange.original.body
        if body is None:
            exchange.request_capture = Capture(b"", exchange._uploaded > 0, exchange._uploaded)
        else:
            exchange.request_capture = Capture(body[:limit], len(body) > limit, len(body))
        if relay is None:
            exchange.response_capture = Capture(self._body[:limit], len(self._body) > limit, len(self._body))
        else:
            kept = relay.capture.joined()
            exchange.response_capture = Capture(kept, relay.capture.size > len(kept) or self._broken, sent)

    def _kind(self) -> OutcomeKind:
        error = self.exchange.error
        if self.sink.disconnected:
            return "client_disconnected"
        if self.cancelled:
            return "interrupted"
        if error is None:
            return "ok"
        if isinstance(error, (UpstreamTimeout, DeadlineExceeded)):
            return "timeout"
        if isinstance(error, InternalError):
            return "internal_error"
        if self._broken and isinstance(error, UpstreamError):
            return "stream_broken"
        return "upstream_error" if isinstance(error, UpstreamError) else "refused"


def _wrong_value(plugin: str, hook: str, value: object) -> GatewayError:
    log.error("plugin returned a value of the wrong type", plugin=plugin, hook=hook, type=type(value).__name__)
    return InternalError(f"Plugin {plugin!r} returned a {type(value).__name__} from {hook}.")

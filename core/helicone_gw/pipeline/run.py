"""Run: one exchange on its way down through the layers and up again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import CoroutineType

import structlog

from helicone_gw.chain import Hook
from helicone_gw.dialects import error_format
from helicone_gw.errors import DeadlineExceeded, GatewayError, InternalError, UpstreamError
from helicone_gw.exchange import Exchange
from helicone_gw.headers import Selection, name_of
from helicone_gw.model import Request, Response
from helicone_gw.pipeline.answer import Answer
from helicone_gw.pipeline.arrays import ArraySink, wants_array
from helicone_gw.pipeline.conversation import Conversation, wrong_value
from helicone_gw.pipeline.ending import Sent, conclude
from helicone_gw.pipeline.gates import Gates
from helicone_gw.pipeline.hooks import Raised
from helicone_gw.pipeline.last_bytes import LastBytes
from helicone_gw.pipeline.own_framing import FramedSink, own_framing
from helicone_gw.pipeline.relay import Relay
from helicone_gw.pipeline.rendering import error_facts, outcome_headers
from helicone_gw.pipeline.services import LONG_DEADLINE, MakeAttempt, Services
from helicone_gw.pipeline.sink import Sink
from helicone_gw.waiting import Deadline, seconds_until, within

log = structlog.get_logger("helicone_gw.pipeline")

_WITHOUT_LENGTH = Selection(lambda name: name != b"content-length")


class Run:
    """The way of one exchange."""

    def __init__(self, services: Services, exchange: Exchange, sink: Sink, make: MakeAttempt) -> None:
        self.services = services
        self.exchange = exchange
        self.sink: Sink = sink
        self.cancelled = False
        self._conversation = Conversation(services, exchange, make)
        self._gates = Gates(exchange, services.chain.layers, services.caller)
        self._answer: Answer | None = None
        self._relay: Relay | None = None
        self._sent = Sent()
        self._concluded = False

    @property
    def depth(self) -> int:
        """How many layers the exchange entered."""
        return self._conversation.depth

    @depth.setter
    def depth(self, depth: int) -> None:
        self._conversation.depth = depth

    async def answer(self) -> None:
        """The whole way, from the first ``pre_request`` to the last byte."""
        deadline = Deadline(self._seconds)
        self.exchange._deadline = deadline.when
        try:
            answer = await self._obtain(deadline)
        except asyncio.CancelledError:
            if not deadline.reached():
                raise
            answer = await self._conversation.answer_to(self._late(), self.depth)
        finally:
            deadline.close()
        await self._ascend(answer)

    async def send_error(self, error: GatewayError) -> None:
        """Answer with ``error``, asking nobody."""
        self.exchange.error = error
        self.exchange._deadline = asyncio.get_running_loop().time() + self._seconds
        await self._ascend(self._conversation.final(error))

    @property
    def _seconds(self) -> float:
        return LONG_DEADLINE if self.exchange.request.helicone.increase_timeout else self.services.deadline

    def _late(self) -> DeadlineExceeded:
        return DeadlineExceeded(f"No answer within {self._seconds:g} seconds (limits.deadline).")

    # DOWN

    async def _obtain(self, deadline: Deadline) -> Answer:
        try:
            answer = await self._descend(deadline)
            if answer is None:
                deadline.watch()
                answer = await self._gates.beside(self._conversation.converse(), self._conversation.discard)
        except Raised as raised:
            deadline.watch()
            answer = await self._conversation.answer_to(raised.error, raised.layer)
        self._answer = answer
        return answer

    async def _descend(self, deadline: Deadline) -> Answer | None:
        services, exchange, conversation = self.services, self.exchange, self._conversation
        hooks = iter(services.chain.pre_request)
        try:
            while (word := services.caller.next_word(hooks, exchange)) is not None:
                hook, result = word
                conversation.depth = hook.index + 1
                if isinstance(result, CoroutineType):
                    deadline.watch()
                    if (result := await result) is None:
                        continue
                if isinstance(result, Request):
                    exchange.request = result
                elif isinstance(result, Response):
                    return Answer.of_response(result, hook.index, services.max_event)
                else:
                    raise Raised(wrong_value(exchange, hook, result), hook.index)
        except Raised as raised:
            conversation.depth = raised.layer + 1
            raise
        conversation.depth = services.chain.depth
        return None

    async def _ascend(self, answer: Answer) -> None:
        """Up through the layers outside the answer's; each change of answer starts further out, so this ends."""
        while True:
            try:
                self._answer = answer
                await self._gates.settle()
                replaced = None if answer.body is None else await self._respond(answer)
            except Raised as raised:
                await self._conversation.discard(answer)
                answer = await self._conversation.answer_to(raised.error, min(raised.layer, answer.layer))
                continue
            if replaced is None:
                break
            answer = replaced
        if answer.tunnel is not None:
            await self._commit(Response(answer.status, answer.headers), unary=False)
            self._sent.size = await answer.tunnel()
            self._before_end()
            await self._after_stream(answer)
            await self.sink.finish()
        elif answer.live is not None:
            await self._stream(answer)

    async def _respond(self, answer: Answer) -> Answer | None:
        """``on_response`` for a buffered answer, then send it; or the stream that a plugin put in its place."""
        services, exchange = self.services, self.exchange
        response = Response(answer.status, answer.headers, answer.body)
        exchange.response = response
        for hook in services.chain.responding(exchange._readers):
            if hook.index >= min(answer.layer, self.depth):
                continue
            try:
                result = await within(seconds_until(exchange._deadline), services.caller.call(hook, exchange, response))
            except TimeoutError:
                raise Raised(self._late(), hook.index) from None
            if result is None:
                continue
            if not isinstance(result, Response):
                raise Raised(wrong_value(exchange, hook, result), hook.index)
            if result.stream is not None:
                return Answer.of_response(result, hook.index, services.max_event)
            exchange.response = response = result
        await self._gates.settle()
        self._sent.data = body = response.body or b""
        self._sent.size = len(body)
        await self._commit(response, unary=True)
        await self.sink.finish(body)
        return None

    async def _commit(self, response: Response, *, unary: bool) -> None:
        exchange = self.exchange
        exchange.response = response
        exchange.committed = True
        attempt = None if self._answer is None else self._answer.attempt
        headers = outcome_headers(exchange, self.services.clock.now(), attempt, unary=unary)
        own = set(map(name_of, headers))
        fields = response.headers.raw
        # To a HEAD, the provider's own length says more than that of a body which nobody sends.
        if unary and (exchange.original.method != "HEAD" or "content-length" not in response.headers):
            fields = _WITHOUT_LENGTH(response.headers)
            headers.append((b"content-length", b"%d" % len(response.body or b"")))
        if own.isdisjoint(response.headers.names):
            headers += fields
        else:
            headers += [field for field in fields if field[0] not in own]
        self._sent.status = response.status
        if unary:
            self._before_end()
        else:
            self._tell_plainly(self.services.chain.before_stream)
        await self.sink.start(response.status, tuple(headers))

    async def _stream(self, answer: Answer) -> None:
        services, exchange = self.services, self.exchange
        live = answer.live
        assert live is not None
        if live.events and wants_array(exchange.original):
            self.sink = ArraySink(self.sink)
        elif live.events and (framing := own_framing(exchange.original)) is not None:
            self.sink = FramedSink(self.sink, framing)
        await self._commit(Response(answer.status, answer.headers, None, live.source, streamed=True), unary=False)
        last = LastBytes(live, exchange, self._before_end) if services.chain.before_end else None
        self._relay = relay = Relay(services.chain, services.caller, services.clock, exchange, answer, last)
        try:
            await relay.run(self.sink)
        except Raised as raised:
            await self._break(answer, raised.error, raised.layer)
            return
        except GatewayError as error:
            await self._break(answer, error, answer.layer)
            return
        except Exception as fault:
            # A plugin's own stream failed.
            log.error("stream failed", request_id=exchange.request_id, exc_info=fault)
            await self._break(answer, InternalError("The answer was cut short by a fault."), answer.layer)
            return
        finally:
            relay.over()
        await live.aclose()
        self._before_end()
        await self.sink.finish()
        if exchange.error is not None:
            await self._tell(exchange.error, answer.layer)
        await self._after_stream(answer)
        self._answer = None

    async def _break(self, answer: Answer, error: GatewayError, layer: int) -> None:
        """A stream that cannot go on: say so in the client's dialect, then break the connection."""
        exchange = self.exchange
        exchange.error = exchange.error or error
        self._sent.broken = True
        live = answer.live
        assert live is not None
        await live.aclose()
        if answer.attempt is not None and isinstance(error, UpstreamError):
            answer.attempt.error = error
            error.target = answer.attempt.target
        if live.events:
            formatter = error_format(exchange.original.dialect)
            sequence = 0 if live.reader is None else live.reader.sequence
            event = formatter.event(error_facts(exchange, error), exchange.original.operation, sequence)
            if self._relay is not None:
                self._relay.capture.add(event)
            self._before_end()
            await (self.sink.fail if isinstance(self.sink, ArraySink) else self.sink.send)(event)
        await self.sink.abort()
        await self._tell(error, layer)
        await self._after_stream(answer)

    async def _tell(self, error: GatewayError, layer: int) -> None:
        """What ended a stream is news to the layers outside ``layer``."""
        for hook in self.services.chain.on_error:
            if hook.index < min(layer, self.depth):
                await self.services.caller.tell(hook, self.exchange, error)

    async def _after_stream(self, answer: Answer) -> None:
        """Usage and cost are known now: settle the attempt, and let the layers outside see what went by."""
        services, exchange = self.services, self.exchange
        self._end_attempt(answer)
        await self._conversation.tell_of_attempts()
        assert exchange.response is not None
        exchange.response = exchange.response.replace(body=b"", stream=None, streamed=True)
        if self._sent.broken:
            return
        for hook in services.chain.responding(exchange._readers):
            if hook.index < min(answer.layer, self.depth):
                await services.caller.tell(hook, exchange, exchange.response)

    def _end_attempt(self, answer: Answer) -> None:
        if answer.attempt is not None:
            self.services.attempts.end(self.exchange, answer.attempt, answer.live)
            self.exchange.model = answer.attempt.model or answer.attempt.target.model

    def _before_end(self) -> None:
        """The client is about to have everything: make final what can be, and tell the layers, once."""
        hooks = self.services.chain.before_end
        if not hooks or self._concluded:
            return
        if self._answer is not None:
            self._end_attempt(self._answer)
        self.conclude()
        self._concluded = True
        self._tell_plainly(hooks)

    def _tell_plainly(self, hooks: Sequence[Hook]) -> None:
        depth, exchange, tell = self._conversation.depth, self.exchange, self.services.caller.tell_plainly
        for hook in hooks:
            if hook.index < depth:
                tell(hook, exchange)

    # END

    @property
    def unsettled(self) -> bool:
        """Whether something may still be open behind this exchange."""
        answer = self._answer
        return bool(self._gates or self._conversation.untold or (answer is not None and (answer.live or answer.tunnel)))

    async def settle(self) -> None:
        """Close the upstream, stop the checks, end the attempts; harmless when all that is done already."""
        answer = self._answer
        await self._gates.cancel()
        if answer is not None:
            await answer.aclose()
        for attempt in self.exchange.attempts:
            live = answer.live if answer is not None and answer.attempt is attempt else None
            self.services.attempts.end(self.exchange, attempt, live)
        await self._conversation.tell_of_attempts()

    def conclude(self) -> None:
        """Make outcome and captures final; what the client took of the end may still change them after that."""
        otherwise = self.cancelled or self._sent.broken or self.exchange.error is not None or self.sink.disconnected
        if self._concluded and self._relay is None and not otherwise:
            return  # it went as was said before the end
        if self._relay is not None:
            self._sent.data, self._sent.size = self._relay.capture.joined(), self._relay.capture.size
        conclude(
            self.exchange,
            self._sent,
            limit=self.services.chain.capture_bytes,
            now=self.services.clock.now(),
            left=self.sink.disconnected and not (self._relay is not None and self._relay.delivered),
            cancelled=self.cancelled,
        )

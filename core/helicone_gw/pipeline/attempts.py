"""One attempt: permits, the call, what kind of answer came, its usage and cost, and the commit gate of a stream."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import lru_cache
from typing import Protocol

import msgspec
from msgspec import Struct

from helicone_gw.clock import Clock
from helicone_gw.dialects import wire_format
from helicone_gw.dialects.base import WireFormat
from helicone_gw.dialects.translate.translation import Translation
from helicone_gw.errors import (
    GatewayError,
    PermissionDenied,
    UpstreamConnectError,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamStatus,
)
from helicone_gw.exchange import Exchange
from helicone_gw.headers import Headers
from helicone_gw.health import Health
from helicone_gw.model import (
    Attempt,
    Cost,
    Response,
    Target,
    Upstream,
    UpstreamRequest,
    UpstreamResponse,
    Usage,
)
from helicone_gw.pipeline.answer import Answer, LiveStream
from helicone_gw.pipeline.commit import hold_back
from helicone_gw.pipeline.decoding import decode, decoding
from helicone_gw.pipeline.permits import check_permits
from helicone_gw.pipeline.retry_after import retry_after
from helicone_gw.pipeline.translating import (
    describe_refusal,
    framed,
    note_loss,
    translate_stream,
    translated_headers,
    translated_reply,
)
from helicone_gw.sse import EventSplitter, split_events

MAX_ERROR_BODY = 8 * 1024 * 1024
"""Bytes of an error answer that are kept; the rest is not read, and the connection is closed."""

BODILESS = frozenset({204, 304})
"""Statuses whose answers have no body, whatever their headers say (RFC 9110 6.4.1)."""

_JSON = re.compile(r"(application|text)/([\w.+-]+\+)?json\s*(;|$)")

_RAW = msgspec.json.Decoder(msgspec.Raw)

NOT_BILLED = Cost(0, source="no charge")
"""An attempt that the provider refused, or that never reached it."""


class Call(Struct, frozen=True):
    """A call ready for the wire. ``added_usage``: the gateway asked for usage in the stream, the client did not.

    ``translation`` is set where the provider speaks another dialect than the client.
    """

    request: UpstreamRequest
    added_usage: bool = False
    translation: Translation | None = None


Prepare = Callable[[Exchange, Target], Awaitable[Call]]


class Pricing(Protocol):
    """What an attempt needs of the price service."""

    def cost(self, provider: str, model: str | None, usage: Usage | None, *, asked: str | None = None) -> Cost | None:
        """What ``usage`` costs, ``None`` when unknown."""


class Attempts:
    """Makes attempts. ``max_body`` bounds a buffered reply and a single event, in bytes.

    ``usage_refused`` is told when a provider answered 400 because of the usage that the gateway asked for.
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
        decode_replies: bool,
        usage_refused: Callable[[Target], None],
    ) -> None:
        self.prepare = prepare
        self._upstream = upstream
        self._prices = prices
        self._health = health
        self._clock = clock
        self._max_body = max_body
        self._commit_timeout = commit_timeout
        self._decode_replies = decode_replies
        self._usage_refused = usage_refused

    async def make(self, exchange: Exchange, target: Target, *, layer: int, gated: bool) -> Answer:
        """Call ``target``. Raises the `GatewayError` that the attempt ended with; either way it is on the exchange.

        ``gated``: somebody could still retry or fall back. A stream is then held back until its first real event, and
        a reply that is not JSON although it should be is a failure, not an answer.
        """
        with self.opened(exchange, target) as attempt:
            call = await self.prepare(exchange, target)
            try:
                return await self._answer(exchange, attempt, call, layer, gated)
            except UpstreamStatus as refusal:
                if not (call.added_usage and _names_usage_option(refusal)):
                    raise
                # The provider does not know stream_options: remember that, and ask again as the client did.
                self._usage_refused(target)
                attempt.first_byte_at = attempt.status = None
                call = await self.prepare(exchange, target)
                return await self._answer(exchange, attempt, call, layer, gated)

    def opened(self, exchange: Exchange, target: Target) -> Opened:
        """A new attempt on the exchange, as a context that ends it with the error that leaves the block, if any.

        Entering it raises `PermissionDenied` (inside the attempt) when the caller's key may not use ``target``.
        """
        attempt = Attempt(len(exchange.attempts) + 1, target, self._clock.now())
        exchange.attempts.append(attempt)
        self._health.started(target)
        return Opened(self, exchange, attempt)

    def end(self, exchange: Exchange, attempt: Attempt, live: LiveStream | None = None) -> None:
        """Settle ``attempt``: times, usage, cost, health. Calling it twice changes nothing."""
        if attempt.ended_at is not None:
            return
        attempt.ended_at = self._clock.now()
        if live is not None and live.reader is not None:
            if live.unread:
                # It came with the first event, and nobody relays it any more; what it says of usage counts.
                for event in split_events(live.unread):
                    live.reader.feed(event)
                live.unread = b""
            attempt.usage = live.reader.usage
            attempt.model = live.reader.model or attempt.target.model
            exchange.stop_reason = live.reader.stop_reason
            if live.translation is not None:
                note_loss(exchange, live.translation)  # what the answer lost is known now; the header has left
        attempt.cost = self._cost(exchange, attempt)
        self._health.ended(
            attempt.target, None if attempt.first_byte_at is None else attempt.first_byte_at - attempt.started_at
        )
        if attempt.usage is not None:
            exchange.usage = attempt.usage
        if len(exchange.attempts) == 1:
            exchange.cost = attempt.cost
            return
        costs = [each.cost for each in exchange.attempts]
        known = [cost for cost in costs if cost is not None]
        if len(known) == len(costs):
            exchange.cost = known[0] if len(known) == 1 else _sum(known)
        else:
            exchange.cost = None

    def _cost(self, exchange: Exchange, attempt: Attempt) -> Cost | None:
        if attempt.usage is None:
            never_billed = attempt.error is not None and (
                isinstance(attempt.error, (UpstreamStatus, UpstreamConnectError))
                or not isinstance(attempt.error, UpstreamError)
            )
            return NOT_BILLED if never_billed else None
        override = exchange.request.helicone.model_override
        if override is not None:
            return self._prices.cost(attempt.target.provider, override, attempt.usage)
        # Providers answer with dated names; the one that was asked for may be the one with a price.
        asked = attempt.target.model
        return self._prices.cost(attempt.target.provider, attempt.model or asked, attempt.usage, asked=asked)

    async def _answer(self, exchange: Exchange, attempt: Attempt, call: Call, layer: int, gated: bool) -> Answer:
        response = await self._upstream(call.request)
        try:
            attempt.status = response.status
            attempt.first_byte_at = self._clock.now()
            exchange.first_byte_at = attempt.first_byte_at
            request, translation = exchange.request, call.translation
            if translation is not None:
                response = await framed(self._upstream, exchange, call.request, response, translation, self._max_body)
            if response.status >= 400:
                raise await self._refusal(response, translation)
            if translation is None:
                wire = wire_format(request.dialect, request.operation)
            else:
                wire = wire_format(translation.dialect, translation.outgoing.operation)
            first = response.headers.first
            kind = _kind(first.get(b"content-type", b""))
            encoding = _coding(first.get(b"content-encoding", b""))
            if kind == "events" or (kind is None and wire and request.stream):
                decoder = decoding(encoding)
                if decoder is not None:
                    return await self._stream(exchange, attempt, response, wire, call, layer, gated, decoder)
            elif (
                request.method != "HEAD"
                and response.status not in BODILESS
                and (kind == "json" or (kind is None and wire))
            ):
                return await self._buffered(exchange, attempt, response, wire, encoding, layer, gated, translation)
            if translation is not None:
                raise UpstreamProtocolError("The provider's answer is neither JSON nor events.")
            live = LiveStream(response.body, events=False, close=response.close)
            return Answer(response.status, response.headers, layer, live=live, attempt=attempt)
        except BaseException:
            await _close(response)
            raise

    async def _refusal(self, response: UpstreamResponse, translation: Translation | None) -> UpstreamStatus:
        body = bytearray()
        async for data in response.body:
            body += data
            if len(body) > MAX_ERROR_BODY:
                raise UpstreamProtocolError(
                    f"The provider answered {response.status} with more than {MAX_ERROR_BODY} bytes."
                )
        error = UpstreamStatus(Response(response.status, response.headers, bytes(body)))
        error.retry_after = retry_after(response.headers, self._clock.now())
        if translation is not None:
            describe_refusal(error)
        return error

    async def _buffered(
        self,
        exchange: Exchange,
        attempt: Attempt,
        response: UpstreamResponse,
        wire: WireFormat | None,
        encoding: str,
        layer: int,
        gated: bool,
        translation: Translation | None,
    ) -> Answer:
        whole = response.buffered
        if whole is None or len(whole) > self._max_body:
            pieces: list[bytes] = []
            size = 0
            async for data in response.body:
                pieces.append(data)
                size += len(data)
                if size > self._max_body:
                    if translation is not None:
                        raise UpstreamProtocolError("The provider's answer is too large to be translated.")
                    # Too large to hold: what was read goes first, the rest streams after it, and nobody reads it.
                    rest = _joined(b"".join(pieces), response.body)
                    live = LiveStream(rest, events=False, close=response.close)
                    return Answer(response.status, response.headers, layer, live=live, attempt=attempt)
            whole = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        await response.close()
        headers = response.headers
        plain = decode(whole, encoding, self._max_body)
        if plain is not None:
            if encoding != "identity" and self._decode_replies:
                whole, headers = plain, headers.without("content-encoding")
            if wire is not None:
                facts = wire.reply(plain)
                if gated and facts.usage is None and not _is_json(plain):
                    raise UpstreamProtocolError("The provider's answer is not the JSON that it is said to be.")
                attempt.usage = facts.usage
                attempt.model = facts.model or attempt.target.model
                exchange.stop_reason = facts.stop_reason
        if translation is not None:
            whole = translated_reply(exchange, translation, plain)
            headers = translated_headers(headers, "application/json")
        self.end(exchange, attempt)
        return Answer(response.status, headers, layer, body=whole, attempt=attempt)

    async def _stream(
        self,
        exchange: Exchange,
        attempt: Attempt,
        response: UpstreamResponse,
        wire: WireFormat | None,
        call: Call,
        layer: int,
        gated: bool,
        decoder: Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]],
    ) -> Answer:
        live = LiveStream(
            decoder(response.body),
            events=True,
            close=response.close,
            splitter=EventSplitter(self._max_body),
            reader=None if wire is None else wire.stream_reader(),
            drop_usage_events=call.added_usage and call.translation is None,
        )
        if call.translation is not None:
            translate_stream(exchange, call.translation, live)
        if gated and live.reader is not None:
            try:
                await hold_back(live, self._commit_timeout)
            except BaseException:
                await live.aclose()
                self._read_usage(attempt, live)
                raise
        headers: Headers = response.headers.without("content-encoding", "content-length")
        if call.translation is not None:
            note_loss(exchange, call.translation)
            if live.translator is not None:
                headers = translated_headers(headers, live.translator.media_type)
        return Answer(response.status, headers, layer, live=live, attempt=attempt)

    def _read_usage(self, attempt: Attempt, live: LiveStream) -> None:
        if live.reader is not None:
            attempt.usage, attempt.model = live.reader.usage, live.reader.model


class Opened:
    """The block in which an attempt gets its answer."""

    def __init__(self, attempts: Attempts, exchange: Exchange, attempt: Attempt) -> None:
        self._attempts = attempts
        self._exchange = exchange
        self._attempt = attempt

    def __enter__(self) -> Attempt:
        try:
            check_permits(self._exchange, self._attempt.target)
        except PermissionDenied as error:
            self.__exit__(PermissionDenied, error, None)
            raise
        return self._attempt

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: object) -> None:
        if problem is None:
            return
        if isinstance(problem, GatewayError):
            self._attempt.error = problem
            if isinstance(problem, UpstreamError):
                problem.target = self._attempt.target
        self._attempts.end(self._exchange, self._attempt)


async def _close(response: UpstreamResponse) -> None:
    # It is being thrown away: its own failure adds nothing.
    with contextlib.suppress(Exception):
        await response.close()


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for data in rest:
        yield data


@lru_cache(maxsize=256)
def _coding(content_encoding: bytes) -> str:
    return content_encoding.decode("latin-1").lower() or "identity"


@lru_cache(maxsize=256)
def _kind(content_type: bytes) -> str | None:
    """What a reply of this type is: "events", "json" (one value, no sequence), "other"; ``None`` without a type.

    One without a type is what its operation answers with.
    """
    lower = content_type.decode("latin-1").lower()
    if not lower:
        return None
    return "events" if lower.startswith("text/event-stream") else "json" if _JSON.match(lower) else "other"


def _is_json(body: bytes) -> bool:
    try:
        _RAW.decode(body)
    except ValueError:
        return False
    except RecursionError:
        return True  # deeper than we read, which is no fault of the provider's
    return True


def _names_usage_option(refusal: UpstreamStatus) -> bool:
    body = refusal.response.body or b""
    return refusal.status in (400, 422) and (b"stream_options" in body or b"include_usage" in body)


def _sum(costs: list[Cost]) -> Cost:
    # Free attempts (refused ones) say nothing of where the price comes from.
    priced = [cost for cost in costs if cost.nano_usd or cost.source != NOT_BILLED.source] or costs
    last = priced[-1]
    return Cost(sum(cost.nano_usd for cost in costs), last.parts if len(priced) == 1 else (), last.source, last.version)

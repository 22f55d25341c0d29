"""Answering: what kind of answer a provider's reply is, read whole or begun to be streamed; or which failure."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from helicone_gw.ahead import read_ahead
from helicone_gw.clock import Clock
from helicone_gw.dialects import wire_format
from helicone_gw.dialects.base import Reply
from helicone_gw.dialects.translate.translation import Translation
from helicone_gw.errors import UpstreamError, UpstreamProtocolError, UpstreamStatus
from helicone_gw.headers import Headers
from helicone_gw.model import Response, Upstream, UpstreamResponse
from helicone_gw.pipeline.answer import Answer, LiveStream
from helicone_gw.pipeline.commit import hold_back
from helicone_gw.pipeline.concealing import conceal
from helicone_gw.pipeline.decoding import decode, decoding
from helicone_gw.pipeline.own_framing import own_framing
from helicone_gw.pipeline.reframing import EVENTS
from helicone_gw.pipeline.retry_after import retry_after
from helicone_gw.pipeline.translating import (
    as_events,
    describe_refusal,
    framed,
    note_loss,
    translate_stream,
    translated_headers,
    translated_reply,
)
from helicone_gw.sse import EventSplitter

if TYPE_CHECKING:
    from helicone_gw.pipeline.attempts import Call, Opened

MAX_ERROR_BODY = 8 * 1024 * 1024
"""Bytes of an error answer that are kept; the rest is not read, and the connection is closed."""
LONGEST_ID = 256
"""Characters of a provider's own request id; the rest is cut."""

BODILESS = frozenset({204, 304})
"""Statuses whose answers have no body, whatever their headers say (RFC 9110 6.4.1)."""

_JSON = re.compile(r"(application|text)/([\w.+-]+\+)?json\s*(;|$)")
_OTHER_IDS = (b"x-amzn-requestid", b"apim-request-id", b"x-goog-request-id")
_RAW = msgspec.json.Decoder(msgspec.Raw)


class Answering:
    """Makes the call of an opened attempt and an `Answer` of the reply. See `Attempts` for what the arguments mean."""

    def __init__(
        self,
        upstream: Upstream,
        clock: Clock,
        max_body: int,
        commit_timeout: float,
        *,
        decode_replies: Callable[[int], bool],
    ) -> None:
        self._upstream = upstream
        self._clock = clock
        self._max_body = max_body
        self._commit_timeout = commit_timeout
        self._decode_replies = decode_replies

    async def answer(self, opened: Opened, call: Call, layer: int, gated: bool) -> Answer:
        """The answer to ``call``. Raises the `UpstreamError` that came instead; whatever is read is closed."""
        exchange, attempt, translation = opened.exchange, opened.attempt, call.translation
        request = exchange.request
        if translation is None:
            wire = wire_format(request.dialect, request.operation)
        else:
            wire = wire_format(translation.dialect, translation.outgoing.operation)
        opened.wire, opened.sent = wire, True
        response = await self._upstream(call.request)
        try:
            first = response.headers.first
            attempt.status = response.status
            own_id = first.get(b"x-request-id") or first.get(b"request-id") or _other_id(first)
            if own_id:
                attempt.provider_request_id = own_id[:LONGEST_ID].decode("latin-1")
            exchange.first_byte_at = attempt.first_byte_at = self._clock.now()
            if translation is not None:
                response = await framed(self._upstream, exchange, call.request, response, translation, self._max_body)
                first = response.headers.first
            elif own_framing(request) is not None:
                response = as_events(response, self._max_body)
                first = response.headers.first
            if response.status >= 400:
                raise await self._refusal(response, translation)
            kind = _kind(first.get(b"content-type", b""))
            encoding = _coding(first.get(b"content-encoding", b""))
            if kind == "events" or (kind is None and wire and request.stream):
                decoder = decoding(encoding)
                if decoder is not None:
                    return await self._stream(opened, call, response, layer, gated, decoder)
            elif (
                request.method != "HEAD"
                and response.status not in BODILESS
                and (kind == "json" or (kind is None and wire))
            ):
                body = response.buffered
                if body is None or len(body) > self._max_body:
                    body, rest = await read_ahead(response.body, self._max_body)
                    if rest is not None:
                        if translation is not None:
                            raise UpstreamProtocolError("The provider's answer is too large to be translated.")
                        # Too large to hold: what was read goes first, the rest streams after it, and nobody reads it.
                        live = LiveStream(rest, events=False, close=response.close)
                        return Answer(response.status, response.headers, layer, live=live, attempt=attempt)
                await response.close()
                return self._buffered(opened, translation, response, body, encoding, layer, gated)
            if translation is not None:
                raise UpstreamProtocolError("The provider's answer is neither JSON nor events.")
            if exchange._reads_text and first.get(b"content-type", b"").lower().startswith(b"text/"):
                return await self._plain(opened, response, encoding, layer)
            live = LiveStream(response.body, events=False, close=response.close)
            return Answer(response.status, response.headers, layer, live=live, attempt=attempt)
        except BaseException as problem:
            await _close(response)
            if isinstance(problem, UpstreamError):
                conceal(problem, call.request, exchange)
            raise

    async def _plain(self, opened: Opened, response: UpstreamResponse, encoding: str, layer: int) -> Answer:
        """An answer in plain text, such as a transcript, which a plugin wants to read; too long a one streams on."""
        body, rest = await read_ahead(response.body, self._max_body)
        if rest is not None:
            live = LiveStream(rest, events=False, close=response.close)
            return Answer(response.status, response.headers, layer, live=live, attempt=opened.attempt)
        await response.close()
        headers, plain = response.headers, decode(body, encoding, self._max_body)
        if plain is not None and encoding != "identity":
            body, headers = plain, headers.without("content-encoding")
        return Answer(response.status, headers, layer, body=body, attempt=opened.attempt)

    def _buffered(
        self,
        opened: Opened,
        translation: Translation | None,
        response: UpstreamResponse,
        body: bytes,
        encoding: str,
        layer: int,
        gated: bool,
    ) -> Answer:
        exchange, attempt, wire, headers = opened.exchange, opened.attempt, opened.wire, response.headers
        plain = decode(body, encoding, self._max_body)
        if plain is not None:
            if encoding != "identity" and self._decode_replies(exchange._readers):
                body, headers = plain, headers.without("content-encoding")
            if wire is not None:
                facts = wire.reply(plain)
                attempt.usage = facts.usage
                attempt.model = facts.model or attempt.target.model
                if facts.error is not None:
                    raise self._failure(facts, headers, plain, translation)
                if gated and facts.usage is None and not _is_json(plain):
                    raise UpstreamProtocolError("The provider's answer is not the JSON that it is said to be.")
                exchange.stop_reason = facts.stop_reason
        if translation is not None:
            body = translated_reply(exchange, translation, plain)
            headers = translated_headers(headers, "application/json")
        return Answer(response.status, headers, layer, body=body, attempt=attempt)

    async def _stream(
        self,
        opened: Opened,
        call: Call,
        response: UpstreamResponse,
        layer: int,
        gated: bool,
        decoder: Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]],
    ) -> Answer:
        exchange, wire = opened.exchange, opened.wire
        opened.live = live = LiveStream(
            decoder(response.body),
            events=True,
            close=response.close,
            splitter=EventSplitter(self._max_body),
            reader=None if wire is None else wire.stream_reader(),
            wire=wire,
            drop_usage_events=call.added_usage and call.translation is None,
        )
        if call.translation is not None:
            translate_stream(exchange, call.translation, live)
        if gated and live.reader is not None:
            try:
                await hold_back(live, self._commit_timeout)
            except BaseException:
                await live.aclose()
                raise
        headers: Headers = response.headers.without("content-encoding", "content-length")
        if call.translation is not None:
            note_loss(exchange, call.translation)
            if live.translator is not None:
                headers = translated_headers(headers, EVENTS)
        return Answer(response.status, headers, layer, live=live, attempt=opened.attempt)

    async def _refusal(self, response: UpstreamResponse, translation: Translation | None) -> UpstreamStatus:
        body, rest = await read_ahead(response.body, MAX_ERROR_BODY)
        if rest is not None:
            raise UpstreamProtocolError(
                f"The provider answered {response.status} with more than {MAX_ERROR_BODY} bytes."
            )
        error = UpstreamStatus(Response(response.status, response.headers, body))
        error.retry_after = retry_after(response.headers, self._clock.now())
        if translation is not None:
            describe_refusal(error)
        return error

    def _failure(self, facts: Reply, headers: Headers, body: bytes, translation: Translation | None) -> UpstreamStatus:
        """An error that its provider sent as an answer of status 2xx, with the status that it amounts to."""
        plain = headers.without("content-encoding", "content-length")
        error = UpstreamStatus(Response(facts.error_status, plain, body))
        error.retry_after = retry_after(headers, self._clock.now())
        if translation is not None:
            describe_refusal(error)
        error.message = facts.error or error.message
        return error


async def _close(response: UpstreamResponse) -> None:
    # It is being thrown away: its own failure adds nothing.
    with contextlib.suppress(Exception):
        await response.close()


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


def _other_id(first: Mapping[bytes, bytes]) -> bytes | None:
    """The id that a provider's reply gives itself, where its header for that is none of the usual ones."""
    return next((value for name in _OTHER_IDS if (value := first.get(name))), None)


def _is_json(body: bytes) -> bool:
    try:
        _RAW.decode(body)
    except ValueError:
        return False
    except RecursionError:
        return True  # deeper than we read, which is no fault of the provider's
    return True

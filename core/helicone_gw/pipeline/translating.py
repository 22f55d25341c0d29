"""Translating: a provider's answer of another dialect on its way up, as bodies, streams, headers and errors."""

from __future__ import annotations

from helicone_gw.dialects._words import anthropic_type
from helicone_gw.dialects.errors import read_refusal
from helicone_gw.dialects.translate.facts import TranslatedReader
from helicone_gw.dialects.translate.translation import Made, Translation
from helicone_gw.errors import UpstreamProtocolError, UpstreamStatus
from helicone_gw.exchange import Exchange
from helicone_gw.headers import Headers
from helicone_gw.helicone import HELICONE_TRANSLATION_LOSS
from helicone_gw.model import Upstream, UpstreamRequest, UpstreamResponse
from helicone_gw.pipeline.answer import LiveStream
from helicone_gw.pipeline.decoding import decoding
from helicone_gw.pipeline.predictions import follow_prediction
from helicone_gw.pipeline.reframing import EVENTS, reframing

PREDICTIONS = "predictions"
"""The operation of providers that answer with a promise."""
LOSS = "translation.loss"
"""The annotation that lists what was lost, on the way there and back."""
_OF_THE_BODY = ("content-encoding", "content-length", "content-md5", "etag", "digest", "content-digest")


async def framed(
    upstream: Upstream,
    exchange: Exchange,
    call: UpstreamRequest,
    response: UpstreamResponse,
    translation: Translation,
    max_body: int,
) -> UpstreamResponse:
    """``response`` to ``call`` as what the pipeline knows: one answer or server-sent events, whatever its provider has.

    ``max_body`` bounds an event, in bytes. Raises what `follow_prediction` does.
    """
    if translation.outgoing.operation == PREDICTIONS:
        stream, give_up = exchange.request.stream, exchange._deadline
        return await follow_prediction(upstream, call, response, stream=stream, give_up=give_up, max_event=max_body)
    return as_events(response, max_body)


def as_events(response: UpstreamResponse, max_event: int) -> UpstreamResponse:
    """``response`` as server-sent events, if it is a stream of another framing. ``max_event`` is in bytes."""
    reframe = reframing(response.headers.get("content-type") or "")
    decoder = decoding((response.headers.get("content-encoding") or "identity").lower())
    if reframe is None or decoder is None or response.status >= 400:
        return response
    headers = response.headers.without("content-encoding", "content-length").set("content-type", EVENTS)
    return UpstreamResponse(response.status, headers, reframe(decoder(response.body), max_event), response.close)


def translated_reply(exchange: Exchange, translation: Translation, plain: bytes | None) -> bytes:
    """The client's body for a provider's whole answer. Raises `UpstreamProtocolError` for what is none."""
    try:
        if plain is None:
            raise ValueError("its content coding is not known")
        body = translation.reply(plain, _made(exchange))
    except (ValueError, RecursionError) as problem:
        said = read_refusal(plain or b"")
        words = str(problem) if said is None else said.message  # an error in an answer of status 200
        raise UpstreamProtocolError(f"The provider's answer cannot be translated: {words}") from None
    note_loss(exchange, translation)
    return body


def translate_stream(exchange: Exchange, translation: Translation, live: LiveStream) -> None:
    """Have ``live`` give the client events of its own dialect, while its facts stay the provider's."""
    live.translation = translation
    live.translator = translation.stream(_made(exchange))
    if live.translator is not None and live.reader is not None:
        live.reader = TranslatedReader(live.reader, live.translator)


def translated_headers(headers: Headers, media_type: str) -> Headers:
    """A provider's headers without what was true of its body only."""
    return headers.without(*_OF_THE_BODY).set("content-type", media_type)


def describe_refusal(error: UpstreamStatus) -> None:
    """Give an error the provider's own words: its body cannot go to the client, whose dialect is another one."""
    wire = read_refusal(error.response.body or b"")
    if wire is not None:
        error.message = wire.message
        error.code = wire.code or error.code
    error.type = anthropic_type(error.status)


def note_loss(exchange: Exchange, translation: Translation) -> None:
    """Tell client and log what the translation could not carry, in place of what an earlier attempt's could not."""
    exchange.headers.pop(HELICONE_TRANSLATION_LOSS, None)
    paths = [*translation.loss.paths, *translation.reply_loss.paths]
    headers = [found for loss in (translation.loss, translation.reply_loss) if (found := loss.header)]
    if headers:
        exchange.headers[HELICONE_TRANSLATION_LOSS] = ", ".join(headers)
    exchange.annotate(LOSS, paths)


def _made(exchange: Exchange) -> Made:
    return Made(exchange.request_id.replace("-", ""), int(exchange.received_at))

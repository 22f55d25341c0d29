"""Predictions: a provider that answers with a promise (Replicate) is asked on until the answer is there.

Source: replicate.com/docs, "Predictions" and "Streaming output". Asked are the addresses that the provider's own answer
names, but credentials go to the origin that was called and to no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from helicone_gw.dialects._json import mapping, text
from helicone_gw.dialects.replicate import FAILED
from helicone_gw.errors import GatewayError, UpstreamProtocolError, UpstreamTimeout
from helicone_gw.headers import Headers
from helicone_gw.model import Upstream, UpstreamRequest, UpstreamResponse
from helicone_gw.sse import EventSplitter, EventTooLarge, encode_event, event_name

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 2.0
"""Seconds between two looks at a prediction: the first pause, and what it doubles up to."""
MAX_PREDICTION = 8 * 1024 * 1024
"""Bytes of a prediction; a longer one is a broken answer."""
FINAL_LOOKS = 3
"""How often a prediction is looked at after its stream, until it counts its tokens; after that they are unknown."""

EVENTS = "text/event-stream"
_FINISHED = FAILED | {"succeeded"}
_CREDENTIALS = ("authorization", "x-api-key", "api-key")
_PREFER = "prefer"


async def follow_prediction(
    upstream: Upstream,
    call: UpstreamRequest,
    created: UpstreamResponse,
    *,
    stream: bool,
    give_up: float,
    max_event: int,
) -> UpstreamResponse:
    """The answer that the prediction ``created`` (the answer to ``call``) comes to.

    With ``stream`` that is its stream of events, with the finished prediction as an event ``prediction`` before the
    end; else the finished prediction itself. One that failed has status 500. ``give_up`` is the loop's time at which
    nobody waits any more; ``max_event`` bounds an event of the stream, in bytes. An error status passes as it is.

    Raises `UpstreamTimeout`, `UpstreamProtocolError` for what is no prediction, and what ``upstream`` raises.
    """
    if created.status >= 400:
        return created
    body = await _whole(created)
    prediction = _read(body)
    address = text(mapping(prediction.get("urls")).get("stream"))
    if stream and address is not None and prediction.get("status") not in FAILED:
        return await _streamed(upstream, call, prediction, address, max_event)
    finished = await _polled(upstream, call, prediction, body, give_up)
    found = _read(finished)
    if found.get("status") in FAILED:
        return _answer(500, finished)
    return _answer(200, _as_events(found, finished), EVENTS) if stream else _answer(200, finished)


def _as_events(prediction: Any, body: bytes) -> bytes:
    """A finished prediction of a model that does not stream, as the stream that it would have been."""
    output = prediction.get("output")
    pieces = output if isinstance(output, list) else [output]
    events = [encode_event(piece.encode("utf-8", "replace"), "output") for piece in pieces if isinstance(piece, str)]
    return b"".join([*events, encode_event(body, "prediction"), encode_event(b"{}", "done")])


async def _polled(upstream: Upstream, call: UpstreamRequest, prediction: Any, body: bytes, give_up: float) -> bytes:
    """The finished prediction's body."""
    pause = FIRST_PAUSE
    loop = asyncio.get_running_loop()
    while prediction.get("status") not in _FINISHED:
        if loop.time() + pause >= give_up:
            raise UpstreamTimeout(f"{call.target.provider} did not finish its prediction in time.")
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
        looked = await upstream(_get(call, _own(call, prediction, "get")))
        body = await _whole(looked)
        if looked.status >= 400:
            raise UpstreamProtocolError(
                f"{call.target.provider} answered {looked.status} when asked for its own prediction."
            )
        prediction = _read(body)
    return body


async def _streamed(
    upstream: Upstream, call: UpstreamRequest, prediction: Any, address: str, max_event: int
) -> UpstreamResponse:
    _check_address(call, address)
    response = await upstream(_get(call, address, accept=EVENTS))
    if response.status >= 400:
        return response
    return _with_body(response, _with_prediction(upstream, call, prediction, response.body, max_event))


async def _with_prediction(
    upstream: Upstream, call: UpstreamRequest, prediction: Any, body: AsyncIterator[bytes], max_event: int
) -> AsyncGenerator[bytes, None]:
    """The stream, and before its event ``done`` what the prediction says of itself, tokens among it."""
    splitter = EventSplitter(max_event)
    async for data in body:
        try:
            events = splitter.feed(data)
        except EventTooLarge as problem:
            raise UpstreamProtocolError(str(problem)) from None
        for event in events:
            if event_name(event) == "done":
                yield await _final_event(upstream, call, prediction)
            yield event
    yield splitter.flush()


async def _final_event(upstream: Upstream, call: UpstreamRequest, prediction: Any) -> bytes:
    pause = FIRST_PAUSE
    for _ in range(FINAL_LOOKS):
        try:
            looked = await upstream(_get(call, _own(call, prediction, "get")))
            body = await _whole(looked)
            found = _read(body)
        except GatewayError:
            return b""  # the answer is complete; only what it cost is not known
        if looked.status < 400 and found.get("status") in _FINISHED:
            return encode_event(body, "prediction")
        await asyncio.sleep(pause)
        pause *= 2
    return b""


def _own(call: UpstreamRequest, prediction: Any, name: str) -> str:
    """An address of the prediction's own, at the origin that was called: it is asked with its credentials."""
    address = text(mapping(prediction.get("urls")).get(name))
    if address is None or _origin(address) != _origin(call.url):
        raise UpstreamProtocolError(f"{call.target.provider} made a prediction that cannot be asked for.")
    return address


def _check_address(call: UpstreamRequest, address: str) -> None:
    """Streams come from another host of the provider's: one beside the host that was called, never plainer than it."""
    called, asked = urlsplit(call.url), urlsplit(address)
    home = (called.hostname or "").partition(".")[2]
    beside = asked.scheme == "https" and bool(home) and "." in home and (asked.hostname or "").endswith(f".{home}")
    if not beside and _origin(address) != _origin(call.url):
        raise UpstreamProtocolError(f"{call.target.provider} names an address for its stream that is not its own.")


def _get(call: UpstreamRequest, address: str, accept: str = "application/json") -> UpstreamRequest:
    """A GET of ``address`` as part of ``call``, with its credentials only where they belong."""
    headers = call.headers.without("content-type", _PREFER).set("accept", accept).set("accept-encoding", "identity")
    if _origin(address) != _origin(call.url):
        headers = headers.without(*_CREDENTIALS)
        return replace(call, method="GET", url=address, headers=headers, body=None, length=None, address=None)
    return replace(call, method="GET", url=address, headers=headers, body=None, length=None)


def _origin(address: str) -> tuple[str, str]:
    parts = urlsplit(address)
    return parts.scheme, parts.netloc.lower()


async def _whole(response: UpstreamResponse) -> bytes:
    try:
        pieces: list[bytes] = []
        size = 0
        async for data in response.body:
            size += len(data)
            if size > MAX_PREDICTION:
                raise UpstreamProtocolError(f"A prediction is longer than {MAX_PREDICTION} bytes.")
            pieces.append(data)
        return b"".join(pieces)
    finally:
        await response.close()


def _read(body: bytes) -> Any:
    try:
        value = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UpstreamProtocolError("The provider's prediction is no JSON object.")
    return value


def _answer(status: int, body: bytes, content_type: str = "application/json") -> UpstreamResponse:
    async def pieces() -> AsyncIterator[bytes]:
        yield body

    async def close() -> None:
        return None

    return UpstreamResponse(status, Headers({"content-type": content_type}), pieces(), close, buffered=body)


def _with_body(response: UpstreamResponse, body: AsyncGenerator[bytes, None]) -> UpstreamResponse:
    """``response`` with another body, closed with it."""
    close: Callable[..., Any] = response.close

    async def both() -> None:
        try:
            await body.aclose()
        finally:
            await close()

    return UpstreamResponse(response.status, response.headers, body, both)

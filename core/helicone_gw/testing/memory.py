"""A scripted response in memory: what a client of a real connection would see of it, without the connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from helicone_gw.errors import UpstreamProtocolError
from helicone_gw.headers import Headers
from helicone_gw.model import Target, UpstreamRequest, UpstreamResponse
from helicone_gw.testing.record import RecordedRequest
from helicone_gw.testing.script import End, Pause, ScriptedResponse
from helicone_gw.upstream.headers import response_headers

if TYPE_CHECKING:
    from helicone_gw.testing.provider import ScriptedProvider


async def answer_in_memory(provider: ScriptedProvider, request: UpstreamRequest) -> UpstreamResponse:
    """Answer one upstream request by the provider's script.

    A connection that ends early raises `UpstreamProtocolError`, here or out of the body; one that hangs waits until it
    is cancelled or closed: timeouts are the caller's affair, as they are with a socket.
    """
    from helicone_gw.testing.provider import resolve

    address = urlsplit(request.url)
    target = (address.path or "/") + (f"?{address.query}" if address.query else "")
    record = provider.record(request.method, target, request.headers)
    answer = provider.take(record)
    try:
        if not isinstance(answer, ScriptedResponse) or answer.reads_body:
            provider.note_received(record, await _whole(request.body))
        response = await resolve(answer, record)
        await asyncio.sleep(response.delay)
        if response.cut_at == "before_head" and response.how == "hang":
            await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        provider.note_closed(record)
        raise
    if response.cut_at == "before_head":
        raise UpstreamProtocolError("the connection ended before an answer came", target=request.target)
    if response.raw is not None:
        raise UpstreamProtocolError("what came is not HTTP", target=request.target)
    answer_body = _Body(provider, record, response, request.target)
    # As the gateway's own client does: what frames the message on a connection is not the answer's.
    headers = response_headers(sent_headers(response).raw, content_length=True)
    return UpstreamResponse(status=response.status, headers=headers, body=answer_body, close=answer_body.close)


def sent_headers(response: ScriptedResponse) -> Headers:
    """The response's header fields with those that frame its body, unless it brings its own."""
    fields = list(response.headers)
    given = {name.lower() for name, _ in fields}
    if given & {"content-length", "transfer-encoding"}:
        pass
    elif response.framing == "chunked":
        fields.append(("Transfer-Encoding", "chunked"))
    elif response.framing == "length" and response.status not in (204, 304):
        length = len(response.body) if response.content_length is None else response.content_length
        fields.append(("Content-Length", str(length)))
    elif response.framing == "close":
        fields.append(("Connection", "close"))
    return Headers((name.encode("latin-1"), value.encode("latin-1")) for name, value in fields)


def has_body(response: ScriptedResponse, method: str) -> bool:
    """Whether the answer has a body at all (RFC 9110 section 6.4.1)."""
    return method != "HEAD" and response.status not in (204, 304)


async def _whole(body: bytes | AsyncIterator[bytes] | None) -> bytes:
    if body is None or isinstance(body, bytes):
        return body or b""
    return b"".join([part async for part in body])


class _Body:
    """The body as an asynchronous iterator that `close` may end at any moment."""

    def __init__(
        self, provider: ScriptedProvider, record: RecordedRequest, response: ScriptedResponse, target: Target
    ) -> None:
        self._provider = provider
        self._record = record
        self._response = response
        self._target = target
        self._steps = response.steps() if has_body(response, record.method) else iter(())
        self._closed = asyncio.Event()
        self._over = False  # ended by the provider
        self._left = response.content_length if has_body(response, record.method) else None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while True:
            if self._record.answered.is_set():
                raise StopAsyncIteration
            if self._closed.is_set():
                raise self._broken("it was closed on this side")
            step = next(self._steps, None)
            if isinstance(step, Pause):
                await self._wait(step.seconds)
            elif isinstance(step, End):
                await self._end(step)
            elif step is None:
                if self._left:
                    self._over = True
                    raise self._broken("the body is shorter than its Content-Length")
                self._record.answered.set()
            else:
                data = step.data if self._left is None else step.data[: self._left]
                if self._left is not None:
                    self._left -= len(data)
                self._record.bytes_sent += len(data)
                if self._left == 0:
                    self._record.answered.set()
                if data:
                    return data

    async def close(self) -> None:
        """Close the connection, early or not."""
        self._closed.set()
        if not self._over:
            self._provider.note_closed(self._record)

    async def _wait(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        except TimeoutError:
            return
        raise self._broken("it was closed on this side")

    async def _end(self, end: End) -> None:
        if end.how == "hang":
            await self._wait(None)
        self._over = True
        whole = self._record.bytes_sent == len(self._response.body)
        unframed = self._response.framing == "close" and end.how != "reset"
        if not unframed and not (whole and self._response.framing == "length" and not self._left):
            raise self._broken("it ended before the body was complete")
        self._record.answered.set()

    def _broken(self, reason: str) -> UpstreamProtocolError:
        return UpstreamProtocolError(f"the connection broke: {reason}", target=self._target)

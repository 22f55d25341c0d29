"""In memory a scripted provider is an upstream: it answers, and breaks, as a real connection would."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from helicone_gw.errors import UpstreamConnectError, UpstreamProtocolError
from helicone_gw.headers import Headers
from helicone_gw.model import Target, UpstreamRequest, UpstreamResponse
from helicone_gw.testing import RecordedRequest, ScriptedProvider, ScriptedResponse, VirtualClock, of_events, of_json
from helicone_gw.testing.faults import empty, junk

EVENTS = (b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n")
TARGET = Target("openai", "gpt-4o")


def request(body: bytes | AsyncIterator[bytes] | None = b"{}", method: str = "POST") -> UpstreamRequest:
    return UpstreamRequest(
        method=method,
        url="https://api.example/v1/chat/completions?a=b",
        headers=Headers({"authorization": "Bearer secret"}),
        body=body,
        target=TARGET,
    )


async def read(response: UpstreamResponse) -> list[bytes]:
    return [part async for part in response.body]


async def read_into(received: bytearray, body: AsyncIterator[bytes]) -> None:
    async for part in body:
        received += part


async def test_answers_come_in_the_order_of_the_script() -> None:
    provider = ScriptedProvider(of_json({"n": 1}), of_json({"n": 2}, 429))
    first, second = await provider.upstream(request()), await provider.upstream(request())
    assert (first.status, await read(first)) == (200, [b'{"n":1}'])
    assert (second.status, await read(second)) == (429, [b'{"n":2}'])
    assert first.headers.get("content-length") == "7"


async def test_requests_are_remembered() -> None:
    provider = ScriptedProvider(of_json({}))
    await provider.upstream(request(b'{"model":"gpt-4o"}'))
    (seen,) = await provider.received()
    assert (seen.number, seen.method, seen.path, seen.query) == (1, "POST", "/v1/chat/completions", "a=b")
    assert seen.headers.get("authorization") == "Bearer secret"
    assert seen.json() == {"model": "gpt-4o"}
    assert "secret" not in repr(seen)


async def test_a_streaming_request_body_is_put_together() -> None:
    async def upload() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    provider = ScriptedProvider(of_json({}))
    await provider.upstream(request(upload()))
    assert provider.requests[0].body == b"one two"


async def test_an_early_answer_leaves_the_request_unread() -> None:
    async def upload() -> AsyncIterator[bytes]:
        raise AssertionError("read")
        yield b""

    provider = ScriptedProvider(of_json({}, 413).early())
    assert (await provider.upstream(request(upload()))).status == 413
    assert not provider.requests[0].received.is_set()


async def test_without_a_script_every_request_is_an_error_that_is_noted() -> None:
    provider = ScriptedProvider()
    response = await provider.upstream(request())
    assert response.status == 500
    assert b"no answer for request 1: POST /v1/chat/completions" in b"".join(await read(response))
    assert provider.unexpected == provider.requests


async def test_after_the_script_comes_the_default() -> None:
    provider = ScriptedProvider(of_json({}, 429), default=of_json({}))
    assert [(await provider.upstream(request())).status for _ in range(3)] == [429, 200, 200]
    assert provider.unexpected == []


async def test_an_answer_may_look_at_the_request() -> None:
    async def echo(seen: RecordedRequest) -> ScriptedResponse:
        return of_json(seen.json())

    def refuse(seen: RecordedRequest) -> ScriptedResponse:
        raise UpstreamConnectError("no route")

    provider = ScriptedProvider(echo, refuse)
    assert await read(await provider.upstream(request(b'{"a":1}'))) == [b'{"a":1}']
    with pytest.raises(UpstreamConnectError):
        await provider.upstream(request())


async def test_delay_and_pace_are_time(virtual_time: VirtualClock) -> None:
    provider = ScriptedProvider(of_events(*EVENTS).delayed(10).paced(1))
    response = await provider.upstream(request())
    assert virtual_time.monotonic() == 10
    times = [virtual_time.monotonic() async for _ in response.body]
    assert times == [10, 11, 12]


async def test_an_answer_that_was_read_whole_was_not_closed_by_the_client() -> None:
    provider = ScriptedProvider(of_events(*EVENTS))
    response = await provider.upstream(request())
    assert await read(response) == list(EVENTS)
    await response.close()
    seen = provider.requests[0]
    assert seen.answered.is_set()
    assert not seen.closed_by_client.is_set()
    assert seen.bytes_sent == sum(map(len, EVENTS))


async def test_closing_early_is_noted_with_its_time(virtual_time: VirtualClock) -> None:
    provider = ScriptedProvider(of_events(*EVENTS).paced(5))
    response = await provider.upstream(request())
    async for part in response.body:
        if part == EVENTS[1]:
            break
    await asyncio.sleep(1)
    await response.close()
    await provider.closed_by_client.wait()
    assert provider.requests[0].closed_at == 6
    with pytest.raises(UpstreamProtocolError, match="closed"):
        await read(response)


async def test_cancelling_the_call_is_closing_it(virtual_time: VirtualClock) -> None:
    provider = ScriptedProvider(of_json({}).delayed(60))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3):
            await provider.upstream(request())
    assert provider.requests[0].closed_at == 3


async def test_closing_wakes_a_reader_that_waits() -> None:
    provider = ScriptedProvider(of_events(*EVENTS).cut(events=1, how="hang"))
    response = await provider.upstream(request())
    body = response.body
    assert await anext(body) == EVENTS[0]
    reading = asyncio.ensure_future(anext(body))
    await asyncio.sleep(0)
    await response.close()
    with pytest.raises(UpstreamProtocolError):
        await reading


@pytest.mark.parametrize("how", ["close", "half_close", "reset"])
async def test_dropped_before_the_head(how: str) -> None:
    provider = ScriptedProvider(of_json({}).cut("before_head", how=how))  # type: ignore[arg-type]
    with pytest.raises(UpstreamProtocolError) as problem:
        await provider.upstream(request())
    assert problem.value.target == TARGET


@pytest.mark.parametrize(
    "broken",
    [
        of_events(*EVENTS).cut(events=2),
        of_events(*EVENTS).cut(events=2, how="reset"),
        of_json({"a": 1}).cut(bytes=3),
        of_json({"a": 1}).framed("close").cut(bytes=3, how="reset"),
    ],
)
async def test_cut_in_the_body(broken: ScriptedResponse) -> None:
    provider = ScriptedProvider(broken)
    response = await provider.upstream(request())
    received = bytearray()
    with pytest.raises(UpstreamProtocolError):
        await read_into(received, response.body)
    assert received == broken.body[: len(received)]
    assert provider.requests[0].bytes_sent == len(received) == broken.cut_at
    await response.close()
    assert not provider.requests[0].closed_by_client.is_set()


async def test_a_stream_without_its_last_chunk_is_cut_even_if_every_event_came() -> None:
    response = await ScriptedProvider(of_events(*EVENTS).cut(events=3)).upstream(request())
    with pytest.raises(UpstreamProtocolError):
        await read(response)


async def test_where_only_the_end_of_the_connection_ends_a_body_a_cut_looks_complete() -> None:
    response = await ScriptedProvider(of_events(*EVENTS).framed("close").cut(events=1)).upstream(request())
    assert await read(response) == [EVENTS[0]]


async def test_a_length_that_is_too_long_breaks_and_one_that_is_too_short_cuts() -> None:
    provider = ScriptedProvider(of_json({"a": 1}).claiming_length(100), of_json({"a": 1}).claiming_length(3))
    response = await provider.upstream(request())
    assert response.headers.get("content-length") == "100"
    with pytest.raises(UpstreamProtocolError, match="shorter"):
        await read(response)
    assert await read(await provider.upstream(request())) == [b'{"a']


async def test_hanging_before_the_head_lasts_until_somebody_loses_patience(virtual_time: VirtualClock) -> None:
    provider = ScriptedProvider(of_json({}).cut("before_head", how="hang"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(600):
            await provider.upstream(request())
    assert provider.requests[0].closed_at == 600


async def test_junk_is_not_http() -> None:
    with pytest.raises(UpstreamProtocolError, match="not HTTP"):
        await ScriptedProvider(junk()).upstream(request())


async def test_no_body_where_http_has_none() -> None:
    provider = ScriptedProvider(of_json({"a": 1}), empty(204))
    head = await provider.upstream(request(None, "HEAD"))
    assert head.headers.get("content-length") == "7"
    assert await read(head) == []
    nothing = await provider.upstream(request())
    assert "content-length" not in nothing.headers
    assert await read(nothing) == []


async def test_waiting_for_requests() -> None:
    provider = ScriptedProvider(default=of_json({}))
    waiting = asyncio.ensure_future(provider.received(2))
    await provider.upstream(request())
    await asyncio.sleep(0)
    assert not waiting.done()
    await provider.upstream(request())
    assert len(await waiting) == 2

"""Predictions are followed to their end: polled within the deadline, streamed, and never with credentials elsewhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from helicone_gw.dialects import wire_format
from helicone_gw.errors import UpstreamConnectError, UpstreamProtocolError, UpstreamTimeout
from helicone_gw.headers import Headers
from helicone_gw.model import Target, UpstreamRequest, UpstreamResponse, Usage
from helicone_gw.pipeline import predictions
from helicone_gw.pipeline.predictions import FINAL_LOOKS, follow_prediction
from helicone_gw.sse import EventSplitter, encode_event

API = "https://api.replicate.com"
GET = f"{API}/v1/predictions/p1"
STREAM = "https://stream.replicate.com/v1/files/abc"
METRICS = {"input_token_count": 12, "output_token_count": 30}
CALL = UpstreamRequest(
    "POST",
    f"{API}/v1/models/meta/llama/predictions",
    Headers({"authorization": "Bearer r8-key", "content-type": "application/json", "prefer": "wait"}),
    b"{}",
    Target("replicate", "meta/llama"),
)
Answers = dict[str, list[tuple[int, bytes] | Exception]]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses take no time; how long they would have been is told."""
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(predictions.asyncio, "sleep", pause)
    return pauses


def prediction(status: str = "succeeded", *, stream: str | None = None, get: str = GET, **members: Any) -> bytes:
    urls = {"get": get} | ({} if stream is None else {"stream": stream})
    return json.dumps({"id": "p1", "status": status, "urls": urls, **members}).encode()


class Provider:
    """Answers by URL, one after the other, the last one for ever; remembers what it was asked and what was closed."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.asked: list[UpstreamRequest] = []
        self.open = 0

    async def __call__(self, call: UpstreamRequest) -> UpstreamResponse:
        self.asked.append(call)
        several = self.answers[call.url]
        answer = several[0] if len(several) == 1 else several.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return self.response(*answer)

    def response(self, status: int, *pieces: bytes) -> UpstreamResponse:
        self.open += 1

        async def body() -> AsyncIterator[bytes]:
            for piece in pieces:
                yield piece

        async def close() -> None:
            self.open -= 1

        return UpstreamResponse(status, Headers({"content-type": "text/event-stream"}), body(), close)

    async def follow(self, *created: bytes, status: int = 201, stream: bool = False, seconds: float = 60) -> Any:
        give_up = asyncio.get_running_loop().time() + seconds
        response = await follow_prediction(
            self, CALL, self.response(status, *created), stream=stream, give_up=give_up, max_event=1 << 16
        )
        body = b"".join([piece async for piece in response.body])
        await response.close()
        assert self.open == 0, "a connection was left open"
        return response.status, body


async def test_a_prediction_that_is_done_is_the_answer() -> None:
    provider = Provider({})
    done = prediction(output="Hi")
    assert await provider.follow(done[:9], done[9:]) == (200, done)
    assert provider.asked == []


async def test_one_that_is_not_is_asked_for_until_it_is(no_pauses: list[float]) -> None:
    done = prediction(output="Hi")
    running: list[tuple[int, bytes] | Exception] = [(200, prediction("processing"))] * 5
    provider = Provider({GET: [*running, (200, done)]})
    assert await provider.follow(prediction("starting")) == (200, done)
    assert no_pauses == [0.25, 0.5, 1.0, 2.0, 2.0, 2.0]
    (asked, *_) = provider.asked
    assert (asked.method, asked.body) == ("GET", None)
    assert asked.headers.get("authorization") == "Bearer r8-key"
    assert "prefer" not in asked.headers
    assert "content-type" not in asked.headers


async def test_polling_ends_with_the_deadline() -> None:
    provider = Provider({GET: [(200, prediction("processing"))]})
    with pytest.raises(UpstreamTimeout):
        await provider.follow(prediction("starting"), seconds=0.1)
    assert provider.asked == []


@pytest.mark.parametrize("status", ["failed", "canceled"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_prediction_that_failed_is_an_error(status: str, stream: bool) -> None:
    failed = prediction(status, error="CUDA out of memory", stream=STREAM)
    assert await Provider({}).follow(failed, stream=stream) == (500, failed)
    assert await Provider({GET: [(200, failed)]}).follow(prediction("starting")) == (500, failed)


async def test_an_error_status_passes_as_it_is() -> None:
    assert await Provider({}).follow(b'{"detail":"no"}', status=422) == (422, b'{"detail":"no"}')


SENT = [b"event: output\ndata: Once\n\n", b"event: output\ndata:  upon\n\n", b"event: done\ndata: {}\n\n"]


async def test_a_stream_has_the_prediction_before_its_end() -> None:
    done = prediction(metrics=METRICS)
    provider = Provider({STREAM: [(200, b"".join(SENT))], GET: [(200, prediction("processing")), (200, done)]})
    status, body = await provider.follow(prediction("starting", stream=STREAM), stream=True)
    assert status == 200
    assert EventSplitter(1 << 16).feed(body) == [*SENT[:2], encode_event(done, "prediction"), SENT[2]]
    wire = wire_format("replicate", "predictions")
    assert wire is not None
    reader = wire.stream_reader()
    for event in EventSplitter(1 << 16).feed(body):
        reader.feed(event)
    assert (reader.complete, reader.usage) == (True, Usage(12, 30))


async def test_credentials_stay_at_the_origin_that_was_called() -> None:
    provider = Provider({STREAM: [(200, b"".join(SENT))], GET: [(200, prediction())]})
    await provider.follow(prediction("starting", stream=STREAM), stream=True)
    stream, get = provider.asked
    assert (stream.url, stream.headers.get("accept")) == (STREAM, "text/event-stream")
    assert "authorization" not in stream.headers
    assert get.headers.get("authorization") == "Bearer r8-key"


@pytest.mark.parametrize(
    "answers",
    [
        [(200, prediction("processing"))],
        [(500, b"{}")],
        [(200, b"no JSON")],
        [UpstreamConnectError("gone")],
    ],
)
async def test_a_stream_whose_tokens_cannot_be_had_is_complete_all_the_same(answers: list[Any]) -> None:
    provider = Provider({STREAM: [(200, b"".join(SENT))], GET: answers})
    _, body = await provider.follow(prediction("starting", stream=STREAM), stream=True)
    assert body == b"".join(SENT)
    assert len(provider.asked) <= 1 + FINAL_LOOKS


async def test_a_model_that_does_not_stream_is_polled_and_told_as_a_stream() -> None:
    done = prediction(output=["Once", " upon\ntime"], metrics=METRICS)
    status, body = await Provider({GET: [(200, done)]}).follow(prediction("starting"), stream=True)
    assert status == 200
    assert EventSplitter(1 << 16).feed(body) == [
        b"event: output\ndata: Once\n\n",
        b"event: output\ndata:  upon\ndata: time\n\n",
        encode_event(done, "prediction"),
        b"event: done\ndata: {}\n\n",
    ]


async def test_a_stream_that_is_refused_passes_as_it_is() -> None:
    provider = Provider({STREAM: [(503, b"busy")]})
    assert await provider.follow(prediction("starting", stream=STREAM), stream=True) == (503, b"busy")


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example.com/stream",
        "http://stream.replicate.com/stream",
        "https://replicate.com.evil.example/stream",
        "https://evilreplicate.com/stream",
        "http://127.0.0.1/stream",
        "file:///etc/passwd",
    ],
)
async def test_streams_at_other_addresses_are_not_asked_for(address: str) -> None:
    provider = Provider({})
    with pytest.raises(UpstreamProtocolError, match="not its own"):
        await provider.follow(prediction("starting", stream=address), stream=True)
    assert provider.asked == []


@pytest.mark.parametrize("address", ["https://stream.replicate.com/p1", "http://api.replicate.com/p1", "", "/v1/p1"])
async def test_predictions_at_other_addresses_are_not_asked_for(address: str) -> None:
    provider = Provider({})
    with pytest.raises(UpstreamProtocolError, match="cannot be asked for"):
        await provider.follow(prediction("starting", get=address))
    assert provider.asked == []


@pytest.mark.parametrize("created", [b"", b"[]", b'"text"', b"{"])
async def test_what_is_no_prediction(created: bytes) -> None:
    with pytest.raises(UpstreamProtocolError, match="no JSON object"):
        await Provider({}).follow(created)


async def test_a_prediction_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictions, "MAX_PREDICTION", 10)
    with pytest.raises(UpstreamProtocolError, match="longer than 10 bytes"):
        await Provider({}).follow(prediction())


async def test_an_error_while_polling() -> None:
    with pytest.raises(UpstreamProtocolError, match="answered 404"):
        await Provider({GET: [(404, b"{}")]}).follow(prediction("starting"))


async def test_an_event_that_is_too_long() -> None:
    provider = Provider({STREAM: [(200, b"data: " + bytes(1 << 17))]})
    with pytest.raises(UpstreamProtocolError, match="longer than"):
        await provider.follow(prediction("starting", stream=STREAM), stream=True)

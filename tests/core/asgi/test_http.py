"""One exchange over ASGI: what is sent, what is not, and what a client that leaves sets going."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from helicone_gw import Exchange, Plugin, hookimpl
from helicone_gw.app import App
from helicone_gw.testing import (
    GatewayFactory,
    RunningGateway,
    ScriptedProvider,
    event,
    of_bytes,
    of_events,
    of_json,
)
from helicone_gw.testing.client import http_scope
from helicone_gw.testing.dialects import openai_chat

CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
BINARY = {"Content-Type": "application/octet-stream"}


def outcomes(running: RunningGateway) -> list[tuple[str, int | None]]:
    return [(exchange.outcome.kind, exchange.outcome.status) for exchange in running.exchanges]


async def test_an_answer_carries_what_the_gateway_says_of_it(gateway: GatewayFactory) -> None:
    async with gateway() as running:
        reply = await running.chat()
        (exchange,) = running.exchanges
        assert reply.headers.get("helicone-id") == exchange.request_id
        assert reply.headers.get("helicone-status") == "success"
        assert reply.headers.get("content-length") == str(len(reply.body))
        assert exchange.client == "127.0.0.1"
        assert outcomes(running) == [("ok", 200)]


async def test_the_clients_own_id_is_kept(gateway: GatewayFactory) -> None:
    own = "6f6d4a3e-0c1d-4c7b-9d2f-0f8f5c1f0a11"
    async with gateway() as running:
        reply = await running.chat(headers={"Helicone-Request-Id": own})
        assert reply.headers.get("helicone-id") == own
        assert running.exchanges[0].id != own


async def test_a_provider_cannot_speak_for_the_gateway(gateway: GatewayFactory) -> None:
    forged = openai_chat.reply("Hi").with_headers({"Helicone-Id": "forged", "Helicone-Cache": "HIT", "X-Own": "1"})
    async with gateway(provider=ScriptedProvider(forged)) as running:
        reply = await running.chat()
        assert reply.headers.get_all("helicone-id") == [running.exchanges[0].request_id]
        assert "helicone-cache" not in reply.headers
        assert reply.headers.get("x-own") == "1"


async def test_a_stream_that_breaks_is_never_finished(gateway: GatewayFactory) -> None:
    script = openai_chat.stream("Hello!").cut(events=2, how="reset")
    async with gateway(provider=ScriptedProvider(script)) as running:
        reply = await running.chat(stream=True)
        assert reply.aborted
        assert b"[DONE]" not in reply.body
        assert b'"error"' in reply.body
        assert outcomes(running) == [("stream_broken", 200)]


async def test_a_client_that_leaves_before_its_request_is_complete(gateway: GatewayFactory) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b'{"model":'
        await asyncio.Event().wait()

    async with gateway() as running:
        app: App = running.app
        sent: list[dict[str, Any]] = []
        messages: list[dict[str, Any]] = [
            {"type": "http.request", "body": b'{"model":', "more_body": True},
            {"type": "http.disconnect"},
        ]

        async def receive() -> dict[str, Any]:
            return messages.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        headers = {"content-type": "application/json", "content-length": "500"}
        await app(http_scope("POST", "/v1/chat/completions", headers), receive, send)
        assert sent == []
        assert [kind for kind, _ in outcomes(running)] == ["client_disconnected"]
        assert running.exchanges[0].outcome.code == "client_left"
        assert running.gateway.active == 0


@pytest.mark.virtual_time
@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_before_its_answer_cancels_the_call(gateway: GatewayFactory, stream: bool) -> None:
    script = (openai_chat.stream("Hi") if stream else openai_chat.reply("Hi")).delayed(60)
    async with gateway(provider=ScriptedProvider(script)) as running:
        async with running.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": stream}):
            await running.provider.received()
            await asyncio.sleep(1)
        assert outcomes(running) == [("client_disconnected", None)]
        assert running.provider.requests[0].closed_by_client.is_set()
        assert asyncio.get_running_loop().time() < 5


@pytest.mark.virtual_time
async def test_a_client_that_leaves_in_the_middle_of_a_stream(gateway: GatewayFactory) -> None:
    script = openai_chat.stream(("one", "two", "three")).paced(10)
    async with gateway(provider=ScriptedProvider(script)) as running:
        async with running.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}) as live:
            await anext(live)
            await anext(live)
        assert outcomes(running) == [("client_disconnected", 200)]
        (exchange,) = running.exchanges
        assert exchange.outcome.bytes_sent == sum(map(len, script.parts[:2]))
        assert running.provider.requests[0].closed_by_client.is_set()


@pytest.mark.virtual_time
async def test_draining_lets_the_call_finish_for_a_client_that_left(gateway: GatewayFactory) -> None:
    script = openai_chat.stream(("one", "two", "three")).paced(10)
    config = {"limits": {"on_disconnect": "drain"}}
    async with gateway(provider=ScriptedProvider(script), config=config) as running:
        async with running.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}) as live:
            await anext(live)
        assert outcomes(running) == [("client_disconnected", 200)]
        assert running.provider.requests[0].answered.is_set()
        assert running.exchanges[0].usage is not None
        assert running.exchanges[0].usage.output_tokens


@pytest.mark.virtual_time
@pytest.mark.parametrize("drain", [False, True])
async def test_a_server_that_tells_of_departures_is_asked_nothing_else(gateway: GatewayFactory, drain: bool) -> None:
    told: list[Callable[[], None]] = []
    config = {"limits": {"on_disconnect": "drain" if drain else "cancel"}}
    async with gateway(provider=ScriptedProvider(openai_chat.reply("Hi").delayed(60)), config=config) as running:
        pieces = [{"type": "http.request", "body": json.dumps(CHAT).encode(), "more_body": False}]

        async def receive() -> dict[str, Any]:
            return pieces.pop()  # a second question would raise

        async def send(message: Any) -> None:
            pytest.fail(f"nobody is there for {message}")

        scope = http_scope("POST", "/v1/chat/completions", {"content-type": "application/json"})
        scope["extensions"] = {"helicone_gw.on_departure": told.append}
        task = asyncio.ensure_future(running.app(scope, receive, send))
        await running.provider.received()
        await asyncio.sleep(1)
        (departed,) = told
        departed()
        await task
        assert outcomes(running) == [("client_disconnected", 200 if drain else None)]
        assert running.provider.requests[0].answered.is_set() is drain


@pytest.mark.virtual_time
async def test_a_client_that_leaves_in_the_middle_of_its_upload(gateway: GatewayFactory) -> None:
    leaving = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"x" * 1000
        leaving.set()
        await asyncio.Event().wait()

    async with gateway() as running:
        app: App = running.app
        pieces = body()

        async def receive() -> dict[str, Any]:
            if leaving.is_set():
                return {"type": "http.disconnect"}
            data = await anext(pieces)
            leaving.set()
            return {"type": "http.request", "body": data, "more_body": True}

        async def send(message: Any) -> None:
            pytest.fail(f"nobody is there for {message}")

        await app(http_scope("POST", "/v1/files", {**BINARY, "transfer-encoding": "chunked"}), receive, send)
        assert [kind for kind, _ in outcomes(running)] == ["client_disconnected"]
        assert not running.provider.requests[0].received.is_set()
        assert running.exchanges[0].request_capture.size == 1000


@pytest.mark.virtual_time
async def test_a_client_that_leaves_after_its_upload_cancels_the_call_too(gateway: GatewayFactory) -> None:
    async with gateway(provider=ScriptedProvider(of_json({}).delayed(60))) as running:
        async with running.stream("POST", "/v1/files", content=b"x" * 10, headers=BINARY):
            await running.provider.received()
            await asyncio.sleep(1)
        assert [kind for kind, _ in outcomes(running)] == ["client_disconnected"]
        assert asyncio.get_running_loop().time() < 5


@pytest.mark.virtual_time
async def test_a_client_that_sends_too_slowly(gateway: GatewayFactory) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b'{"model":'
        await asyncio.sleep(3600)

    async with gateway(config={"limits": {"idle_timeout": 20}}) as running:
        async with running.stream(
            "POST", "/v1/chat/completions", content=body(), headers={"Content-Type": "application/json"}
        ) as live:
            await live.head()
            assert live.status == 408
        assert outcomes(running) == [("refused", 408)]


async def test_a_client_that_stays_until_the_end_did_not_leave(gateway: GatewayFactory) -> None:
    async with gateway() as running:
        for _ in range(3):
            await running.chat()
            await running.chat(stream=True)
        assert outcomes(running) == [("ok", 200)] * 6


class Slow(Plugin):
    """Takes its time at the end."""

    @hookimpl
    async def on_finish(self, exchange: Exchange) -> None:
        await asyncio.sleep(5)


@pytest.mark.virtual_time
async def test_the_server_closing_after_the_answer_is_no_client_leaving(gateway: GatewayFactory) -> None:
    async with gateway(["slow"], classes={"slow": Slow}) as running:
        assert (await running.chat()).status == 200
        assert (await running.chat(stream=True)).status == 200
        assert outcomes(running) == [("ok", 200)] * 2


async def test_other_bodies_pass_as_they_are(gateway: GatewayFactory) -> None:
    data = bytes(range(256)) * 300
    provider = ScriptedProvider(of_bytes(data, "audio/mpeg"), of_events(event({"a": 1}), event(b"x")))
    async with gateway(provider=provider) as running:
        reply = await running.request("GET", "/v1/files/file-1/content")
        assert reply.body == data
        assert reply.headers.get("content-type") == "audio/mpeg"
        reply = await running.request("GET", "/v1/anything/else")
        assert reply.body == event({"a": 1}) + event(b"x")


async def test_a_fault_of_ours_is_a_500_with_a_row(gateway: GatewayFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    async with gateway() as running:

        async def broken(*arguments: Any) -> None:
            raise KeyError("sk-secret")

        monkeypatch.setattr(running.gateway.pipeline.services.attempts, "prepare", broken)
        reply = await running.chat()
        assert reply.status == 500
        assert "sk-secret" not in reply.body.decode()
        assert outcomes(running) == [("internal_error", 500)]
        assert running.gateway.active == 0


async def test_a_fault_in_admission_is_a_500_with_a_row_too(
    gateway: GatewayFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*arguments: Any) -> None:
        raise KeyError("sk-secret")

    async with gateway() as running:
        monkeypatch.setattr("helicone_gw.asgi.http.admit", broken)
        reply = await running.chat()
        assert reply.status == 500
        assert outcomes(running) == [("internal_error", 500)]


@pytest.mark.virtual_time
async def test_a_cancellation_by_the_server_passes_and_everyone_is_told(gateway: GatewayFactory) -> None:
    async with gateway(provider=ScriptedProvider(openai_chat.reply("Hi").delayed(60))) as running:
        body = [{"type": "http.request", "body": b'{"model": "gpt-4o-mini", "messages": []}', "more_body": False}]

        async def receive() -> Any:
            return body.pop(0) if body else await asyncio.get_running_loop().create_future()

        async def send(message: Any) -> None:
            pytest.fail("nothing was to be said")

        headers = {"content-type": "application/json"}
        call = asyncio.ensure_future(running.app(http_scope("POST", "/v1/chat/completions", headers), receive, send))
        await running.provider.received()
        call.cancel()
        await asyncio.wait({call})
        assert call.cancelled()
        await asyncio.sleep(1)
        assert outcomes(running) == [("interrupted", None)]
        assert running.gateway.active == 0

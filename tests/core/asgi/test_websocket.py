"""One WebSocket over ASGI: accepted or refused, counted, told of."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from helicone_gw.testing import GatewayFactory, RunningGateway
from helicone_gw.testing.client import http_scope

Handler = Callable[[ServerConnection], Awaitable[None]]
DONE = {
    "type": "response.done",
    "response": {"usage": {"total_tokens": 5, "input_tokens": 3, "output_tokens": 2}},
}


@asynccontextmanager
async def voice(handler: Handler, **options: Any) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        yield f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/v1"


class Client:
    """A WebSocket client over ASGI."""

    def __init__(
        self,
        running: RunningGateway,
        path: str = "/v1/realtime?model=gpt-realtime",
        headers: dict[str, str] | None = None,
        subprotocols: tuple[str, ...] = (),
        refusable: bool = True,
    ) -> None:
        fields = dict(headers or {})
        if subprotocols:
            fields["sec-websocket-protocol"] = ", ".join(subprotocols)
        scope = http_scope("GET", path, fields)
        del scope["method"]
        extensions = {"websocket.http.response": {}} if refusable else {}
        scope |= {"type": "websocket", "scheme": "ws", "subprotocols": list(subprotocols), "extensions": extensions}
        self.sent: list[dict[str, Any]] = []
        self._news = asyncio.Event()
        self._says: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._says.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.ensure_future(running.app(scope, self._says.get, self._send))
        self.task.add_done_callback(lambda _: self._news.set())

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append(dict(message))
        self._news.set()

    def says(self, text: str) -> None:
        self._says.put_nowait({"type": "websocket.receive", "text": text})

    def leaves(self, code: int = 1000) -> None:
        self._says.put_nowait({"type": "websocket.disconnect", "code": code})

    async def got(self, count: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(10):
            while len(self.sent) < count and not self.task.done():
                self._news.clear()
                await self._news.wait()
        return self.sent

    async def ended(self) -> list[dict[str, Any]]:
        async with asyncio.timeout(10):
            await self.task
        return self.sent


async def answers(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(f"echo {message}")
        await connection.send(json.dumps(DONE))


def at(base: str) -> dict[str, Any]:
    return {"providers": {"openai": {"base_url": base}}}


async def test_a_conversation_is_tunnelled_and_its_usage_summed(gateway: GatewayFactory) -> None:
    async with voice(answers) as base, gateway(config=at(base)) as running:
        client = Client(running)
        (accepted,) = await client.got(1)
        assert accepted["type"] == "websocket.accept"
        assert dict(accepted["headers"])[b"helicone-id"]
        assert all(name.startswith(b"helicone-") for name, _ in accepted["headers"])
        for text in ("one", "two"):
            client.says(text)
        sent = await client.got(5)
        assert [message["text"] for message in sent[1::2]] == ["echo one", "echo two"]
        client.leaves()
        await client.ended()
        (exchange,) = running.exchanges
        assert exchange.usage.input_tokens == 6
        assert exchange.usage.output_tokens == 4
        assert (exchange.outcome.kind, exchange.outcome.status) == ("ok", 101)
        assert exchange.outcome.bytes_sent == sum(len(message["text"]) for message in sent[1:])
        assert exchange.attempts[0].ok
        assert running.gateway.health.of(exchange.attempts[0].target).in_flight == 0
        assert running.gateway.active == 0


async def test_the_subprotocol_is_the_providers_choice_and_a_key_is_none(gateway: GatewayFactory) -> None:
    seen: list[str] = []

    async def look(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append(connection.request.headers.get("sec-websocket-protocol", ""))
        seen.append(connection.request.headers.get("authorization", ""))
        await connection.close(1000)

    async with voice(look, subprotocols=["realtime"]) as base, gateway(config=at(base)) as running:
        client = Client(running, subprotocols=("realtime", "openai-insecure-api-key.sk-own"))
        accepted, closed = await client.ended()
        assert accepted["subprotocol"] == "realtime"
        assert closed == {"type": "websocket.close", "code": 1000, "reason": ""}
        assert seen == ["realtime", "Bearer sk-own"]


@pytest.mark.parametrize("refusable", [True, False])
async def test_a_refusal_is_an_http_answer_where_the_server_can_give_one(
    gateway: GatewayFactory, keyed: dict[str, Any], refusable: bool
) -> None:
    async with gateway(**keyed) as running:
        sent = await Client(running, headers={"authorization": "Bearer wrong"}, refusable=refusable).ended()
        if refusable:
            assert sent[0]["type"] == "websocket.http.response.start"
            assert sent[0]["status"] == 401
            body = b"".join(message["body"] for message in sent[1:])
            assert json.loads(body)["error"]["code"] == "invalid_api_key"
            assert sent[-1]["more_body"] is False
        else:
            assert sent == [{"type": "websocket.close", "code": 1008}]
        (exchange,) = running.exchanges
        assert (exchange.outcome.kind, exchange.outcome.status) == ("refused", 401)


async def test_the_providers_refusal_reaches_the_client(gateway: GatewayFactory) -> None:
    def refuse(connection: ServerConnection, request: Any) -> Any:
        return connection.respond(429, "slow down")

    async with voice(answers, process_request=refuse) as base, gateway(config=at(base)) as running:
        sent = await Client(running).ended()
        assert sent[0]["status"] == 429
        assert b"slow down" in b"".join(message["body"] for message in sent[1:])
        assert running.exchanges[0].outcome.kind == "upstream_error"
        assert running.exchanges[0].attempts[0].status is None


async def test_a_provider_that_is_not_there(gateway: GatewayFactory) -> None:
    async with gateway(config=at("http://127.0.0.1:9/v1")) as running:
        sent = await Client(running).ended()
        assert sent[0]["status"] == 502
        assert running.exchanges[0].error.code == "upstream_unreachable"


async def test_a_provider_that_breaks_off_is_an_error_with_what_was_used(gateway: GatewayFactory) -> None:
    async def breaks(connection: ServerConnection) -> None:
        await connection.send(json.dumps(DONE))
        connection.transport.abort()

    async with voice(breaks) as base, gateway(config=at(base)) as running:
        sent = await Client(running).ended()
        assert sent[-1]["type"] == "websocket.close"
        assert sent[-1]["code"] == 1011
        (exchange,) = running.exchanges
        assert exchange.error.code == "upstream_protocol_error"
        assert exchange.outcome.kind in ("upstream_error", "stream_broken")
        assert exchange.usage.input_tokens == 3
        assert not exchange.attempts[0].ok


async def test_a_tunnel_that_the_server_cancels_keeps_what_is_known(gateway: GatewayFactory) -> None:
    async with voice(answers) as base, gateway(config=at(base)) as running:
        client = Client(running)
        await client.got(1)
        client.says("one")
        await client.got(3)
        client.task.cancel()
        await asyncio.wait({client.task})
        await running.gateway._settling.drain(5)
        (exchange,) = running.exchanges
        assert exchange.outcome.kind == "interrupted"
        assert exchange.attempts[0].usage.input_tokens == 3
        assert exchange.attempts[0].ended_at is not None
        assert running.gateway.active == 0


async def test_an_address_that_is_none_of_a_websocket(gateway: GatewayFactory) -> None:
    async with gateway() as running:
        sent = await Client(running, path="/nothing").ended()
        assert sent[0]["status"] == 404


async def test_an_alias_is_resolved_in_the_providers_address(gateway: GatewayFactory) -> None:
    seen: list[str] = []

    async def look(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append(connection.request.path)

    async with voice(look) as base:
        config = {**at(base), "models": {"talk": {"providers": ["openai"], "model": "gpt-realtime"}}}
        async with gateway(config=config) as running:
            await Client(running, path="/v1/realtime?model=talk").ended()
            assert seen == ["/v1/realtime?model=gpt-realtime"]
            assert running.exchanges[0].model == "gpt-realtime"


async def test_web_pages_do_not_reach_an_open_gateway(gateway: GatewayFactory) -> None:
    async with gateway() as running:
        sent = await Client(running, headers={"origin": "https://evil.example"}).ended()
        assert sent[0]["status"] == 403

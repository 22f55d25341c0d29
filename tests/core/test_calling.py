"""Providers asked from inside, for whoever a page knows: every plugin hears of it, and no secret is needed or left."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from helicone_gw import GatewayKey
from helicone_gw.access import Permits
from helicone_gw.calling import QUEUED, Lent
from helicone_gw.pages import Pages
from helicone_gw.testing import GatewayFactory, RecordedRequest, RunningGateway, ScriptedProvider, ScriptedResponse
from helicone_gw.testing.dialects import openai_chat
from tests.core.test_pages import CLASSES

ANN = GatewayKey("user:1", "ann", "ann", organization="one", permits=Permits(models=("gpt-4o-mini",)))
BODY = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}
JSON = {"Content-Type": "application/json"}
CHAT = "/v1/chat/completions"


def dripping(request: RecordedRequest) -> ScriptedResponse:
    """An answer in more pieces than are kept for whoever does not read them."""
    return openai_chat.stream(text=["word "] * 4 * QUEUED).paced(0.001)


async def asked(running: RunningGateway, caller: GatewayKey | None, **more: Any) -> tuple[int, bytes]:
    called = await running.gateway.pages.call(
        "POST", CHAT, caller=caller, headers=JSON, content=msgspec.json.encode({**BODY, **more})
    )
    return called.status, b"".join([piece async for piece in called.pieces()])


@pytest.mark.parametrize("stream", [False, True])
async def test_it_is_an_exchange_like_any_other_of_the_caller(gateway: GatewayFactory, stream: bool) -> None:
    provider = ScriptedProvider(default=openai_chat.answer(text="I am here"))
    async with gateway(["doorman"], provider=provider, classes=CLASSES) as running:
        status, body = await asked(running, ANN, stream=stream)
        assert status == 200
        assert b"here" in body
        assert body.rstrip().endswith(b"data: [DONE]") == stream
        (exchange,) = running.exchanges
        assert (exchange.key, exchange.organization, exchange.permits) == (ANN, "one", ANN.permits)
        sent = provider.requests[0].headers
        assert not any(name.startswith("helicone") for name, _ in sent), "the secret of the call goes no further"
        assert all(secret.startswith("sk-helicone-once-") for secret in exchange.secrets), "whoever logs takes it out"


async def test_what_the_caller_may_not_is_refused(gateway: GatewayFactory) -> None:
    async with gateway(["doorman"], classes=CLASSES) as running:
        assert (await asked(running, ANN, model="gpt-4o"))[0] == 403
        assert (await asked(running, replace(ANN, scope="read")))[0] == 403
        assert (await asked(running, replace(ANN, permits=Permits(networks=("10.0.0.0/8",)))))[0] == 403
        assert (await asked(running, None))[0] == 401
        assert running.provider.requests == []
    async with gateway([]) as running:
        assert (await asked(running, None))[0] == 200, "where there are no keys, nobody needs one"


async def test_no_page_of_the_gateway_is_reached_that_way(gateway: GatewayFactory) -> None:
    async with gateway(["echoing", "doorman"], classes=CLASSES) as running:
        for path in ("/echo", "/readyz", "/nothing", "/v1/../echo"):
            called = await running.gateway.pages.call("POST", path, caller=ANN, headers=JSON, content=b"{}")
            assert called.status == 404
            assert [piece async for piece in called.pieces()]


async def test_its_secret_is_good_for_nobody_afterwards(gateway: GatewayFactory) -> None:
    async with gateway(["doorman"], classes=CLASSES) as running:
        await asked(running, ANN)
        (secret,) = running.exchanges[0].secrets
        assert await running.gateway.keys.lookup(secret) is None
        assert (
            await running.request("POST", CHAT, json=BODY, headers={"Helicone-Auth": f"Bearer {secret}"})
        ).status == 401


async def test_keys_are_lent_for_as_long_as_the_call_is_admitted() -> None:
    lent = Lent()
    with lent.to(ANN) as secret:
        assert await lent.lookup(secret) is ANN
        assert await lent.knows(secret)
        assert await lent.lookup(secret + "x") is None
    assert not await lent.knows(secret)


async def test_whoever_stops_reading_has_left(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(default=dripping)
    async with gateway(["doorman"], provider=provider, classes=CLASSES) as running:
        body = msgspec.json.encode({**BODY, "stream": True})
        called = await running.gateway.pages.call("POST", CHAT, caller=ANN, headers=JSON, content=body)
        pieces = called.pieces()
        await anext(pieces)
        await pieces.aclose()
        async with asyncio.timeout(10):
            while not running.exchanges:
                await asyncio.sleep(0.01)
        assert running.exchanges[0].outcome is not None
        assert running.exchanges[0].outcome.kind == "client_disconnected"


async def test_an_answer_that_nobody_reads_is_bounded_and_given_up(
    gateway: GatewayFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helicone_gw.calling.STALLED", 0.05)
    provider = ScriptedProvider(default=dripping)
    async with gateway(["doorman"], provider=provider, classes=CLASSES) as running:
        body = msgspec.json.encode({**BODY, "stream": True})
        called = await running.gateway.pages.call("POST", CHAT, caller=ANN, headers=JSON, content=body)
        async with asyncio.timeout(10):
            while not running.exchanges:
                await asyncio.sleep(0.01)
        assert [piece async for piece in called.pieces()] == []


async def test_without_an_application_nobody_is_called() -> None:
    with pytest.raises(RuntimeError, match="no pages"):
        await Pages().call("GET", CHAT, caller=None)

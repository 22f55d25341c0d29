"""The same over real connections: what only a network can do wrong."""

from __future__ import annotations

from typing import Any

import pytest

from helicone_gw.model import UpstreamRequest, UpstreamResponse
from helicone_gw.testing import GatewayFactory, ScriptedProvider
from helicone_gw.testing.dialects import openai_chat
from helicone_gw.testing.script import ScriptedResponse
from helicone_gw.upstream.client import NetworkUpstream, Timeouts

PLUGINS: list[Any] = ["router", "fallbacks", {"retries": {"enabled": True, "num": 1, "min_timeout": 0}}]


class Networked(ScriptedProvider):
    """What the gateway is given for its providers: the network itself."""

    def __init__(self, network: NetworkUpstream) -> None:
        super().__init__()
        self._network = network

    async def upstream(self, request: UpstreamRequest) -> UpstreamResponse:
        return await self._network(request)


@pytest.mark.parametrize(
    ("broken", "codes"),
    [
        (openai_chat.reply().cut("before_head", how="hang"), ["upstream_timeout"] * 2),
        (openai_chat.reply().cut("before_head", how="reset"), ["upstream_protocol_error"] * 2),
        (openai_chat.reply().cut(bytes=60, how="hang"), ["upstream_timeout"] * 2),
        (openai_chat.reply().cut(bytes=60, how="reset"), ["upstream_protocol_error"] * 2),
    ],
    ids=["hangs", "resets", "hangs in the middle", "resets in the middle"],
)
async def test_a_broken_provider_is_retried_and_then_left(
    gateway: GatewayFactory, broken: ScriptedResponse, codes: list[str]
) -> None:
    bad, good = ScriptedProvider(default=broken), ScriptedProvider(default=openai_chat.answer())
    network = NetworkUpstream(Timeouts(connect=5, first_byte=0.2, idle=0.2))
    async with bad.serve() as first, good.serve() as second:
        config = {
            "providers": {
                "openai": {"api_key": "sk-1", "base_url": f"{first}/v1"},
                "groq": {"api_key": "sk-2", "base_url": f"{second}/v1"},
            },
            "models": {"m": {"providers": ["openai", "groq"]}},
        }
        async with gateway(PLUGINS, provider=Networked(network), config=config) as running:
            reply = await running.chat(model="m")
        await network.aclose()
    attempts = running.exchanges[0].attempts
    assert reply.status == 200
    assert [attempt.target.provider for attempt in attempts] == ["openai", "openai", "groq"]
    assert [attempt.error.code for attempt in attempts if attempt.error is not None] == codes


async def test_nobody_listens(gateway: GatewayFactory) -> None:
    good = ScriptedProvider(default=openai_chat.answer())
    network = NetworkUpstream(Timeouts(connect=5, first_byte=5, idle=5))
    async with good.serve() as gone:
        pass
    async with good.serve() as second:
        config = {
            "providers": {
                "openai": {"api_key": "sk-1", "base_url": f"{gone}/v1"},
                "groq": {"api_key": "sk-2", "base_url": f"{second}/v1"},
            },
            "models": {"m": {"providers": ["openai", "groq"]}},
        }
        async with gateway(PLUGINS, provider=Networked(network), config=config) as running:
            reply = await running.chat(model="m", stream=True)
        await network.aclose()
    codes = [attempt.error.code for attempt in running.exchanges[0].attempts if attempt.error is not None]
    assert (reply.status, codes) == (200, ["upstream_unreachable"] * 2)

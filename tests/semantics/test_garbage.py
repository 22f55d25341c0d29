"""Garbage: an exchange leaves no reference cycles, which the cyclic collector would have to find among everything."""

from __future__ import annotations

import gc
import json
from collections import Counter

import pytest

from helicone_gw.testing import GatewayFactory
from helicone_gw_logging.plugin import LoggingPlugin
from tests.core.engines.http1.serving import serving

PLUGINS = ["logging", "metrics", "cost", "ratelimit", "cache", "moderation", "router", "fallbacks", "retries"]
TIMES = 20


def asked(*, stream: bool, fields: str = "") -> bytes:
    body = json.dumps({"model": "gpt-4o-mini", "stream": stream, "messages": [{"role": "user", "content": "hi"}]})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n{fields}Content-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    "request_bytes",
    [asked(stream=False), asked(stream=True), asked(stream=False, fields="Helicone-Cache-Enabled: true\r\n")],
    ids=["whole", "streamed", "cached"],
)
async def test_an_exchange_leaves_nothing_to_the_cyclic_collector(
    gateway: GatewayFactory, request_bytes: bytes
) -> None:
    async with (
        gateway(PLUGINS) as running,
        serving(running.app) as served,
        served.client() as client,
    ):
        for _ in range(3):
            await client.send(request_bytes)
            assert (await client.answer()).status == 200
        # The first rows of a database have statements made for them, which leaves cycles once.
        await next(plugin for plugin in running.gateway.plugins if isinstance(plugin, LoggingPlugin)).flush()
        gc.collect()
        enabled = gc.isenabled()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            for _ in range(TIMES):
                await client.send(request_bytes)
                assert (await client.answer()).status == 200
            gc.collect()
            left = Counter(type(one).__name__ for one in gc.garbage)
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            if enabled:
                gc.enable()
        assert {name: count for name, count in left.items() if count >= TIMES} == {}

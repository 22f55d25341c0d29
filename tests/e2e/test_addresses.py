"""Over every engine: where a client comes from, which page sent it, and what a browser is told beforehand."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from running import BODY, ENGINES, Start

PAGE = "https://app.example.com"


@pytest.mark.full
@pytest.mark.parametrize("engine", ENGINES)
async def test_keys_that_are_kept_to_places(start: Start, client: httpx.AsyncClient, engine: str) -> None:
    keys: dict[str, Any] = {
        "here": {"key": "sk-here", "networks": ["127.0.0.0/8"]},
        "there": {"key": "sk-there", "networks": ["203.0.113.0/24"]},
        "page": {"key": "sk-page", "origins": [PAGE]},
    }
    config = {
        "server": {"engine": engine, "trusted_proxies": ["127.0.0.1"], "cors": {"origins": [PAGE]}},
        "plugins": [{"security": {"keys": keys}}],
    }
    async with start(config) as program:

        async def ask(key: str, **fields: str) -> int:
            headers = {"Authorization": f"Bearer {key}", **{name.replace("_", "-"): fields[name] for name in fields}}
            body = {**BODY, "model": "demo"}
            return (await client.post(f"{program.url}/v1/chat/completions", json=body, headers=headers)).status_code

        assert await ask("sk-here") == 200
        assert await ask("sk-there") == 403
        assert await ask("sk-there", x_forwarded_for="203.0.113.7") == 200
        assert await ask("sk-there", x_forwarded_for="203.0.113.7, 198.51.100.1") == 403
        assert await ask("sk-here", x_forwarded_for="203.0.113.7") == 403
        assert await ask("sk-page") == 403
        assert await ask("sk-page", origin=PAGE) == 200
        asked = {
            "Origin": PAGE,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        }
        told = await client.options(f"{program.url}/v1/chat/completions", headers=asked)
        assert told.status_code == 204
        assert told.headers["access-control-allow-origin"] == PAGE
        assert told.headers["access-control-allow-headers"] == "authorization"

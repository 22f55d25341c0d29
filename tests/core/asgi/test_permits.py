"""A key that may use certain models cannot get at another one by hiding its name."""

from __future__ import annotations

from typing import Any

import pytest

from helicone_gw import GatewayKey, Permits
from helicone_gw.testing import GatewayFactory

KEYS = [{"security": {"keys": {"ci": {"key": "a-long-secret-of-ci", "models": ["gpt-4o-mini*"]}}}}]
AUTH = {"authorization": "Bearer a-long-secret-of-ci"}
JSON = {"content-type": "application/json"}
HIDDEN = b'{"model":"gpt-4o","messages":[]}'


def test_the_types() -> None:
    assert GatewayKey("i", "n", "o").permits == Permits()


@pytest.mark.parametrize(
    ("method", "path", "headers", "body"),
    [
        ("POST", "/v1/%63hat/completions", JSON, HIDDEN),
        ("POST", "/openai/v1/%63hat/completions", JSON, HIDDEN),
        ("POST", "/v1/chat%2Fcompletions", JSON, HIDDEN),
        ("POST", "/v1/chat/completions;a=b", JSON, HIDDEN),
        ("POST", "/v1/chat/completions", {"content-type": "application/octet-stream"}, HIDDEN),
        ("PUT", "/v1/chat/completions", JSON, HIDDEN),
        ("POST", "/v1/chat/completions", JSON, b'{"model":null,"messages":[]}'),
        ("POST", "/v1/chat/completions", JSON, b'{"messages":[]}'),
        ("POST", "/v1/batches", JSON, b'{"input_file_id":"f"}'),
        ("POST", "/openai/v1beta/models/gpt-4o%3AgenerateContent", JSON, b'{"contents":[]}'),
        ("POST", "/v1/chat/completions", JSON, b'{"model":"gpt-4o","model":"gpt-4o-mini","messages":[]}'),
        ("POST", "/v1/chat/completions", JSON, b'{"model":"gpt-4o-mini","Model":"gpt-4o","messages":[]}'),
        ("POST", "/v1/chat/completions", JSON, b'{"model":"gpt-4o-mini","messages":[],"models":["gpt-4o"]}'),
        ("POST", "/v1/chat/completions", JSON, b'{"model":"gpt-4o-mini","messages":[],"mod\\u0065ls":["gpt-4o"]}'),
        (
            "POST",
            "/v1/responses",
            JSON,
            b'{"model":"gpt-4o-mini","tools":[{"type":"image_generation","model":"dall-e"}]}',
        ),
    ],
)
async def test_nothing_hides_a_model(
    gateway: GatewayFactory, method: str, path: str, headers: dict[str, str], body: bytes
) -> None:
    async with gateway(plugins=KEYS) as running:
        reply = await running.request(method, path, content=body, headers={**AUTH, **headers})
        assert reply.status in (400, 403, 404)
        assert running.provider.requests == []


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("POST", "/v1/chat/completions", {"json": {"model": "gpt-4o-mini", "messages": []}}),
        ("POST", "/v1/responses", {"json": {"model": "gpt-4o-mini", "tools": [{"model": "gpt-4o-mini-x"}, 1, {}]}}),
        ("POST", "/v1/chat/completions", {"json": {"model": "gpt-4o-mini", "models": ["gpt-4o-mini"], "tools": 1}}),
        ("GET", "/v1/models", {}),
        ("POST", "/v1/files", {"content": b"data", "headers": {"content-type": "application/octet-stream"}}),
    ],
)
async def test_what_it_may_do_it_still_can(
    gateway: GatewayFactory, method: str, path: str, options: dict[str, Any]
) -> None:
    async with gateway(plugins=KEYS) as running:
        options["headers"] = {**AUTH, **options.get("headers", {})}
        await running.request(method, path, **options)
        assert len(running.provider.requests) == 1


async def test_a_gateway_key_goes_nowhere_in_query_and_path(gateway: GatewayFactory) -> None:
    async with gateway(plugins=KEYS) as running:
        secret = "a-long-secret-of-ci"
        refused = await running.request("GET", f"/v1/files/{secret}", headers={"helicone-auth": f"Bearer {secret}"})
        assert refused.status == 400
        await running.request("GET", f"/v1/files?{secret}&y=pre{secret}&z=1", headers=AUTH)
        assert running.provider.requests[0].target.endswith("/files?z=1")

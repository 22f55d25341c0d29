"""What a provider repeats of the gateway's own keys and fields is not told to clients."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from helicone_gw.testing import GatewayFactory, RecordedRequest, ScriptedProvider, ScriptedResponse, of_bytes, of_json

KEY, FIXED = "sk-of-the-operator-0123456789", "a-fixed-field-of-ours"
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
OPENAI = {"api_key": KEY, "headers": {"x-fixed": FIXED}}
CONFIG = {"providers": {"openai": OPENAI}}


def repeated(request: RecordedRequest) -> bytes:
    return "; ".join(f"{name}: {value}" for name, value in request.headers).encode()


def plainly(request: RecordedRequest) -> ScriptedResponse:
    return of_json({"error": {"message": repeated(request).decode()}}, status=401)


def compressed(request: RecordedRequest) -> ScriptedResponse:
    body = gzip.compress(b'{"error": {"message": "%b"}}' % repeated(request))
    return of_bytes(body, "application/json", 500).with_headers({"content-encoding": "gzip"})


def in_a_field(request: RecordedRequest) -> ScriptedResponse:
    return of_json({"error": {"message": "no"}}, status=403).with_headers({"x-was": repeated(request).decode()})


def with_status_200(request: RecordedRequest) -> ScriptedResponse:
    return of_json({"error": {"message": repeated(request).decode(), "type": "x", "code": 401}})


@pytest.mark.parametrize("provider", [plainly, compressed, in_a_field, with_status_200])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
async def test_neither_key_nor_fixed_field_reaches_the_client(
    gateway: GatewayFactory, provider: Any, path: str
) -> None:
    body = {**CHAT, "max_tokens": 5, "model": "gpt-4o-mini"}
    config = {
        "providers": {"openai": OPENAI},
        "models": {"gpt-4o-mini": {"providers": ["openai"]}},
    }
    async with gateway([], provider=ScriptedProvider(default=provider), config=config) as running:
        answer = await running.request("POST", path, json=body)
        assert answer.status >= 400
        assert KEY in str(running.provider.requests[-1].headers.raw)
        told = answer.body + str(answer.headers.raw).encode()
        assert KEY.encode() not in told
        assert FIXED.encode() not in told
        error = running.exchanges[-1].attempts[-1].error
        assert error is not None
        assert KEY not in str(error)


async def test_what_the_client_sent_itself_stays_as_it_came(gateway: GatewayFactory) -> None:
    own = "sk-of-the-client-0123456789"
    async with gateway([], provider=ScriptedProvider(default=plainly), config=CONFIG) as running:
        headers = {"authorization": f"Bearer {own}", "x-mine": "something-of-mine"}
        answer = await running.request("POST", "/v1/chat/completions", json=CHAT, headers=headers)
        assert own in answer.json()["error"]["message"]
        assert "something-of-mine" in answer.json()["error"]["message"]
        assert FIXED not in answer.json()["error"]["message"]


async def test_an_error_that_repeats_nothing_is_passed_on_byte_for_byte(gateway: GatewayFactory) -> None:
    body = gzip.compress(b'{"error": {"message": "no"}}')
    refusing = of_bytes(body, "application/json", 401).with_headers({"content-encoding": "gzip"})
    async with gateway([], provider=ScriptedProvider(default=refusing), config=CONFIG) as running:
        answer = await running.request("POST", "/v1/chat/completions", json=CHAT)
        assert answer.body == body
        assert answer.headers.get("content-encoding") == "gzip"

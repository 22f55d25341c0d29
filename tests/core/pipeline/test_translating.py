"""Translating: what becomes of a provider's errors and headers, and whole gateways of one dialect alone."""

from __future__ import annotations

from typing import Any

import pytest

from helicone_gw.errors import UpstreamStatus
from helicone_gw.headers import Headers
from helicone_gw.model import Response
from helicone_gw.pipeline.translating import describe_refusal, translated_headers
from helicone_gw.testing import GatewayFactory, ScriptedProvider, of_bytes
from helicone_gw.testing.dialects import anthropic, gemini, openai_chat


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        (b'{"type":"error","error":{"type":"overloaded_error","message":"Busy."}}', "Busy.", "overloaded_error"),
        (b'{"error":{"code":429,"message":"Slow.","status":"RESOURCE_EXHAUSTED"}}', "Slow.", "RESOURCE_EXHAUSTED"),
        (
            b'{"error":{"message":"Too long.","type":"t","code":"context_length_exceeded"}}',
            "Too long.",
            "context_length_exceeded",
        ),
        (b'{"message":"No such model."}', "No such model.", "upstream_status"),
        (b'{"Message":"Signature expired."}', "Signature expired.", "upstream_status"),
        (b'{"error":"model not found"}', "model not found", "upstream_status"),
        (b"<html>Bad Gateway</html>", "The provider answered 503.", "upstream_status"),
        (b"", "The provider answered 503.", "upstream_status"),
    ],
)
def test_an_error_is_told_in_the_providers_words(body: bytes, message: str, code: str) -> None:
    error = UpstreamStatus(Response(503, Headers(), body))
    describe_refusal(error)
    assert (error.message, error.code, error.type) == (message, code, "overloaded_error")


def test_what_was_true_of_the_providers_body_is_left_out() -> None:
    headers = Headers({"Content-Type": "text/x", "ETag": "1", "Content-Encoding": "gzip", "X-Request-Id": "r"})
    found = translated_headers(headers, "application/json")
    assert sorted(found.raw) == [(b"content-type", b"application/json"), (b"x-request-id", b"r")]


ONLY: dict[str, tuple[Any, str]] = {
    "openai": (openai_chat, "gpt-4o-mini"),
    "anthropic": (anthropic, "claude-sonnet-4-5"),
    "gemini": (gemini, "gemini-2.5-flash"),
}
PROVIDERS = dict.fromkeys(("openai", "anthropic", "gemini"))


@pytest.mark.parametrize("only", ONLY)
@pytest.mark.parametrize("stream", [False, True])
async def test_every_client_at_a_gateway_with_one_provider(gateway: GatewayFactory, only: str, stream: bool) -> None:
    kit, model = ONLY[only]
    provider = ScriptedProvider(default=kit.stream("Hello!") if stream else kit.reply("Hello!"))
    config = {"providers": {**PROVIDERS, only: {"api_key": "sk-only"}}}
    asks: list[tuple[str, dict[str, Any]]] = [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("/v1/responses", {"input": "Hi"}),
        ("/v1/messages", {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}),
    ]
    async with gateway(["router"], provider=provider, config=config) as running:
        for path, body in asks:
            answer = await running.request("POST", path, json={**body, "model": model, "stream": stream})
            assert answer.status == 200, answer.body
            assert b"Hello" in answer.body
        verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
        answer = await running.request(
            "POST", f"/v1beta/models/{model}:{verb}", json={"contents": [{"parts": [{"text": "Hi"}]}]}
        )
        assert answer.status == 200, answer.body
        assert b"Hello" in answer.body
    assert [exchange.provider for exchange in running.exchanges] == [only] * 4


async def test_an_answer_too_large_to_hold_is_not_translated(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(of_bytes(b'{"a":"' + b"x" * 5000 + b'"}', "application/json"))
    config = {"server": {"max_body": 4096}, "models": {"m": {"providers": ["anthropic"]}}}
    async with gateway([], provider=provider, config=config) as running:
        answer = await running.request(
            "POST", "/v1/chat/completions", json={"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
        )
    assert answer.status == 502
    assert b"too large to be translated" in answer.body

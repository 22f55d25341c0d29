"""What a request may say that no gateway should believe: addresses inside, fields within fields, paths beside paths."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from helicone_gw import Gateway, GatewayKey, Permits, Plugin, hookimpl
from helicone_gw.testing import GatewayFactory, ScriptedProvider, of_json

CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}

INSIDE = [
    "http://127.0.0.1",
    "http://127.0.0.1:8787/v1",
    "https://localhost/v1",
    "http://[::1]/v1",
    "http://[::ffff:169.254.169.254]/latest/meta-data",
    "http://169.254.169.254/latest/meta-data",
    "http://metadata.google.internal/computeMetadata/v1",
    "http://10.0.0.1",
    "http://192.168.1.1:80",
    "http://0.0.0.0",
    "http://2130706433",
    "http://0x7f.1",
    "http://0177.0.0.1",
    "http://127.1",
    "http://100.100.100.200",
    "http://[fd00:ec2::254]",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "unix:/var/run/docker.sock",
    "//169.254.169.254/",
    "https://api.openai.com@169.254.169.254/",
    "https://169.254.169.254#@api.openai.com/",
    "https://169.254.169.254\\@api.openai.com/",
    "https://api.openai.com.evil.example/v1",
    "https://api.openai.com:22/v1",
    "http://api.openai.com/v1",
    "https://xn--api-openai-com.example/v1",
    "https://api.openai.com%2f@169.254.169.254/",
    "https://api.openai.com\t.evil.example/",
]


def by_header(name: str) -> Any:
    return lambda url: ({name: url}, CHAT)


def by_metadata(name: str) -> Any:
    return lambda url: ({}, {**CHAT, "metadata": {name: url}})


def by_fallbacks(url: str) -> tuple[Mapping[str, str], Mapping[str, Any]]:
    entry = {"target-url": url, "headers": {"Authorization": "Bearer sk-x"}, "onCodes": [{"from": 400, "to": 599}]}
    return {"helicone-fallbacks": json.dumps([entry, entry])}, CHAT


WAYS = {
    "Helicone-Target-URL": by_header("helicone-target-url"),
    "Helicone-OpenAI-Api-Base": by_header("helicone-openai-api-base"),
    "Helicone-Target-URL in the metadata": by_metadata("Helicone-Target-URL"),
    "Helicone-OpenAI-Api-Base in the metadata": by_metadata("Helicone-OpenAI-Api-Base"),
    "target-url of Helicone-Fallbacks": by_fallbacks,
}


async def test_no_header_leads_to_an_address_inside(gateway: GatewayFactory) -> None:
    async with gateway(["fallbacks"], config={"providers": {"openai": {"api_key": "sk-operator"}}}) as running:
        for path in ("/gateway/v1/chat/completions", "/openai/v1/chat/completions"):
            for way, saying in WAYS.items():
                for url in INSIDE:
                    headers, body = saying(url)
                    answer = await running.request("POST", path, json=body, headers=headers)
                    assert answer.status >= 400, (way, url)
                    assert not running.provider.requests, (way, url)
                    assert not running.http.requests


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_handed_on_and_never_followed(gateway: GatewayFactory, status: int) -> None:
    moved = of_json({}, status=status).with_headers({"location": "http://169.254.169.254/latest/meta-data"})
    async with gateway([], provider=ScriptedProvider(default=moved)) as running:
        answer = await running.request("POST", "/v1/chat/completions", json=CHAT)
        assert answer.status == status
        assert len(running.provider.requests) == 1
        assert not running.gateway.http.follow_redirects


INJECTED = "a\r\nx-evil: 1\r\n\r\n<script>"
FIELDS = (
    "Helicone-Request-Id",
    "Helicone-User-Id",
    "Helicone-Property-App",
    "Helicone-Property-A\r\nX-Evil",
    "Helicone-Session-Id",
    "Helicone-Session-Name",
    "Helicone-RateLimit-Policy",
    "Helicone-Cache-Enabled",
    "Helicone-Cache-Seed",
    "Helicone-Prompt-Id",
    "Helicone-Retry-Enabled",
    "Helicone-Model-Override",
    "Helicone-Target-URL",
)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_body_puts_no_field_into_an_answer_or_a_call(gateway: GatewayFactory, stream: bool) -> None:
    plugins = ["logging", "ratelimit", {"cache": {"enabled": True}}, "router", "fallbacks", "retries"]
    async with gateway(plugins) as running:
        bodies: list[dict[str, Any]] = [{**CHAT, "metadata": {name: INJECTED}} for name in FIELDS]
        bodies += [
            {**CHAT, "model": INJECTED},
            {**CHAT, "model": f"gpt-4o-mini/{INJECTED}"},
            {**CHAT, "user": INJECTED},
        ]
        for body in bodies:
            answer = await running.request("POST", "/v1/chat/completions", json={**body, "stream": stream})
            for name, value in answer.headers.raw:
                assert name != b"x-evil", body
                assert not {b"\r", b"\n", b"\0"} & {bytes([each]) for each in name + value}, body
        for sent in running.provider.requests:
            for name, value in sent.headers.raw:
                assert name != b"x-evil"
                assert b"\n" not in name + value


class Doorman(Plugin):
    """A key for chats alone."""

    configured = True

    async def lookup(self, secret: str) -> GatewayKey | None:
        permits = Permits(paths=("/v1/chat/*",), providers=("openai",), models=("gpt-4o-mini",))
        return GatewayKey("1", "chats", "ann", permits=permits) if secret == "sk-chats" else None

    async def knows(self, secret: str) -> bool:
        return secret == "sk-chats"

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        gateway.keys.register(self)


BESIDE = [
    "/v1/models",
    "/v1/chat/../models",
    "/v1/chat/..%2fmodels",
    "/v1/chat/%2e%2e/models",
    "/v1/chat/%252e%252e/models",
    "/v1/chat/.%2e/models",
    "/v1/chat/..;/models",
    "/v1/chat/..\\models",
    "/v1//chat/../models",
    "//v1/models",
    "/V1/MODELS",
    "/v1/chat/completions/../../models",
    "/v1/chat/completions%00/../../files",
    "/openai/v1/models",
    "/openai/v1/chat/../files",
    "/gateway/v1/files",
    "/anthropic/v1/messages",
    "/metrics",
    "/v1/request/query",
    "/v1/chat/../../metrics",
    "/sk-chats/v1/models",
]


async def test_no_spelling_of_a_path_gets_round_a_key_that_is_kept_to_some(gateway: GatewayFactory) -> None:
    known: dict[str, type[Plugin]] = {"doorman": Doorman}
    async with gateway(["logging", "metrics", "doorman"], classes=known) as running:
        for path in BESIDE:
            for method, body in (("GET", None), ("POST", CHAT)):
                headers = {"authorization": "Bearer sk-chats"}
                answer = await running.request(method, path, json=body, headers=headers)
                assert answer.status in (400, 401, 403, 404, 405), (method, path)
                assert not running.provider.requests, (method, path)
        answer = await running.request(
            "POST", "/v1/chat/completions", json=CHAT, headers={"authorization": "Bearer sk-chats"}
        )
        assert answer.status == 200

"""Admission: who calls, whether they may, and what they ask for, all before the first hook."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from helicone_gw.testing import GatewayFactory, RunningGateway

CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}


def entered(running: RunningGateway) -> list[Any]:
    return running.gateway.plugins[0].entered  # type: ignore[attr-defined]


def sent(running: RunningGateway, at: int = -1) -> Any:
    return running.provider.requests[at]


@pytest.mark.parametrize(
    ("headers", "path"),
    [
        ({"Helicone-Auth": "Bearer hk-all"}, "/v1/chat/completions"),
        ({"Authorization": "Bearer hk-all"}, "/v1/chat/completions"),
        ({"x-api-key": "hk-all"}, "/v1/chat/completions"),
        ({"api-key": "hk-all"}, "/v1/chat/completions"),
        ({"x-goog-api-key": "hk-all"}, "/openai/v1/chat/completions"),
        ({}, "/v1/chat/completions?key=hk-all"),
    ],
)
async def test_a_valid_key_lets_in_and_is_on_the_exchange(
    gateway: GatewayFactory, keyed: dict[str, Any], headers: dict[str, str], path: str
) -> None:
    async with gateway(**keyed) as running:
        reply = await running.request("POST", path, json=CHAT, headers=headers)
        assert reply.status == 200
        (exchange,) = entered(running)
        assert (exchange.key.name, exchange.organization) == ("all", "acme")
        wire = f"{sent(running).target} {list(sent(running).headers)}"
        assert "hk-all" not in wire
        assert sent(running).headers.get("authorization") == "Bearer sk-of-openai-in-the-test-kit"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Helicone-Auth": "Bearer hk-old"}])
@pytest.mark.parametrize(
    ("path", "shape"), [("/v1/chat/completions", "openai"), ("/v1/messages", "anthropic"), ("/v1/nothing", "openai")]
)
async def test_no_valid_key_is_a_401_in_the_clients_shape(
    gateway: GatewayFactory, keyed: dict[str, Any], headers: dict[str, str], path: str, shape: str
) -> None:
    async with gateway(**keyed) as running:
        reply = await running.request("POST", path, json=CHAT, headers=headers)
        assert reply.status == 401
        assert reply.headers.get("www-authenticate") == 'Bearer realm="helicone-gw"'
        error = reply.json()["error"]
        assert error["type"] == "authentication_error"
        assert (reply.json().get("type") == "error") == (shape == "anthropic")
        assert "Helicone-Auth" in error["message"]
        assert "wrong" not in error["message"]
        assert entered(running) == []
        assert running.provider.requests == []
        (exchange,) = running.exchanges
        assert (exchange.outcome.kind, exchange.outcome.status) == ("refused", 401)


async def test_a_path_that_the_key_may_not_use_is_a_403_and_a_model_too(
    gateway: GatewayFactory, keyed: dict[str, Any]
) -> None:
    few = {"Helicone-Auth": "Bearer hk-few"}
    async with gateway(**keyed) as running:
        reply = await running.request("POST", "/openai/v1/chat/completions", json=CHAT, headers=few)
        assert reply.status == 200, "patterns are matched against the path without the provider's prefix"
        reply = await running.request("GET", "/v1beta/models", headers=few)
        assert (reply.status, reply.json()["error"]["code"]) == (403, 403)
        reply = await running.request("POST", "/v1/chat/completions", json={**CHAT, "model": "gpt-5"}, headers=few)
        assert (reply.status, reply.json()["error"]["code"]) == (403, "model_not_permitted")
        assert len(running.provider.requests) == 1


async def test_the_clients_own_credential_goes_on_beside_a_gateway_key(
    gateway: GatewayFactory, keyed: dict[str, Any]
) -> None:
    headers = {"Helicone-Auth": "Bearer hk-all", "Authorization": "Bearer sk-own"}
    async with gateway(**keyed) as running:
        await running.chat(headers=headers)
        assert sent(running).headers.get_all("authorization") == ["Bearer sk-own"]
        await running.chat(headers={**headers, "Authorization": "Bearer hk-old"})
        assert sent(running).headers.get_all("authorization") == ["Bearer sk-of-openai-in-the-test-kit"]


# An open gateway


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
    ],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/nothing/at/all"])
async def test_an_open_gateway_does_not_answer_web_pages(
    gateway: GatewayFactory, headers: dict[str, str], path: str
) -> None:
    async with gateway() as running:
        reply = await running.request("POST", path, json=CHAT, headers=headers)
        assert reply.status == 403
        assert reply.json()["error"]["type"] == "permission_error"
        assert running.provider.requests == []


async def test_an_open_gateway_uses_the_clients_own_key_where_it_has_one(gateway: GatewayFactory) -> None:
    async with gateway() as running:
        assert (await running.chat(headers={"Authorization": "Bearer sk-own"})).status == 200
        assert sent(running).headers.get("authorization") == "Bearer sk-own"
        assert running.exchanges[0].organization == "default"


# What is asked for


async def test_an_unknown_path_says_what_there_is(gateway: GatewayFactory) -> None:
    async with gateway() as running:
        reply = await running.request("GET", "/nothing")
        assert reply.status == 404
        assert "/v1" in reply.json()["error"]["message"]
        assert running.exchanges[0].outcome.kind == "refused"


async def test_the_bodys_metadata_is_lifted_and_stripped(gateway: GatewayFactory, classes: dict[str, Any]) -> None:
    metadata = {"Helicone-User-Id": "ann", "helicone-property-Feature": "x", "own": "kept"}
    async with gateway(["watcher"], classes=classes) as running:
        await running.chat(metadata=metadata)
        (exchange,) = entered(running)
        assert exchange.request.user == "ann"
        assert exchange.request.helicone.properties["feature"] == "x"
        assert sent(running).json()["metadata"] == {"own": "kept"}
        await running.chat(metadata=metadata, headers={"Helicone-User-Id": "header wins"})
        assert entered(running)[1].request.user == "header wins"


async def test_a_key_in_the_bodys_metadata_lets_in_and_never_goes_on(
    gateway: GatewayFactory, keyed: dict[str, Any]
) -> None:
    async with gateway(**keyed) as running:
        own = {"Authorization": "Bearer sk-own"}
        reply = await running.chat(metadata={"Helicone-Auth": "Bearer hk-all", "a": "b"}, headers=own)
        assert reply.status == 200
        assert sent(running).json()["metadata"] == {"a": "b"}
        assert sent(running).headers.get("authorization") == "Bearer sk-own"
        assert b"hk-all" not in sent(running).body
        assert (await running.chat(metadata={"Helicone-Auth": "Bearer hk-old"})).status == 401
        assert (await running.chat(metadata={"other": "hk-all"})).status == 401
        assert entered(running)[0].key.name == "all"
        assert "hk-all" not in repr(entered(running)[0].original)


async def test_a_compressed_request_is_read_and_goes_on_plain(gateway: GatewayFactory) -> None:
    body = json.dumps(CHAT).encode()
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    async with gateway() as running:
        reply = await running.request("POST", "/v1/chat/completions", content=gzip.compress(body), headers=headers)
        assert reply.status == 200
        assert sent(running).body == body
        assert "content-encoding" not in sent(running).headers
        capture = running.exchanges[0].request_capture
        assert capture.size == len(body)


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"{", {}, 400, "malformed_body"),
        (b"[]", {}, 400, "malformed_body"),
        (b"", {}, 400, "malformed_body"),
        (b"x", {"Content-Encoding": "gzip"}, 400, "malformed_body"),
        (b"x", {"Content-Encoding": "br"}, 415, "unsupported_content_encoding"),
        (b"x" * 2000, {}, 413, "request_too_large"),
        (gzip.compress(b"x" * 2000, mtime=0), {"Content-Encoding": "gzip"}, 413, "request_too_large"),
        (b"{}", {"Content-Length": "2", "Transfer-Encoding": "chunked"}, 400, "invalid_request"),
    ],
)
async def test_bodies_that_are_refused(
    gateway: GatewayFactory, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    fields = {"Content-Type": "application/json", **headers}
    async with gateway(config={"server": {"max_body": 1000}}) as running:
        reply = await running.request("POST", "/v1/chat/completions", content=content, headers=fields)
        assert (reply.status, reply.json()["error"]["code"]) == (status, code)
        assert running.provider.requests == []
        assert running.exchanges[0].outcome.status == status


async def test_bodies_of_other_types_stream_through_up_to_their_own_bound(
    gateway: GatewayFactory, classes: dict[str, Any]
) -> None:
    config = {"server": {"max_body": 1000, "max_upload": 5000}}
    headers = {"Content-Type": "application/octet-stream", "Helicone-User-Id": "ann"}
    async with gateway(["watcher"], classes=classes, config=config) as running:
        await running.request("POST", "/v1/files", content=b"x" * 4000, headers=headers)
        assert sent(running).body == b"x" * 4000
        (exchange,) = entered(running)
        assert exchange.request.body is None
        assert exchange.request.user == "ann"
        reply = await running.request("POST", "/v1/files", content=b"x" * 5001, headers=headers)
        assert reply.status == 413
        assert "server.max_upload" in reply.json()["error"]["message"]


async def test_an_address_that_needs_a_target_url(gateway: GatewayFactory) -> None:
    config = {"server": {"allowed_targets": ["127.0.0.1:9"]}}
    async with gateway(config=config) as running:
        reply = await running.request("POST", "/gateway/v1/chat/completions", json=CHAT)
        assert (reply.status, reply.json()["error"]["code"]) == (400, "missing_target_url")
        named = {"Helicone-Target-URL": "http://127.0.0.1:9"}
        reply = await running.request("POST", "/gateway/v1/chat/completions", json=CHAT, headers=named)
        assert reply.status == 200
        refused = {"Helicone-Target-URL": "http://127.0.0.1:10"}
        reply = await running.request("POST", "/gateway/v1/chat/completions", json=CHAT, headers=refused)
        assert (reply.status, reply.json()["error"]["code"]) == (400, "target_not_allowed")


async def test_a_request_without_a_body(gateway: GatewayFactory, classes: dict[str, Any]) -> None:
    async with gateway(["watcher"], classes=classes) as running:
        await running.request("GET", "/v1/models")
        await running.request("DELETE", "/v1/files/file-1")
        assert [exchange.request.body for exchange in entered(running)] == [b"", b""]
        assert [request.method for request in running.provider.requests] == ["GET", "DELETE"]

"""openai's SDK: the provider's errors as its exceptions, and the retries that it makes by itself."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import openai
import pytest

from helicone_gw.testing import ScriptedProvider, of_bytes
from helicone_gw.testing.dialects import openai_chat
from tests.clients.gateways import Client, Connect, Flavour, Running, ours

ASK: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hello."}]}

EXCEPTIONS = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    409: openai.ConflictError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    503: openai.InternalServerError,
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", EXCEPTIONS)
async def test_the_providers_error_is_the_sdks_exception(
    chat: Client, provider: ScriptedProvider, status: int, stream: bool
) -> None:
    limits = {"retry-after": "7", "x-ratelimit-reset-tokens": "6m0s"}
    answer = openai_chat.error(status, f"No: {status} ☹", code="of_the_provider", headers=limits)
    provider.enqueue(answer)
    with pytest.raises(EXCEPTIONS[status]) as caught:
        await chat.call(chat.sdk.chat.completions.create, **ASK, stream=stream)
    error = caught.value
    assert type(error) is EXCEPTIONS[status]
    assert error.status_code == status
    assert error.response.content == answer.body
    assert error.code == "of_the_provider"
    assert error.request_id == openai_chat.HEADERS["x-request-id"]
    assert {name: error.response.headers[name] for name in limits} == limits
    assert ours(error.response.headers)["helicone-provider"] == "openai"


async def test_an_error_that_is_no_json(chat: Client, provider: ScriptedProvider) -> None:
    page = b"<html><h1>502 Bad Gateway</h1></html>"
    provider.enqueue(of_bytes(page, "text/html", status=502))
    with pytest.raises(openai.InternalServerError) as caught:
        await chat.call(chat.sdk.chat.completions.create, **ASK)
    assert caught.value.response.content == page
    assert caught.value.response.headers["content-type"] == "text/html"


async def test_the_sdk_retries_as_it_would_without_a_gateway(
    connect: Connect, open_gateway: Running, provider: ScriptedProvider, flavour: Flavour
) -> None:
    provider.enqueue(openai_chat.error(429, headers={"retry-after-ms": "20"}), openai_chat.reply("Hello!"))
    client = connect("openai", f"{open_gateway.url}/v1", flavour, max_retries=2)
    completion = await client.call(client.sdk.chat.completions.create, **ASK)
    assert completion.choices[0].message.content == "Hello!"
    assert len(provider.requests) == 2
    counts = [request.headers.get("x-stainless-retry-count") for request in provider.requests]
    assert counts == ["0", "1"]


async def test_retries_end_with_the_providers_own_answer(
    connect: Connect, open_gateway: Running, provider: ScriptedProvider
) -> None:
    provider.enqueue(*(openai_chat.error(500, f"try {n}", headers={"retry-after-ms": "20"}) for n in range(3)))
    client = connect("openai", f"{open_gateway.url}/v1", max_retries=2)
    with pytest.raises(openai.InternalServerError, match="try 2"):
        await client.call(client.sdk.chat.completions.create, **ASK)


async def test_the_provider_may_forbid_retries(
    connect: Connect, open_gateway: Running, provider: ScriptedProvider
) -> None:
    provider.enqueue(openai_chat.error(429, headers={"x-should-retry": "false"}))
    client = connect("openai", f"{open_gateway.url}/v1", max_retries=2)
    with pytest.raises(openai.RateLimitError):
        await client.call(client.sdk.chat.completions.create, **ASK)


async def test_the_sdks_timeout_cancels_upstream(
    connect: Connect, open_gateway: Running, provider: ScriptedProvider
) -> None:
    provider.enqueue(openai_chat.reply().delayed(60))
    client = connect("openai", f"{open_gateway.url}/v1", timeout=0.5)
    with pytest.raises(openai.APITimeoutError):
        await client.call(client.sdk.chat.completions.create, **ASK)
    async with asyncio.timeout(1):
        await provider.closed_by_client.wait()


async def test_one_connection_serves_errors_and_answers(open_gateway: Running, provider: ScriptedProvider) -> None:
    """Keep-alive survives an error: the second request comes over the same connection."""
    provider.enqueue(openai_chat.error(400), openai_chat.reply("Hello!"))
    host, port = open_gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = json.dumps(ASK).encode()
    for expected in (b"400", b"200"):
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Authorization: Bearer sk\r\nContent-Type: application/json\r\n\r\n".encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.split(b" ")[1] == expected
        fields = dict(line.lower().split(b": ", 1) for line in answer.split(b"\r\n")[1:-2])
        await reader.readexactly(int(fields[b"content-length"]))
    writer.close()
    await writer.wait_closed()

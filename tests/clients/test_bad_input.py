"""Bad input: a clear error in the client's dialect, one row in the log, and nothing else disturbed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import httpx
import openai
import pytest

from helicone_gw.testing import ScriptedProvider
from helicone_gw.testing.dialects import anthropic as messages
from helicone_gw.testing.dialects import openai_chat
from tests.clients.gateways import MAX_BODY, MAX_UPLOAD, Connect, Running

CHAT: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hello."}]}
MESSAGE: dict[str, Any] = {**CHAT, "model": "claude-test", "max_tokens": 64}
JSON = {"Content-Type": "application/json", "Authorization": "Bearer sk"}
ANTHROPIC = {**JSON, "anthropic-version": "2023-06-01"}
DIALECTS = {"openai": ("/v1/chat/completions", JSON), "anthropic": ("/v1/messages", ANTHROPIC)}

MALFORMED = {
    "not JSON": b'{"model": ',
    "empty": b"",
    "an array": b"[1, 2]",
    "null": b"null",
    "text": b"hello",
    "model is a number": b'{"model": 5, "messages": []}',
    "model is an object": b'{"model": {}, "messages": []}',
    "stream is text": b'{"model": "m", "stream": "yes", "messages": []}',
    "metadata is a list": b'{"model": "m", "metadata": ["Helicone-Auth"], "stream": 3}',
    "too deep": b'{"model": "m", "metadata": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@pytest.fixture
async def raw(open_gateway: Running) -> AsyncIterator[httpx.AsyncClient]:
    """A client that sends whatever it is told, over one connection."""
    limits = httpx.Limits(max_connections=1)
    async with httpx.AsyncClient(base_url=open_gateway.url, limits=limits, trust_env=False, timeout=30) as client:
        yield client


def check_error(dialect: str, response: httpx.Response, status: int, type: str) -> dict[str, Any]:
    """The error object of an answer, once its shape was found to be the dialect's."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["helicone-id"]
    body = response.json()
    error: dict[str, Any] = body["error"]
    assert error["message"]
    if dialect == "anthropic":
        assert body["type"] == "error"
        assert body["request_id"] == response.headers["helicone-id"]
    else:
        assert set(body) == {"error"}
        assert {"message", "type", "param", "code"} <= set(error)
    assert error["type"] == type
    return error


async def answers(raw: httpx.AsyncClient, provider: ScriptedProvider) -> None:
    """The gateway, and this very connection, still work."""
    provider.enqueue(openai_chat.reply("Hello!"))
    response = await raw.post("/v1/chat/completions", json=CHAT, headers=JSON)
    assert response.status_code == 200
    assert response.json()["choices"][0]["message"]["content"] == "Hello!"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_malformed_bodies(
    raw: httpx.AsyncClient, provider: ScriptedProvider, open_gateway: Running, dialect: str
) -> None:
    path, headers = DIALECTS[dialect]
    user = f"malformed-{dialect}"
    for name, body in MALFORMED.items():
        response = await raw.post(path, content=body, headers={**headers, "Helicone-User-Id": user})
        error = check_error(dialect, response, 400, "invalid_request_error")
        assert error["code"] == "malformed_body", name
    assert not provider.requests
    await answers(raw, provider)
    rows = await open_gateway.rows(user, len(MALFORMED))
    assert len(rows) == len(MALFORMED)
    assert {(row["outcome"], row["status"], row["error_code"]) for row in rows} == {("refused", 400, "malformed_body")}


async def test_what_the_sdks_say_of_a_malformed_body(connect: Connect, open_gateway: Running) -> None:
    chat = connect("openai", f"{open_gateway.url}/v1").sdk
    with pytest.raises(openai.BadRequestError) as caught:
        await chat.chat.completions.create(model=5, messages=[])
    assert caught.value.code == "malformed_body"
    assert "model" in caught.value.message
    claude = connect("anthropic", open_gateway.url).sdk
    with pytest.raises(anthropic.BadRequestError, match="model"):
        await claude.messages.create(**{**MESSAGE, "model": 5})


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("path", ["/nothing/here", "/v2/chat", "/", "/v1", "/openai", "/v1/../etc/passwd", "/%00"])
async def test_unknown_paths(raw: httpx.AsyncClient, provider: ScriptedProvider, dialect: str, path: str) -> None:
    headers = DIALECTS[dialect][1]
    request = raw.build_request("POST", "/", json=CHAT, headers=headers)
    request.url = request.url.copy_with(raw_path=path.encode())
    response = await raw.send(request)
    check_error(dialect, response, 404, "not_found_error")
    assert not provider.requests
    await answers(raw, provider)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_unknown_paths_have_a_row(raw: httpx.AsyncClient, open_gateway: Running, dialect: str) -> None:
    user = f"unknown-{dialect}"
    headers = {**DIALECTS[dialect][1], "Helicone-User-Id": user}
    check_error(dialect, await raw.get("/nothing/here", headers=headers), 404, "not_found_error")
    (row,) = await open_gateway.rows(user)
    assert (row["outcome"], row["status"], row["error_code"]) == ("refused", 404, "not_found")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("chunked", [False, True])
async def test_oversized_bodies(
    raw: httpx.AsyncClient, provider: ScriptedProvider, open_gateway: Running, dialect: str, chunked: bool
) -> None:
    path, headers = DIALECTS[dialect]
    user = f"oversized-{dialect}-{chunked}"
    body = json.dumps({**MESSAGE, "system": "x" * MAX_BODY}).encode()

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(body), 65536):
            yield body[at : at + 65536]

    content = pieces() if chunked else body
    response = await raw.post(path, content=content, headers={**headers, "Helicone-User-Id": user})
    error = check_error(dialect, response, 413, "request_too_large")
    assert str(MAX_BODY) in error["message"]
    assert not provider.requests
    await answers(raw, provider)
    (row,) = await open_gateway.rows(user)
    assert (row["outcome"], row["status"], row["error_code"]) == ("refused", 413, "request_too_large")


async def test_oversized_bodies_in_the_sdks(
    connect: Connect, open_gateway: Running, provider: ScriptedProvider
) -> None:
    text = "x" * MAX_BODY
    chat = connect("openai", f"{open_gateway.url}/v1").sdk
    with pytest.raises(openai.APIStatusError) as caught:
        await chat.chat.completions.create(model="m", messages=[{"role": "user", "content": text}])
    assert (caught.value.status_code, caught.value.type) == (413, "request_too_large")
    claude = connect("anthropic", open_gateway.url).sdk
    with pytest.raises(anthropic.RequestTooLargeError):
        await claude.messages.create(**{**MESSAGE, "messages": [{"role": "user", "content": text}]})
    provider.enqueue(openai_chat.reply(), messages.reply())
    await chat.chat.completions.create(**CHAT)
    await claude.messages.create(**MESSAGE)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [MAX_UPLOAD + 1, 3 * MAX_UPLOAD])
async def test_an_oversized_upload(
    raw: httpx.AsyncClient, provider: ScriptedProvider, open_gateway: Running, size: int, chunked: bool
) -> None:
    user = f"upload-{size}-{chunked}"
    if chunked:
        # The gateway cannot know before: the provider gets the beginning, and then a broken connection.
        provider.enqueue(openai_chat.reply())

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, size, 1 << 18):
            yield bytes(min(1 << 18, size - at))

    headers = {**JSON, "Content-Type": "application/octet-stream", "Helicone-User-Id": user}
    if not chunked:
        headers["Content-Length"] = str(size)
    response = await raw.post("/v1/uploads/u/parts", content=pieces(), headers=headers)
    error = check_error("openai", response, 413, "request_too_large")
    assert "server.max_upload" in error["message"]
    assert not [request for request in provider.requests if request.received.is_set()]
    (row,) = await open_gateway.rows(user)
    assert (row["outcome"], row["status"], row["error_code"]) == ("refused", 413, "request_too_large")


async def test_an_oversized_file_in_the_sdk(
    connect: Connect, open_gateway: Running, provider: ScriptedProvider
) -> None:
    client = connect("openai", f"{open_gateway.url}/v1").sdk
    with pytest.raises(openai.APIStatusError) as caught:
        await client.files.create(file=("big.bin", bytes(MAX_UPLOAD)), purpose="user_data")
    assert caught.value.status_code == 413
    provider.enqueue(openai_chat.reply())
    await client.chat.completions.create(**CHAT)


async def test_a_provider_that_refuses_an_upload_early(
    connect: Connect, open_gateway: Running, provider: ScriptedProvider
) -> None:
    """It answers before it has read the file, and the client gets to see the answer."""
    provider.enqueue(openai_chat.error(401, "Wrong key.").early())
    client = connect("openai", f"{open_gateway.url}/v1").sdk
    with pytest.raises(openai.AuthenticationError, match="Wrong key"):
        await client.files.create(file=("big.bin", bytes(MAX_UPLOAD // 2)), purpose="user_data")


async def test_a_gzip_bomb(raw: httpx.AsyncClient, provider: ScriptedProvider) -> None:
    import gzip

    bomb = gzip.compress(b'{"model": "' + b"x" * (4 * MAX_BODY) + b'"}')
    assert len(bomb) < 100_000
    response = await raw.post("/v1/chat/completions", content=bomb, headers={**JSON, "Content-Encoding": "gzip"})
    check_error("openai", response, 413, "request_too_large")
    await answers(raw, provider)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_unreachable_provider(connect: Connect, open_gateway: Running, stream: bool) -> None:
    user = f"away-{stream}"
    fields = {"Helicone-User-Id": user}
    chat = connect("openai", f"{open_gateway.url}/away/v1").sdk
    with pytest.raises(openai.InternalServerError) as caught:
        await chat.chat.completions.create(**CHAT, stream=stream, extra_headers=fields)
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_unreachable")
    assert "away" in caught.value.message
    claude = connect("anthropic", f"{open_gateway.url}/away-claude").sdk
    with pytest.raises(anthropic.InternalServerError) as refused:
        await claude.messages.create(**MESSAGE, stream=stream, extra_headers=fields)
    assert refused.value.status_code == 502
    body = refused.value.body
    assert isinstance(body, dict)
    assert (body["type"], body["error"]["code"]) == ("error", "upstream_unreachable")
    rows = await open_gateway.rows(user, 2)
    assert [(row["outcome"], row["status"], row["error_code"]) for row in rows] == [
        ("upstream_error", 502, "upstream_unreachable")
    ] * 2
    assert {row["provider"] for row in rows} == {"away", "away-claude"}


async def test_garbage_on_one_connection_disturbs_no_other(
    open_gateway: Running, raw: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    host, port = open_gateway.url.removeprefix("http://").split(":")
    for garbage in (b"\x16\x03\x01\x00\xa5\x01\x00", b"GET / HTTP/9.9\r\n\r\n", b"POST /v1/chat/completions\r\n\r\n"):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(garbage)
        async with asyncio.timeout(5):
            answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 505 "))
        writer.close()
        await writer.wait_closed()
    await answers(raw, provider)

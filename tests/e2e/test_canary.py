"""Canaries: distinctive secrets planted everywhere a secret may come in, looked for everywhere something comes out.

One gateway in a process of its own, with everything that writes: log, database, journal, cache on the disk, traces and
figures for a collector, and its own pages. Nothing that was planted may be in any of it, in any spelling.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import zstandard
from pydantic import SecretStr
from running import EXECUTABLE, Start

from helicone_gw import Database
from helicone_gw.testing import RecordedRequest, ScriptedProvider, ScriptedResponse, of_json
from helicone_gw.testing.dialects import openai_chat
from helicone_gw_security.ciphers import Cipher, new_encryption_key
from helicone_gw_security.provider_table import ProviderTable
from tests.program import free_port

GATEWAY, VIEWER = "canary-of-the-gateway-4b1d9e", "canary-of-a-viewer-77ac02"
YAML = {
    "gateway key": GATEWAY,
    "viewer's key": VIEWER,
    "previous key": "canary-of-last-year-e0f5a1",
    "operator's key": "sk-proj-Canary0OfTheOperator1234567890abcd",
    "fixed field": "canary-fixed-field-5c2e8d",
    "collector's field": "canary-collector-a91c44",
    "encryption key": new_encryption_key(),
}
KEPT = "sk-ant-Canary17KeptInTheDatabase1234567890"
CLIENT = "sk-proj-Canary1OfTheClient1234567890abcde"
HEADERS = {
    "client's key": CLIENT,
    "x-api-key": "sk-ant-api03-Canary2OfTheClient1234567890abcdefgh",
    "api-key": "canary3-azure-0123456789abcdef0123",
    "x-goog-api-key": "AIzaCanary4OfTheClient0123456789abcdefgh",
    "basic": "canary5-basic-password-93b1",
    "cookie": "canary6-session-cookie-bb20f7",
    "proxy": "canary7-proxy-password-11fe",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJjYW5hcnkiOjh9.c2lnbmF0dXJlQ2FuYXJ5OA",
    "posthog": "phc_canary9posthog0123456789",
    "lytix": "canary10-lytix-0123456789",
    "manual": "canary11-manual-access-key",
}
QUERY = {"query key": "canary12-in-the-query-0123456789abcdef"}
BODY = {
    "openai": "sk-proj-Canary13InABody1234567890abcdefgh",
    "aws": "AKIACANARY14ABCDEFGH",
    "github": "ghp_Canary15abcdefghijklmnopqrstuvwxyz0123",
    "url": "canary16-database-password",
}
PLANTED = {**YAML, **HEADERS, **QUERY, **BODY, "kept key": KEPT}

CHAT = {
    "model": "gpt-4o-mini",
    "messages": [
        {
            "role": "user",
            "content": f"Use {BODY['openai']}, {BODY['aws']} and {BODY['github']} at "
            f"postgresql://me:{BODY['url']}@db.example/x, or {CLIENT}",
        }
    ],
}


MAX_PIECE = 256 << 10
"""Bytes after a mark of a compressed piece that are looked at."""


def spellings(secret: str) -> Iterator[bytes]:
    """``secret`` as it may be found: itself, quoted, in JSON, in base64 at every offset, in hexadecimal."""
    plain = secret.encode()
    yield plain
    yield quote(secret, safe="").encode()
    yield json.dumps(secret)[1:-1].encode()
    yield plain.hex().encode()
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + plain).decode()
        yield encoded[offset + 2 : len(encoded) - 4].encode()


SPELLINGS = {name: tuple(dict.fromkeys(spellings(secret))) for name, secret in PLANTED.items()}


def found_in(data: bytes) -> set[str]:
    """The names of planted secrets that are in ``data``."""
    return {name for name, known in SPELLINGS.items() if any(spelling in data for spelling in known)}


def opened(data: bytes) -> Iterator[bytes]:
    """``data``, and every compressed piece in it, opened."""
    yield data
    for mark, opener in (
        (b"\x28\xb5\x2f\xfd", lambda piece: zstandard.ZstdDecompressor().decompressobj().decompress(piece)),
        (b"\x78\x9c", lambda piece: zlib.decompressobj().decompress(piece)),
        (b"\x1f\x8b\x08", lambda piece: zlib.decompressobj(31).decompress(piece)),
    ):
        at = data.find(mark)
        while at >= 0:
            with suppress(zlib.error, zstandard.ZstdError):
                yield opener(data[at : at + MAX_PIECE])
            at = data.find(mark, at + 1)


def echoing(request: RecordedRequest) -> ScriptedResponse:
    """A provider that repeats what it was sent where it refuses: every field, as thoughtless ones do."""
    body = request.json() if request.body else {}
    if body.get("user") == "refuse":
        fields = "; ".join(f"{name}: {value}" for name, value in request.headers)
        return of_json({"error": {"message": f"Incorrect API key provided: {fields}", "type": "auth"}}, status=401)
    if body.get("stream"):
        return openai_chat.stream(("Hello", " there"))
    return openai_chat.reply("Hello there")


@asynccontextmanager
async def collector() -> AsyncIterator[tuple[str, ScriptedProvider]]:
    """Takes what is exported."""
    taking = ScriptedProvider(default=of_json({}))
    async with taking.serve() as url:
        yield url, taking


def configuration(exported_to: str, directory: Path) -> dict[str, Any]:
    plugins: list[Any] = [
        {"logging": {"bodies": "full"}},
        {
            "metrics": {
                "otlp": {"endpoint": exported_to, "headers": {"x-token": YAML["collector's field"]}, "interval": 0.2}
            }
        },
        "cost",
        {
            "security": {
                "keys": {
                    "everything": {
                        "key": GATEWAY,
                        "role": "admin",
                        "previous": YAML["previous key"],
                        "previous_until": "2099-01-01",
                    },
                    "viewer": {"key": VIEWER, "role": "viewer"},
                },
                "encryption_keys": [YAML["encryption key"]],
            }
        },
        "ratelimit",
        {"cache": {"enabled": True, "backend": {"url": f"disk://{directory}/cache.db"}}},
        "router",
        "fallbacks",
        "dashboard",
        {"retries": {"enabled": True, "num": 1, "min_timeout": 0.01, "max_timeout": 0.02}},
    ]
    return {
        "plugins": plugins,
        "database": {"url": f"sqlite:///{directory}/helicone.db"},
        "server": {"allowed_targets": ["127.0.0.1"]},
    }


def with_provider(config: dict[str, Any], url: str) -> dict[str, Any]:
    openai = {"base_url": url, "api_key": YAML["operator's key"], "headers": {"x-fixed": YAML["fixed field"]}}
    return {
        **config,
        "providers": {"openai": openai, "anthropic": {"base_url": url, "api_key": YAML["operator's key"]}},
    }


def asked() -> Iterator[tuple[str, dict[str, str], dict[str, Any]]]:
    """Requests with secrets in every place: target, header fields, body."""
    auth = {"Helicone-Auth": f"Bearer {GATEWAY}"}
    basic = base64.b64encode(f"me:{HEADERS['basic']}".encode()).decode()
    proxy = base64.b64encode(f"me:{HEADERS['proxy']}".encode()).decode()
    own = {"Authorization": f"Bearer {CLIENT}"}
    ways: list[tuple[str, dict[str, str]]] = [
        ("/v1/chat/completions", {"Authorization": f"Bearer {GATEWAY}"}),
        ("/v1/chat/completions", {**auth, **own}),
        ("/v1/chat/completions", {"Authorization": f"{own['Authorization']}, Bearer {GATEWAY}"}),
        ("/v1/chat/completions", {**auth, "x-api-key": HEADERS["x-api-key"], "api-key": HEADERS["api-key"]}),
        ("/v1/chat/completions", {**auth, "x-goog-api-key": HEADERS["x-goog-api-key"]}),
        ("/v1/chat/completions", {**auth, "Authorization": f"Basic {basic}", "Proxy-Authorization": f"Basic {proxy}"}),
        ("/v1/chat/completions", {**auth, "Cookie": f"session={HEADERS['cookie']}", "Helicone-Jwt": HEADERS["jwt"]}),
        (
            "/v1/chat/completions",
            {
                **auth,
                "Helicone-Posthog-Key": HEADERS["posthog"],
                "Helicone-Lytix-Key": HEADERS["lytix"],
                "Helicone-Manual-Access-Key": HEADERS["manual"],
            },
        ),
        (f"/v1/chat/completions?key={QUERY['query key']}", auth),
        (f"/v1/chat/completions?key={GATEWAY}", {}),
        ("/v1/chat/completions", {"Authorization": f"Bearer {YAML['previous key']}"}),
        ("/openai/v1/chat/completions", {**auth, **own, "Helicone-Cache-Enabled": "true"}),
        ("/v1/chat/completions", {**own, "Helicone-Auth": "Bearer wrong"}),
        (f"/v1/chat/completions/{GATEWAY}/x", auth),
        (f"/{quote(HEADERS['jwt'])}/nowhere", auth),
        ("/gateway/v1/chat/completions", {**auth, **own, "Helicone-Target-URL": "http://127.0.0.1:1"}),
        (
            "/gateway/v1/chat/completions",
            {**auth, **own, "Helicone-Target-URL": f"http://u:{HEADERS['basic']}@10.0.0.1"},
        ),
    ]
    message = {"model": "claude-sonnet-4-5", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
    yield "/v1/messages", auth, {**message, "user": "refuse"}
    for target, headers in ways:
        yield target, headers, CHAT
        yield target, headers, {**CHAT, "stream": True}
        yield target, headers, {**CHAT, "user": "refuse"}
        yield target, headers, {**CHAT, "metadata": {"Helicone-Auth": f"Bearer {GATEWAY}"}, "user": "me"}


PAGES = (
    "/metrics",
    "/readyz",
    "/v1/budgets",
    "/v1/models",
    "/v1/audit",
    "/v1/api-keys",
    "/v1/api-keys/provider-keys",
    "/v1/organization",
    "/v1/admin/users",
    "/auth/session",
    "/dashboard",
    "/dashboard/requests",
    "/dashboard/sessions",
)


async def test_what_was_planted_is_found_nowhere(start: Start, tmp_path: Path) -> None:
    leaks: dict[str, set[str]] = {}

    def look(where: str, data: bytes, sent: bytes = b"") -> None:
        for piece in opened(data):
            if found := found_in(piece) - found_in(sent):
                leaks.setdefault(where, set()).update(found)

    provider = ScriptedProvider(default=echoing)
    async with provider.serve() as url, collector() as (exported_to, taken):
        config = with_provider(configuration(exported_to, tmp_path), url)
        async with start(config) as program, httpx.AsyncClient(trust_env=False, timeout=30) as client:
            await keep(tmp_path)
            ids: list[str] = []
            statuses: set[int] = set()
            for target, headers, body in asked():
                answer = await client.post(program.url + target, headers=headers, json=body)
                statuses.add(answer.status_code)
                # Whoever sent a secret may be told it again: by the provider, in the answer to that very request.
                sent = b"".join(b"%b: %b\n" % field for field in answer.request.headers.raw)
                whole = answer.content + str(answer.headers).encode()
                look(f"answer to {target.partition('?')[0]}", whole, sent + answer.request.content + target.encode())
                if found := answer.headers.get("helicone-id"):
                    ids.append(found)
            assert {200, 400, 401, 404} <= statuses, statuses
            await written(client, program.url, len(ids))
            for key in (GATEWAY, VIEWER):
                auth = {"Authorization": f"Bearer {key}"}
                for page in PAGES:
                    for accept in ("text/html", "application/json"):
                        answer = await client.get(program.url + page, headers={**auth, "Accept": accept})
                        look(f"page {page}", answer.content)
                for path in ("/v1/request/query", "/v1/request/query-clickhouse"):
                    body = {"filter": "all", "limit": 500, "includeInputs": True}
                    answer = await client.post(program.url + path, headers=auth, json=body)
                    assert answer.status_code == 200
                    look(path, answer.content)
            auth = {"Authorization": f"Bearer {GATEWAY}"}
            shown: set[int] = set()
            for number, which in enumerate(ids):
                paths = [f"/v1/request/{which}?includeBody=true"]
                if number % 5 < 2:  # a refused one and a streamed one of every other way
                    paths.append(f"/dashboard/requests/{which}")
                for path in paths:
                    answer = await client.get(program.url + path, headers={**auth, "Accept": "text/html"})
                    shown.add(answer.status_code)
                    look("one request", answer.content)
            assert 200 in shown, shown
            look("journal and database while it runs", b"".join(contents(tmp_path)))
            program.signal(signal.SIGTERM)
            await program.ended()
            look("the program's own messages", program.log.read_bytes())
            for sent in taken.requests:
                look("what is exported", sent.body)
        assert taken.requests, "nothing was exported"
        kept = [sent for sent in provider.requests if KEPT in str(sent.headers.raw)]
        assert kept, "the key that is kept was not used"
        for file in files(tmp_path):
            look(f"file {file.name}", file.read_bytes())
        assert any("cache.db" in file.name for file in files(tmp_path)), "nothing was cached"
    assert not leaks, leaks


async def written(client: httpx.AsyncClient, url: str, count: int) -> None:
    """Wait until so many requests are in the database: it is written to behind the answers."""
    body = {"filter": "all", "limit": 1000}
    async with asyncio.timeout(30):
        while True:
            told = await client.post(
                url + "/v1/request/query", headers={"Authorization": f"Bearer {GATEWAY}"}, json=body
            )
            if told.status_code == 200 and len(told.json()["data"]) >= count:
                return
            await asyncio.sleep(0.1)


async def keep(directory: Path) -> None:
    """Keep a provider's key in the database of the running gateway."""
    database = Database(f"sqlite:///{directory}/helicone.db")
    table = ProviderTable(database, Cipher([SecretStr(YAML["encryption key"])]))
    await table.add("kept", "anthropic", KEPT, now=0, shared=True)
    await database.close()


def files(directory: Path) -> Iterator[Path]:
    """Everything that the gateway wrote; its configuration is what we wrote."""
    for file in sorted(directory.rglob("*")):
        if file.is_file() and file.suffix != ".yaml":
            yield file


def contents(directory: Path) -> Iterator[bytes]:
    for file in files(directory):
        with suppress(FileNotFoundError):  # of a database that is being written to
            yield file.read_bytes()


@pytest.mark.full
@pytest.mark.parametrize(
    ("config", "starts"),
    [
        ({"store": {"url": "redis://me:canary18-redis-password@127.0.0.1:1/0", "deadline": 0.2}}, True),
        ({"database": {"url": "postgresql://me:canary19-postgres-password@127.0.0.1:1/db"}}, False),
        ({"upstream": {"proxy": "http://me:canary20-proxy-password@127.0.0.1:1"}}, True),
        ({"providers": {"openai": {"base_url": "http://me:canary21-url-password@127.0.0.1:1"}}}, False),
        ({"security": {"keys": {"a": ["canary22-in-the-wrong-place"]}}}, False),
        ({"server": {"port": "canary23-in-the-wrong-place"}}, False),
    ],
    ids=["redis", "postgres", "proxy", "base_url", "keys", "reference"],
)
async def test_what_is_in_addresses_and_mistakes_is_told_by_no_message(
    tmp_path: Path, config: dict[str, Any], starts: bool
) -> None:
    secrets = set(re.findall(r"canary\d+-[a-z-]+", json.dumps(config)))
    own = dict(config)
    ratelimit = {"ratelimit": {"limits": [{"policy": "100;w=60"}], "on_failure": "closed"}}
    whole: dict[str, Any] = {
        "plugins": ["logging", {"security": own.pop("security", {"keys": {"a": GATEWAY}})}, ratelimit],
        "server": {"port": free_port()},
        "providers": {"openai": {"base_url": "http://127.0.0.1:1", "api_key": "sk-x"}},
        "database": {"url": f"sqlite:///{tmp_path}/helicone.db"},
        **own,
    }
    environment = dict(os.environ)
    if not isinstance(whole["server"]["port"], int):  # the value of a reference, of which messages show the name alone
        environment["CANARY"] = whole["server"]["port"]
        whole["server"]["port"] = "${CANARY}"
    file = tmp_path / "gateway.yaml"
    file.write_text(json.dumps(whole))
    log = tmp_path / "gateway.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            EXECUTABLE, "--config", file, stdout=output, stderr=output, cwd=tmp_path, env=environment
        )
    answers = b""
    try:
        if starts:
            answers = await asked_of(f"http://127.0.0.1:{whole['server']['port']}")
            process.terminate()
        async with asyncio.timeout(60):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    said = log.read_text()
    assert said, "it said nothing at all"
    for secret in secrets:
        assert secret not in said
        assert secret.encode() not in answers


async def asked_of(url: str) -> bytes:
    """What a gateway answers whose store and provider cannot be reached."""
    answers = b""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client, asyncio.timeout(60):
        while True:
            with suppress(httpx.TransportError):
                await client.get(f"{url}/healthz")
                break
            await asyncio.sleep(0.1)
        for path in ("/v1/chat/completions", "/v1/messages"):
            answer = await client.post(url + path, headers={"Authorization": f"Bearer {GATEWAY}"}, json=CHAT)
            assert answer.status_code >= 400
            answers += answer.content
        for path in ("/readyz", "/metrics", "/v1/budgets"):
            answers += (await client.get(url + path, headers={"Authorization": f"Bearer {GATEWAY}"})).content
    return answers

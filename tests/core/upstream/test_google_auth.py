"""Google's access tokens: had once for all who wait, renewed in time, and kept while they last."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from helicone_gw.errors import UpstreamConnectError
from helicone_gw.upstream.google_auth import REFRESH_BEFORE, GoogleTokens

START = 1_800_000_000.0


class Source:
    """Credentials that make a token an hour, and count."""

    def __init__(self, clock: list[float]) -> None:
        self.clock = clock
        self.token: str | None = None
        self.expiry: Any = None
        self.refreshed = 0
        self.fails = False
        self.gate: threading.Event | None = None
        self.threads: set[int] = set()

    def refresh(self, request: Any) -> None:
        self.threads.add(threading.get_ident())
        if self.gate is not None:
            assert self.gate.wait(10)
        if self.fails:
            raise RuntimeError("https://oauth2.example.com said: secret")
        self.refreshed += 1
        self.token = f"ya29.{self.refreshed}"
        self.expiry = datetime.fromtimestamp(self.clock[0] + 3600, UTC).replace(tzinfo=None)


def tokens(source: Source, clock: list[float]) -> GoogleTokens:
    return GoogleTokens(None, load=lambda file: source, now=lambda: clock[0])


async def test_one_token_serves_until_shortly_before_its_end() -> None:
    clock = [START]
    source = Source(clock)
    kept = tokens(source, clock)
    assert await kept.token() == "ya29.1"
    clock[0] += 3600 - REFRESH_BEFORE - 1
    assert await kept.token() == "ya29.1"
    clock[0] += 2
    assert await kept.token() == "ya29.2"
    assert source.refreshed == 2


async def test_it_is_had_once_for_all_who_wait_and_off_the_loop() -> None:
    clock = [START]
    source = Source(clock)
    source.gate = threading.Event()
    kept = tokens(source, clock)
    waiting = [asyncio.create_task(kept.token()) for _ in range(5)]
    for _ in range(5):
        await asyncio.sleep(0)
    source.gate.set()
    assert await asyncio.gather(*waiting) == ["ya29.1"] * 5
    assert source.refreshed == 1
    assert threading.get_ident() not in source.threads


async def test_while_it_is_renewed_the_old_one_serves() -> None:
    clock = [START]
    source = Source(clock)
    kept = tokens(source, clock)
    await kept.token()
    clock[0] += 3600 - 10
    source.gate = threading.Event()
    renewing = asyncio.create_task(kept.token())
    await asyncio.sleep(0)
    assert await kept.token() == "ya29.1"
    source.gate.set()
    assert await renewing == "ya29.2"


async def test_a_renewal_that_fails_costs_nothing_while_the_old_one_lasts() -> None:
    clock = [START]
    source = Source(clock)
    kept = tokens(source, clock)
    await kept.token()
    source.fails = True
    clock[0] += 3600 - 10
    assert await kept.token() == "ya29.1"
    clock[0] += 11
    with pytest.raises(UpstreamConnectError) as caught:
        await kept.token()
    assert caught.value.message == "No access token could be had from Google (RuntimeError)."
    source.fails = False
    assert await kept.token() == "ya29.2"


async def test_a_token_without_an_end_is_kept() -> None:
    clock = [START]
    source = Source(clock)
    kept = tokens(source, clock)
    await kept.token()
    source.expiry = None
    clock[0] += 10**9
    assert await kept.token() == "ya29.1"


@asynccontextmanager
async def token_service(answer: Callable[[str], tuple[int, dict[str, Any]]]) -> AsyncIterator[str]:
    """Google's token endpoint; ``answer`` makes status and body of the form that it was sent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        status, value = answer((await reader.readexactly(length)).decode())
        body = json.dumps(value).encode()
        fields = f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close"
        writer.write(f"HTTP/1.1 {status} X\r\n{fields}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/token"


def key_file(folder: Path, token_uri: str) -> str:
    """A service account's key, as Google hands it out."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    file = folder / "key.json"
    fields = {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "k1",
        "private_key": pem,
        "client_email": "caller@p.iam.gserviceaccount.com",
        "token_uri": token_uri,
    }
    file.write_text(json.dumps(fields))
    return str(file)


async def test_a_service_account_gets_its_tokens_over_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    forms: list[str] = []

    def answer(form: str) -> tuple[int, dict[str, Any]]:
        forms.append(form)
        return 200, {"access_token": "ya29.real", "expires_in": 3600, "token_type": "Bearer"}

    async with token_service(answer) as uri:
        kept = GoogleTokens(key_file(tmp_path, uri), now=time.time)
        assert await kept.token() == "ya29.real"
        assert await kept.token() == "ya29.real"
    assert len(forms) == 1
    assert "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer" in forms[0]


async def test_a_refusal_says_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with token_service(lambda form: (400, {"error": "invalid_grant", "error_description": form})) as uri:
        with pytest.raises(UpstreamConnectError) as caught:
            await GoogleTokens(key_file(tmp_path, uri)).token()
    assert caught.value.message == "No access token could be had from Google (RefreshError)."
    assert caught.value.code == "provider_credential_unavailable"


async def test_a_file_that_holds_no_credentials(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    file.write_text("{}")
    with pytest.raises(UpstreamConnectError, match="DefaultCredentialsError"):
        await GoogleTokens(str(file)).token()

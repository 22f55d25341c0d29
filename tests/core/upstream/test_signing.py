"""Signing: what leaves on behalf of an account carries its signature or its token, over the body that is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from helicone_gw.errors import PayloadTooLarge
from helicone_gw.headers import Headers
from helicone_gw.model import Target, UpstreamRequest
from helicone_gw.upstream.accounts import AwsAccount, GoogleAccount
from helicone_gw.upstream.signing import MAX_SIGNED_BODY, Signing
from helicone_gw.upstream.sigv4 import AwsCredentials, signed

NOW = 1_800_000_000.0
AWS = AwsAccount(AwsCredentials("AKIDEXAMPLE", "secret", "token-1"), "eu-west-1")
URL = "https://bedrock-runtime.eu-west-1.amazonaws.com/model/a%3A0/converse"


class Source:
    token: str | None = None
    expiry: Any = None

    def __init__(self, name: str | None) -> None:
        self.name = name

    def refresh(self, request: Any) -> None:
        self.token = f"ya29.{self.name}"
        self.expiry = datetime.fromtimestamp(NOW + 3600, UTC).replace(tzinfo=None)


def signing() -> Signing:
    return Signing(now=lambda: NOW, load=Source)


def call(body: Any = b"{}", **headers: str) -> UpstreamRequest:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return UpstreamRequest("POST", URL, Headers({"content-type": "application/json", **fields}), body, Target("b"))


async def test_aws_calls_are_signed_for_their_region() -> None:
    sent = await signing()(AWS, call())
    expected = signed(
        "POST",
        URL,
        call().headers,
        b"{}",
        AWS.credentials,
        region="eu-west-1",
        service="bedrock",
        at=NOW,
    )
    assert sent.headers == expected
    assert sent.headers.get("x-amz-security-token") == "token-1"
    assert (sent.url, sent.body) == (URL, b"{}")


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for piece in data:
        yield piece


async def test_a_body_that_streams_in_is_read_and_signed_whole() -> None:
    sent = await signing()(AWS, call(pieces(b"{", b"}")))
    assert (sent.body, sent.length) == (b"{}", None)
    assert sent.headers == (await signing()(AWS, call())).headers
    assert (await signing()(AWS, call(None))).body == b""


async def test_a_stream_that_is_too_long_to_sign_is_refused() -> None:
    half = bytes(MAX_SIGNED_BODY // 2 + 1)
    with pytest.raises(PayloadTooLarge):
        await signing()(AWS, call(pieces(half, half)))


async def test_google_calls_carry_a_token_and_the_project() -> None:
    sent = await signing()(GoogleAccount("p-1"), call())
    assert sent.headers.get("authorization") == "Bearer ya29.None"
    assert sent.headers.get("x-goog-user-project") == "p-1"
    own = await signing()(GoogleAccount("p-1"), call(x_goog_user_project="p-2"))
    assert own.headers.get_all("x-goog-user-project") == ["p-2"]


async def test_every_account_has_tokens_of_its_own() -> None:
    sign = signing()
    first = await sign(GoogleAccount("p", credentials_file="a"), call())
    second = await sign(GoogleAccount("p", credentials_file="b"), call())
    assert first.headers.get("authorization") == "Bearer ya29.a"
    assert second.headers.get("authorization") == "Bearer ya29.b"

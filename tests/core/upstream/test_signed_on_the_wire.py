"""What arrives is what was signed: every transport sends path, query, fields and body as the signature has them."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Literal

import pytest

from helicone_gw.headers import Headers
from helicone_gw.model import Target, UpstreamRequest
from helicone_gw.upstream.accounts import AwsAccount
from helicone_gw.upstream.client import NetworkUpstream, Timeouts
from helicone_gw.upstream.signing import Signing
from helicone_gw.upstream.sigv4 import AwsCredentials, signed
from tests.core.upstream.calling import listening, whole

ACCOUNT = AwsAccount(AwsCredentials("AKIDEXAMPLE", "secret", "token-1"), "us-east-1")
NOW = 1_800_000_000.0
PATHS = [
    "/model/amazon.nova-pro-v1%3A0/converse",
    "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fa.b/converse-stream",
    "/model/m/invoke?b=2&a=1&a=%2F",
    "/model/a~b_c-d.e/converse",
]


@pytest.mark.parametrize("transport", ["fast", "aiohttp", "httpx"])
@pytest.mark.parametrize("path", PATHS)
async def test_the_signature_fits_what_arrives(transport: Literal["fast", "aiohttp", "httpx"], path: str) -> None:
    arrived: dict[str, Any] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.rstrip().split("\r\n")
        arrived["method"], arrived["target"], _ = line.split(" ")
        arrived["fields"] = [tuple(field.split(": ", 1)) for field in fields]
        found = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
        assert found is not None
        arrived["body"] = await reader.readexactly(int(found[1]))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        await writer.drain()

    upstream = NetworkUpstream(Timeouts(connect=5, first_byte=5, idle=5), transport)
    try:
        async with listening(serve) as base:
            headers = Headers({"content-type": "application/json", "accept": "application/json", "x-other": "1"})
            call = UpstreamRequest("POST", f"{base}{path}", headers, b'{"a":1}', Target("bedrock"))
            assert await whole(upstream, await Signing(now=lambda: NOW)(ACCOUNT, call)) == b"{}"
            fields = Headers([(name.encode(), value.encode("latin-1")) for name, value in arrived["fields"]])
            again = signed(
                arrived["method"],
                f"{base}{arrived['target']}",
                fields,
                arrived["body"],
                ACCOUNT.credentials,
                region="us-east-1",
                service="bedrock",
                at=NOW,
            )
    finally:
        await upstream.aclose()
    assert arrived["target"] == path
    assert fields.get("authorization") == again.get("authorization")
    assert fields.get("x-amz-security-token") == "token-1"

"""Signing: calls on behalf of an account at a cloud get what that cloud wants to see, right before they leave."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable

from msgspec.structs import replace

from helicone_gw.errors import PayloadTooLarge
from helicone_gw.model import UpstreamRequest
from helicone_gw.upstream.accounts import Account, AwsAccount
from helicone_gw.upstream.google_auth import GoogleTokens, Load
from helicone_gw.upstream.sigv4 import signed

MAX_SIGNED_BODY = 25 * 1024 * 1024
"""Bytes of a body that streams in and is to be signed, which has to be read whole: what Bedrock itself takes at most.
A longer one is refused with a 413."""


class Signing:
    """Signs calls; keeps the access tokens of each of Google's accounts (as many as are configured)."""

    def __init__(self, *, now: Callable[[], float] = time.time, load: Load | None = None) -> None:
        self._now = now
        self._load = load
        self._tokens: dict[str | None, GoogleTokens] = {}

    async def __call__(self, account: Account, call: UpstreamRequest) -> UpstreamRequest:
        """``call`` on behalf of ``account``.

        Raises `UpstreamConnectError` when no token can be had, `PayloadTooLarge` for a stream that is too long to sign.
        """
        if isinstance(account, AwsAccount):
            return await self._aws(account, call)
        tokens = self._tokens.get(account.credentials_file)
        if tokens is None:
            tokens = GoogleTokens(account.credentials_file, load=self._load, now=self._now)
            self._tokens[account.credentials_file] = tokens
        headers = call.headers.set("authorization", f"Bearer {await tokens.token()}")
        if "x-goog-user-project" not in headers:
            # Credentials of a person belong to no project: this says whose quota is used.
            headers = headers.set("x-goog-user-project", account.project)
        return replace(call, headers=headers)

    async def _aws(self, account: AwsAccount, call: UpstreamRequest) -> UpstreamRequest:
        body = await _whole(call.body)
        headers = signed(
            call.method,
            call.url,
            call.headers,
            body,
            account.credentials,
            region=account.region,
            service=account.service,
            at=self._now(),
        )
        return replace(call, headers=headers, body=body, length=None)


async def _whole(body: bytes | AsyncIterator[bytes] | None) -> bytes:
    if body is None or isinstance(body, bytes):
        return body or b""
    pieces: list[bytes] = []
    size = 0
    async for data in body:
        size += len(data)
        if size > MAX_SIGNED_BODY:
            raise PayloadTooLarge(f"A body that is signed for AWS has at most {MAX_SIGNED_BODY} bytes.")
        pieces.append(data)
    return b"".join(pieces)

"""Destinations: addresses that users of the gateway name for something to be sent to (webhooks), checked and pinned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import httpx
from msgspec import Struct

from helicone_gw.errors import BadRequest, UpstreamConnectError, UpstreamProtocolError, UpstreamTimeout
from helicone_gw.upstream.addresses import RESOLVE_TIMEOUT, AllowedTargets, Resolve, kind_of, resolve_all, resolve_name
from helicone_gw.upstream.special_urls import UNIX_SCHEME
from helicone_gw.upstream.urls import parse_url

MAX_ANSWER = 64 * 1024
"""Bytes of an answer that are kept; of a longer one the rest is not read."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A destination that may be called: its canonical URL, and the address that the connection goes to."""

    url: str
    address: str


class Answered(Struct, frozen=True):
    """What a destination answered: its status, and the beginning of its body."""

    status: int
    body: bytes


class Destinations:
    """Sends to where users say: any public address over https, and what ``server.allowed_targets`` lists.

    ``http`` gives the client that is used. Redirects are not followed, and no credential of the gateway's goes along.
    """

    def __init__(
        self, http: Callable[[], httpx.AsyncClient], allowed: Collection[str], *, resolve: Resolve = resolve_name
    ) -> None:
        self._http = http
        self._allowed = AllowedTargets(allowed)
        self._resolve = resolve

    async def check(self, url: str) -> Destination:
        """Whether ``url`` may be called, now: to be asked when somebody names it, and again by every `send`.

        Raises `BadRequest` for one that may not, `UpstreamConnectError` for a name that does not resolve,
        `UpstreamTimeout` when that takes too long.
        """
        try:
            parsed = parse_url(url)
        except ValueError as problem:
            raise _refused(f"is not a usable URL: {problem}") from None
        if parsed.scheme == UNIX_SCHEME:
            raise _refused("is a unix socket")
        named = self._allowed.names(parsed)
        addresses = [parsed.ip] if parsed.ip is not None else await resolve_all(parsed, self._resolve, RESOLVE_TIMEOUT)
        listed = all(self._allowed.holds(address) for address in addresses)
        if not (named or listed) and parsed.scheme != "https":
            raise _refused("is not https")
        for address in addresses:
            if self._allowed.holds(address) or (named and parsed.ip is not None):
                continue
            kind = kind_of(address)
            if kind is not None and not (named and kind in {"loopback", "private"}):
                raise _refused(f"is at a {kind} address; server.allowed_targets lists those that may be called")
        return Destination(url, str(addresses[0]))

    async def send(
        self,
        url: str,
        *,
        method: str = "POST",
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
    ) -> Answered:
        """Check ``url``, call the very address that was checked, and give the answer, whatever its status.

        ``timeout`` (seconds) bounds all of it. Raises what `check` raises, `UpstreamConnectError`, `UpstreamTimeout`
        and `UpstreamProtocolError`; no message holds the URL.
        """
        try:
            async with asyncio.timeout(timeout):
                destination = await self.check(url)
                return await self._send(destination, method, content, headers or {}, timeout)
        except (TimeoutError, httpx.TimeoutException):
            raise UpstreamTimeout("The destination took too long.") from None
        except httpx.ConnectError:
            raise UpstreamConnectError("The destination cannot be reached.") from None
        except (httpx.HTTPError, httpx.InvalidURL):
            raise UpstreamProtocolError("The destination did not answer as HTTP has it.") from None

    async def _send(
        self, destination: Destination, method: str, content: bytes, headers: Mapping[str, str], timeout: float
    ) -> Answered:
        url = httpx.URL(destination.url)
        fields = {"host": url.netloc.decode("ascii"), "accept-encoding": "identity", **headers}
        pinned = url.copy_with(host=destination.address, username=None, password=None, fragment=None)
        http = self._http()
        request = http.build_request(
            method,
            pinned,
            headers=fields,
            content=content,
            timeout=timeout,
            extensions={"sni_hostname": url.host},
        )
        response = await http.send(request, stream=True, follow_redirects=False)
        try:
            body = b""
            async for piece in response.aiter_raw():
                body += piece
                if len(body) >= MAX_ANSWER:
                    break
            return Answered(response.status_code, body[:MAX_ANSWER])
        finally:
            await response.aclose()


def _refused(why: str) -> BadRequest:
    return BadRequest(f"The destination {why}.", code="destination_not_allowed")

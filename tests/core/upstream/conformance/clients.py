"""One way of calling for everything under test: each transport, as the gateway uses it and as plugins do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
import pytest

from helicone_gw import Headers, Target, UpstreamConnectError, UpstreamError, UpstreamTimeout
from helicone_gw.config import Transport
from helicone_gw.model import UpstreamRequest
from helicone_gw.upstream.client import NetworkUpstream, Timeouts

Fate = Literal["connect", "timeout", "protocol"]
"""How a call fails: there was no connection, something took too long, what came (or did not) is no answer."""

Fields = list[tuple[bytes, bytes]]

TRANSPORTS: tuple[Transport, ...] = ("fast", "aiohttp", "httpx")
WAYS = ("gateway", "plugin")


class Failed(Exception):
    """A call failed in this way."""

    def __init__(self, fate: Fate, received: bytes = b"") -> None:
        super().__init__(fate)
        self.fate = fate
        self.received = received


@dataclass
class Answer:
    """What a client made of a reply. ``failed`` is how it ended when it did not end well."""

    status: int = 0
    headers: Fields = field(default_factory=list)
    body: bytes = b""
    failed: Fate | None = None

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key.lower() == name]


class Client:
    """Calls through one transport."""

    def __init__(self, transport: Transport, way: str, **options: Any) -> None:
        self.transport = transport
        self.way = way
        read = options.pop("read", None)
        self.timeouts = Timeouts(*(options.pop(name, 5.0) for name in ("connect", "first_byte", "idle")))
        self.upstream = NetworkUpstream(self.timeouts, transport, **options)
        seconds = self.timeouts
        timeout = httpx.Timeout(
            connect=seconds.connect,
            read=read or min(seconds.first_byte, seconds.idle),
            write=seconds.idle,
            pool=seconds.first_byte,
        )
        self.client = httpx.AsyncClient(
            transport=self.upstream.transport, timeout=timeout, trust_env=False, headers={"accept-encoding": "identity"}
        )

    async def aclose(self) -> None:
        await self.client.aclose()
        await self.upstream.aclose()

    async def open(
        self,
        url: str,
        body: bytes | AsyncIterator[bytes] | None = b"{}",
        *,
        method: str = "POST",
        headers: Iterable[tuple[bytes, bytes]] = (),
        length: int | None = None,
        address: str | None = None,
    ) -> Reply:
        """The head of the answer. Raises `Failed`."""
        if self.way == "gateway":
            request = UpstreamRequest(
                method, url, Headers(headers), body, Target("openai", "m"), length=length, address=address
            )
            try:
                response = await self.upstream(request)
            except UpstreamError as problem:
                raise Failed(_fate(problem)) from problem
            made = Reply(response.status, list(response.headers.raw), aiter(response.body), response.close)
            made.buffered = response.buffered
            return made
        fields = list(headers) + ([] if length is None else [(b"content-length", str(length).encode())])
        extensions = {}
        if address is not None:
            there = httpx.URL(url)
            fields.insert(0, (b"host", there.netloc))
            extensions["sni_hostname"] = there.host
            url = str(there.copy_with(host=address))
        try:
            asked = self.client.build_request(method, url, content=body, headers=fields, extensions=extensions)
            answer = await self.client.send(asked, stream=True)
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            raise Failed(_fate(problem)) from problem
        return Reply(answer.status_code, list(answer.headers.raw), answer.aiter_raw(), answer.aclose)

    async def whole(self, url: str, body: bytes | AsyncIterator[bytes] | None = b"{}", **options: Any) -> Answer:
        """The whole answer, or how far it came and how it failed."""
        try:
            reply = await self.open(url, body, **options)
        except Failed as failure:
            return Answer(failed=failure.fate)
        answer = Answer(reply.status, reply.headers)
        try:
            async for piece in reply:
                answer.body += piece
            assert reply.buffered in (None, answer.body), "what is said to be all is all"
        except Failed as failure:
            answer.failed = failure.fate
        finally:
            await reply.close()
        return answer


class Reply:
    """An answer whose body is yet to come."""

    def __init__(self, status: int, headers: Fields, body: AsyncIterator[bytes], close: Any) -> None:
        self.status = status
        self.headers = headers
        self.close = close
        self.buffered: bytes | None = None
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._body:
                yield piece
        except (UpstreamError, httpx.HTTPError) as problem:
            raise Failed(_fate(problem)) from problem


def _fate(problem: Exception) -> Fate:
    if isinstance(problem, (UpstreamConnectError, httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
        return "connect"
    if isinstance(problem, (UpstreamTimeout, httpx.TimeoutException)):
        return "timeout"
    return "protocol"


def everywhere(**shortcomings: str) -> pytest.MarkDecorator:
    """Run the test with every transport, both ways.

    ``shortcomings`` say, by transport (``httpx``) or transport and way (``httpx_plugin``), why that one cannot pass:
    it is then expected to fail, and the day it passes the test says so. A reason that begins with "hangs: " is not
    tried.
    """
    return pytest.mark.parametrize("over", _parameters(shortcomings), indirect=True)


@dataclass(frozen=True)
class Case:
    """One row of a table: what the server says, what is to come of it, who cannot."""

    name: str
    reply: bytes
    expected: Any
    shortcomings: dict[str, str] = field(default_factory=dict)


def cases(table: Iterable[Case]) -> pytest.MarkDecorator:
    """Run the test for every row of ``table`` with every transport, both ways."""
    rows = [
        pytest.param(*parameter.values, case, marks=parameter.marks, id=f"{parameter.id}-{case.name}")
        for case in table
        for parameter in _parameters(case.shortcomings)
    ]
    return pytest.mark.parametrize(("over", "case"), rows, indirect=["over"])


def _parameters(shortcomings: dict[str, str]) -> list[Any]:
    return [
        pytest.param(
            (transport, way),
            id=f"{transport}-{way}",
            marks=[pytest.mark.xfail(strict=True, reason=reason, run=not reason.startswith("hangs: "))]
            if (reason := shortcomings.get(transport) or shortcomings.get(f"{transport}_{way}"))
            else [],
        )
        for transport in TRANSPORTS
        for way in WAYS
    ]

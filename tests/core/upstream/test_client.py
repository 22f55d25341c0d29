"""One call, against real sockets: what goes out, what comes back, where it goes; nothing stays open."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw import (
    BadRequest,
    GatewayError,
    Headers,
    PayloadTooLarge,
)
from helicone_gw.model import UpstreamRequest
from helicone_gw.testing import ScriptedProvider, event, of_bytes, of_events, of_json
from helicone_gw.upstream import client
from helicone_gw.upstream.client import NetworkUpstream, Timeouts
from helicone_gw.upstream.http1.tls import default_context
from helicone_gw.upstream.pool import PooledTransport
from helicone_gw.upstream.transport import Origin
from tests.core.upstream.calling import SECRET, TARGET, call, whole


async def test_a_call_and_its_answer(upstream: NetworkUpstream) -> None:
    provider = ScriptedProvider(of_json({"ok": True}, 201, {"X-Request-Id": "req_1", "Connection": "keep-alive"}))
    async with provider.serve() as base:
        response = await upstream(call(base))
        assert response.status == 201
        assert response.headers.get("x-request-id") == "req_1"
        assert response.headers.get("content-length") == "11"
        assert "connection" not in response.headers
        assert b"".join([piece async for piece in response.body]) == b'{"ok":true}'
        await response.close()
        await response.close()
    seen = provider.requests[0]
    assert seen.target == f"/v1/x?key={SECRET}"
    assert seen.body == b"{}"
    assert seen.headers.get_all("host") == [base.removeprefix("http://")]
    assert seen.headers.get_all("content-length") == ["2"]
    assert "user-agent" not in seen.headers
    assert "accept-encoding" not in seen.headers


async def test_nothing_is_decoded_followed_or_remembered(upstream: NetworkUpstream) -> None:
    packed = of_json({"a": 1}).gzipped()
    moved = of_bytes(b"", "text/plain", 307).with_headers({"Location": "/elsewhere", "Set-Cookie": "a=1"})
    provider = ScriptedProvider(packed, moved, of_json({}))
    async with provider.serve() as base:
        assert await whole(upstream, call(base)) == packed.body
        response = await upstream(call(base))
        assert response.status == 307
        assert response.headers.get("location") == "/elsewhere"
        await response.close()
        await whole(upstream, call(base))
    assert [request.path for request in provider.requests] == ["/v1/x"] * 3
    assert "cookie" not in provider.requests[2].headers


async def test_connections_are_used_again(upstream: NetworkUpstream) -> None:
    provider = ScriptedProvider(default=of_json({}))
    async with provider.serve() as base:
        for _ in range(5):
            await whole(upstream, call(base))
    assert provider.connections == 1


@pytest.mark.parametrize("path", ["/v1/a%2Fb", "/v1/a%20b?x=%41&y=a+b", "/v1//x", "/v1/é".encode().decode("latin-1")])
async def test_the_address_arrives_as_it_was_written(upstream: NetworkUpstream, path: str) -> None:
    provider = ScriptedProvider(default=of_json({}))
    expected = path if path.isascii() else "/v1/%C3%83%C2%A9"
    async with provider.serve() as base:
        await whole(upstream, UpstreamRequest("GET", base + path, Headers(), b"", TARGET))
    assert provider.requests[0].target == expected


# Sending


async def upload(*pieces: bytes, then: Exception | None = None) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
    if then is not None:
        raise then


async def test_an_upload_of_known_length_keeps_it(upstream: NetworkUpstream) -> None:
    provider = ScriptedProvider(default=of_json({}))
    async with provider.serve() as base:
        await whole(upstream, call(base, upload(b"abc", b"def"), length=6))
        await whole(upstream, call(base, upload(b"abc", b"def")))
    known, unknown = provider.requests
    assert known.body == unknown.body == b"abcdef"
    assert known.headers.get_all("content-length") == ["6"]
    assert "transfer-encoding" not in known.headers
    assert unknown.headers.get("transfer-encoding") == "chunked"
    assert "content-length" not in unknown.headers


async def test_what_the_upload_itself_raises_passes_and_the_connection_ends(upstream: NetworkUpstream) -> None:
    provider = ScriptedProvider(default=of_json({}))
    problem = PayloadTooLarge("too much")
    async with provider.serve() as base:
        with pytest.raises(GatewayError) as raised:
            await upstream(call(base, upload(b"abc", then=problem)))
        assert raised.value is problem
        await settled(upstream)


async def test_an_answer_that_comes_before_the_upload_is_read(upstream: NetworkUpstream) -> None:
    provider = ScriptedProvider(of_json({"error": "too large"}, 413).early())
    async with provider.serve() as base:
        response = await upstream(call(base, upload(b"abc"), length=3))
        assert response.status == 413
        await response.close()


# Where it goes


async def test_a_pinned_address_is_where_it_goes_and_the_name_stays(upstream: NetworkUpstream) -> None:
    provider = ScriptedProvider(default=of_json({}))
    async with provider.serve() as base:
        port = base.rpartition(":")[2]
        await whole(upstream, call(f"http://llm.invalid:{port}", address="127.0.0.1"))
    assert provider.requests[0].headers.get_all("host") == [f"llm.invalid:{port}"]


@pytest.mark.parametrize(
    ("url", "address", "shown", "host"),
    [
        ("https://llm.example/v1", "192.0.2.7", "https://192.0.2.7/v1/v1/x", "llm.example"),
        ("https://llm.example:8443", "2001:db8::7", "https://[2001:db8::7]:8443/v1/x", "llm.example:8443"),
        ("https://[2001:db8::7]:8443", "2001:db8::7", "https://[2001:db8::7]:8443/v1/x", "[2001:db8::7]:8443"),
    ],
)
async def test_the_name_stays_in_tls_too(url: str, address: str, shown: str, host: str) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    upstream = NetworkUpstream(Timeouts(1, 1, 1), httpx.MockTransport(answer))
    await upstream(call(url, address=address))
    assert str(seen[0].url).partition("?")[0] == shown
    assert seen[0].headers["host"] == host
    assert seen[0].extensions["sni_hostname"] == host.rpartition(":")[0].strip("[]") or host


async def test_certificates_are_verified() -> None:
    context = default_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


# The gateway's own transport


async def test_an_answer_that_came_as_a_whole_is_handed_on_as_one(upstream: NetworkUpstream) -> None:
    provider = ScriptedProvider(default=of_json({"ok": True}))
    async with provider.serve() as base:
        await whole(upstream, call(base))
        response = await upstream(call(base))
        async with asyncio.timeout(5):
            body = b"".join([piece async for piece in response.body])
        assert response.buffered in (None, body)
        assert body == b'{"ok":true}'
        await response.close()


PLAIN = st.text("abcXYZ019!$&'()*+,;=:@/~-._?%[]{}|^`\"<>\\ é#", max_size=12)


@given(PLAIN, st.sampled_from(["", "?", "/", "/a?b=", "/%41/?%2"]))
def test_paths_and_queries_are_spelled_as_httpx_spells_them(tail: str, start: str) -> None:
    url = f"https://llm.example:8443/v1{start}{tail}"
    try:
        expected = httpx.URL(url).raw_path
    except httpx.InvalidURL:
        with pytest.raises(BadRequest):
            client._read(url, None)
        return
    there = client._read(url, None)
    assert there.target == expected
    assert there.origin == Origin("https", "llm.example", 8443)
    assert there.host == (b"host", b"llm.example:8443")


@pytest.mark.parametrize(
    ("url", "host", "port", "named"),
    [
        ("http://llm.example", "llm.example", 80, b"llm.example"),
        ("https://llm.example?a=b", "llm.example", 443, b"llm.example"),
        ("https://[2001:db8::7]:8443/v1", "2001:db8::7", 8443, b"[2001:db8::7]:8443"),
        ("https://[2001:db8::7]/a b", "2001:db8::7", 443, b"[2001:db8::7]"),
    ],
)
def test_where_a_url_goes(url: str, host: str, port: int, named: bytes) -> None:
    there = client._read(url, "192.0.2.1")
    assert there.origin == Origin(url.partition(":")[0], host, port, "192.0.2.1")
    assert there.host == (b"host", named)
    assert there.target == httpx.URL(url).raw_path


@pytest.mark.parametrize("transport", ["fast", "aiohttp", "httpx"])
async def test_every_transport_takes_calls_of_the_gateway_and_of_plugins(transport: Any) -> None:
    made = NetworkUpstream(Timeouts(5, 5, 5), transport)
    async with ScriptedProvider(default=of_json({"a": 1})).serve() as base:
        assert await whole(made, call(base)) == b'{"a":1}'
        async with httpx.AsyncClient(transport=made.transport, trust_env=False) as http:
            assert (await http.get(base)).json() == {"a": 1}
    await made.aclose()
    assert (made.counters is not None) == (transport == "fast")


async def test_proxies_are_for_httpx(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = ScriptedProvider(default=of_json({"proxied": True}))
    async with provider.serve() as base:
        made = NetworkUpstream(Timeouts(5, 5, 5), proxy=base)
        assert await whole(made, call("http://llm.example")) == b'{"proxied":true}'
        async with httpx.AsyncClient(transport=made.transport, trust_env=False) as http:
            assert (await http.get("http://llm.example/")).json() == {"proxied": True}
        assert made.counters is not None
        assert made.counters.opened == 0
        await made.aclose()
    assert provider.requests[0].headers.get_all("host") == ["llm.example"]


@pytest.mark.parametrize("http2", [False, True])
async def test_a_tls_context_that_offers_http2_is_shared_with_nobody(http2: bool) -> None:
    # httpcore writes into the context what it offers.
    made = NetworkUpstream(Timeouts(1, 1, 1), "httpx", http2=http2)
    straight = made._straight
    assert isinstance(straight, PooledTransport)
    assert (straight._pool._ssl_context is client._tls()) is not http2
    await made.aclose()


# Leaving


async def settled(upstream: NetworkUpstream) -> None:
    """Wait until no connection is in use."""
    counters = upstream.counters
    assert counters is not None
    async with asyncio.timeout(5):
        while counters.active:
            await asyncio.sleep(0.005)
    assert not counters.waiting


async def test_closing_early_ends_the_connection(upstream: NetworkUpstream) -> None:
    provider = ScriptedProvider(of_events(*[event({"n": n}) for n in range(100)]).paced(0.05))
    async with provider.serve() as base:
        response = await upstream(call(base))
        assert await anext(response.body) == event({"n": 0})
        await response.close()
        await response.close()
        async with asyncio.timeout(5):
            await provider.requests[0].closed_by_client.wait()
        await settled(upstream)


async def test_nothing_stays_open_after_cancellations_at_any_moment(upstream: NetworkUpstream) -> None:
    choice = random.Random(7)
    provider = ScriptedProvider(default=of_events(*[event({"n": n}) for n in range(5)]).delayed(0.004).paced(0.003))
    async with provider.serve() as base:

        async def one() -> None:
            body = upload(b"x" * 1000, b"y" * 1000) if choice.random() < 0.5 else b"{}"
            await whole(upstream, call(base, body))

        for _ in range(15):
            tasks = [asyncio.ensure_future(one()) for _ in range(6)]
            for task in tasks:
                await asyncio.sleep(choice.random() * 0.006)
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await settled(upstream)
        assert await whole(upstream, call(base)) == b"".join(event({"n": n}) for n in range(5))

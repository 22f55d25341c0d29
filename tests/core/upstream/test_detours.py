"""Calls that cannot go straight: over a unix socket, a proxy, HTTP/2; each with a server that is one."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import trustme
from hypercorn.asyncio import serve
from hypercorn.config import Config

from helicone_gw import Headers, Target, UpstreamError
from helicone_gw.config import GatewayConfig, ProviderConfig, Transport, UpstreamConfig
from helicone_gw.errors import ConfigError
from helicone_gw.gateway import Gateway
from helicone_gw.model import UpstreamRequest
from helicone_gw.upstream.client import NetworkUpstream, Timeouts
from helicone_gw.upstream.detours import Detours
from tests.core.upstream.conformance.peer import OK, each, listening
from tests.core.upstream.proxies import PASSWORD, USER, http_proxy, socks_proxy

TRANSPORTS: tuple[Transport, ...] = ("fast", "aiohttp", "httpx")
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
Make = Callable[..., NetworkUpstream]


@pytest.fixture(autouse=True)
def _no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(params=TRANSPORTS)
async def make(request: pytest.FixtureRequest, trusting: ssl.SSLContext) -> AsyncIterator[Make]:
    """Make an upstream over the transport that the test is run with."""
    made: list[NetworkUpstream] = []

    def make(**options: Any) -> NetworkUpstream:
        made.append(NetworkUpstream(Timeouts(5, 5, 5), request.param, tls=trusting, **options))
        return made[-1]

    yield make
    for upstream in made:
        await upstream.aclose()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def serving(authority: trustme.CA) -> ssl.SSLContext:
    """A server's side of TLS, as llm.example and as 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("llm.example", "127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def ask(upstream: NetworkUpstream, url: str, address: str | None = None) -> bytes:
    request = UpstreamRequest("POST", url, Headers(), b"{}", Target("openai", "m"), address=address)
    response = await upstream(request)
    try:
        return b"".join([piece async for piece in response.body])
    finally:
        await response.close()


async def ask_as_plugin(upstream: NetworkUpstream, url: str) -> bytes:
    client = httpx.AsyncClient(transport=upstream.transport, trust_env=False)
    return (await client.post(url, content=b"{}")).content


# Unix sockets


@pytest.fixture
async def unix_socket(tmp_path: Path) -> AsyncIterator[tuple[str, list[bytes]]]:
    """The base URL of a server on a unix socket, in a folder with a name that needs encoding, and what it was asked."""
    path = tmp_path / "Of Things" / "llm.sock"
    path.parent.mkdir()
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                asked.append(head + await reader.readexactly(2))
                writer.write(OK)
        except EOFError:
            writer.close()

    server = await asyncio.start_unix_server(answer, path)
    yield f"http+unix://{quote(str(path), safe='')}", asked
    server.close()


async def test_a_unix_socket(make: Make, unix_socket: tuple[str, list[bytes]]) -> None:
    base, asked = unix_socket
    upstream = make()
    assert await ask(upstream, f"{base}/v1/chat/completions?a=b") == b"ok"
    assert await ask(upstream, base) == b"ok"
    assert [request.split(b"\r\n")[0] for request in asked] == [
        b"POST /v1/chat/completions?a=b HTTP/1.1",
        b"POST / HTTP/1.1",
    ]
    assert all(b"\r\nhost: localhost\r\n" in request.lower() for request in asked)


async def test_a_unix_socket_is_not_asked_for_through_a_proxy(
    make: Make, unix_socket: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert await ask(make(), f"{unix_socket[0]}/v1") == b"ok"


async def test_a_plugin_s_client_has_no_unix_sockets(make: Make, unix_socket: tuple[str, list[bytes]]) -> None:
    # httpx takes the path for a host, and hosts have no case.
    with pytest.raises(httpx.UnsupportedProtocol):
        await ask_as_plugin(make(), f"{unix_socket[0]}/v1")


async def test_a_unix_socket_where_nobody_listens(make: Make, tmp_path: Path) -> None:
    url = f"http+unix://{quote(str(tmp_path / 'none'), safe='')}/v1"
    with pytest.raises(UpstreamError, match="No such file") as raised:
        await ask(make(), url)
    assert str(tmp_path) not in str(raised.value)


async def test_a_gateway_whose_provider_is_on_a_unix_socket(unix_socket: tuple[str, list[bytes]]) -> None:
    base, asked = unix_socket
    provider = ProviderConfig(base_url=f"{base}/v1", dialect="openai")
    gateway = Gateway(GatewayConfig(providers={"local": provider}))
    found = gateway.catalogue.get("local")
    assert found is not None
    request = UpstreamRequest("POST", f"{found.base_url}/x", Headers(), b"{}", Target("local", "m"))
    response = await gateway.call(request)
    assert b"".join([piece async for piece in response.body]) == b"ok"
    await response.close()
    await gateway.stop()
    assert asked[0].startswith(b"POST /v1/x ")


# Proxies


async def test_a_proxy_forwards_http(make: Make) -> None:
    async with listening(each(OK)) as peer, http_proxy({"llm.example": "127.0.0.1"}, guarded=True) as proxy:
        upstream = make(proxy=f"http://{USER}:{PASSWORD}@127.0.0.1:{proxy.port}")
        url = f"http://llm.example:{peer.port}/v1?a=b"
        assert await ask(upstream, url) == b"ok"
        assert await ask_as_plugin(upstream, url) == b"ok"
    assert proxy.asked[0] == f"POST {url}"


async def test_a_proxy_connects_for_https(make: Make, serving: ssl.SSLContext) -> None:
    async with (
        listening(each(OK), tls=serving) as peer,
        http_proxy({"llm.example": "127.0.0.1"}, guarded=True) as proxy,
    ):
        upstream = make(proxy=f"http://{USER}:{PASSWORD}@127.0.0.1:{proxy.port}")
        assert await ask(upstream, f"https://llm.example:{peer.port}/v1") == b"ok"
        assert await ask_as_plugin(upstream, f"https://llm.example:{peer.port}/v1") == b"ok"
    assert proxy.asked == [f"CONNECT llm.example:{peer.port}"]
    assert all(b"proxy-authorization" not in request.lower() for request in peer.requests)


async def test_a_pinned_address_through_a_proxy(make: Make, serving: ssl.SSLContext) -> None:
    async with (
        listening(each(OK)) as plain,
        listening(each(OK), tls=serving) as secured,
        http_proxy({"llm.example": "127.0.0.1"}) as proxy,
    ):
        upstream = make(proxy=f"http://127.0.0.1:{proxy.port}")
        assert await ask(upstream, f"http://llm.example:{plain.port}/", "127.0.0.1") == b"ok"
        assert await ask(upstream, f"https://llm.example:{secured.port}/", "127.0.0.1") == b"ok"
    # In the open the address is what counts; under TLS the certificate, and with it the name.
    assert proxy.asked == [f"POST http://127.0.0.1:{plain.port}/", f"CONNECT llm.example:{secured.port}"]
    assert f"host: llm.example:{plain.port}".encode() in plain.requests[0].lower()


async def test_a_proxy_that_refuses(make: Make, serving: ssl.SSLContext) -> None:
    async with listening(each(OK), tls=serving) as peer, http_proxy(guarded=True) as proxy:
        with pytest.raises(UpstreamError) as raised:
            await ask(make(proxy=f"http://{USER}:wrong@127.0.0.1:{proxy.port}"), f"{peer.url}/v1")
    assert "wrong" not in str(raised.value)
    assert not peer.requests


@pytest.mark.parametrize("guarded", [False, True])
@pytest.mark.parametrize("secured", [False, True])
async def test_socks(make: Make, serving: ssl.SSLContext, guarded: bool, secured: bool) -> None:
    hosts = {"llm.example": "127.0.0.1"}
    async with (
        listening(each(OK), tls=serving if secured else None) as peer,
        socks_proxy(hosts, guarded=guarded) as proxy,
    ):
        credentials = f"{USER}:{PASSWORD}@" if guarded else ""
        upstream = make(proxy=f"socks5h://{credentials}127.0.0.1:{proxy.port}")
        url = peer.url.replace("127.0.0.1", "llm.example")
        assert await ask(upstream, f"{url}/v1") == b"ok"
        assert await ask_as_plugin(upstream, f"{url}/v1") == b"ok"
        assert await ask(upstream, f"{url}/v1", "127.0.0.1") == b"ok"
    assert proxy.asked == [f"llm.example:{peer.port}", f"127.0.0.1:{peer.port}"], "the address, where one is pinned"


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("scheme", ["", "http://"])
async def test_the_environment_s_proxy(make: Make, monkeypatch: pytest.MonkeyPatch, name: str, scheme: str) -> None:
    async with listening(each(OK)) as peer, http_proxy({"llm.example": "127.0.0.1"}) as proxy:
        monkeypatch.setenv(name, f"{scheme}127.0.0.1:{proxy.port}")
        upstream = make()
        assert await ask(upstream, f"http://llm.example:{peer.port}/v1") == b"ok"
        assert len(proxy.asked) == 1


@pytest.mark.parametrize("exceptions", ["127.0.0.1", "*", "x.example,127.0.0.1:{port}", " 127.0.0.1 , y"])
async def test_no_proxy(make: Make, monkeypatch: pytest.MonkeyPatch, exceptions: str) -> None:
    async with listening(each(OK)) as peer, http_proxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", exceptions.replace("{port}", str(peer.port)))
        assert await ask(make(), f"{peer.url}/v1") == b"ok"
        assert not proxy.asked


async def test_the_configured_proxy_goes_before_the_environment(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(each(OK)) as peer, http_proxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("NO_PROXY", "*")
        assert await ask(make(proxy=f"http://127.0.0.1:{proxy.port}"), f"{peer.url}/v1") == b"ok"
        assert len(proxy.asked) == 1


def test_a_proxy_of_the_environment_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "ftp://user:sk-secret@proxy")
    with pytest.raises(ConfigError, match="the proxy of the environment: should be the URL of a proxy") as raised:
        Gateway(GatewayConfig())
    assert "sk-secret" not in str(raised.value)


# HTTP/2


@asynccontextmanager
async def speaking_http2(authority: trustme.CA, folder: Path, *, http2: bool = True) -> AsyncIterator[str]:
    """A server that answers with the version that it was asked in."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["http_version"].encode()})

    certificate = authority.issue_cert("127.0.0.1")
    for name, blobs in {"key": [certificate.private_key_pem], "chain": certificate.cert_chain_pems}.items():
        (folder / name).write_bytes(b"".join(blob.bytes() for blob in blobs))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        config = Config()
        config.bind = [f"fd://{listener.fileno()}"]
        config.certfile, config.keyfile = str(folder / "chain"), str(folder / "key")
        config.alpn_protocols = ["h2", "http/1.1"] if http2 else ["http/1.1"]
        config.loglevel = "ERROR"
        stop = asyncio.Event()
        serving = asyncio.ensure_future(serve(app, config, shutdown_trigger=stop.wait))
        try:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stop.set()
            await serving
            listener.detach()


async def test_http2_where_both_want_it(make: Make, authority: trustme.CA, tmp_path: Path) -> None:
    async with speaking_http2(authority, tmp_path) as url:
        upstream = make(http2=True)
        assert await ask(upstream, f"{url}/v1") == b"2"
        assert await ask_as_plugin(upstream, f"{url}/v1") == b"2"
        assert await asyncio.gather(*(ask(upstream, f"{url}/v1") for _ in range(20))) == [b"2"] * 20
        await upstream.aclose()


async def test_http2_is_not_offered_unasked(make: Make, authority: trustme.CA, tmp_path: Path) -> None:
    async with speaking_http2(authority, tmp_path) as url:
        upstream = make()
        assert await ask(upstream, f"{url}/v1") == b"1.1"
        await upstream.aclose()


async def test_http2_is_no_must(make: Make, authority: trustme.CA, tmp_path: Path) -> None:
    async with speaking_http2(authority, tmp_path, http2=False) as url:
        upstream = make(http2=True)
        assert await ask(upstream, f"{url}/v1") == b"1.1"
        await upstream.aclose()
    async with listening(each(OK)) as peer:
        assert await ask(make(http2=True), f"{peer.url}/v1") == b"ok"


# What is missing


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Make a package missing: ``without("aiohttp")``."""

    def without(name: str) -> None:
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, "helicone_gw.upstream.aiohttp_transport", raising=False)
        monkeypatch.setattr("helicone_gw.upstream.detours.find_spec", lambda asked: None if asked == name else object())

    return without


def test_aiohttp_that_is_not_installed(without: Callable[[str], None]) -> None:
    without("aiohttp")
    with pytest.raises(ConfigError, match=r"upstream\.transport: aiohttp needs .*pip install 'helicone-gw\[aiohttp\]'"):
        Gateway(GatewayConfig(upstream=UpstreamConfig(transport="aiohttp")))


def test_socks_that_is_not_installed(without: Callable[[str], None]) -> None:
    without("socksio")
    with pytest.raises(ConfigError, match=r"upstream\.proxy: SOCKS needs .*pip install 'helicone-gw\[socks\]'"):
        Gateway(GatewayConfig(upstream=UpstreamConfig(proxy="socks5://127.0.0.1:1")))


# Finding the way


def test_where_nothing_is_configured_everything_goes_straight() -> None:
    detours = Detours(verify=ssl.create_default_context, limits=httpx.Limits())
    assert detours("https://llm.example/v1") is None
    assert detours("http://llm.example/v1") is None


async def test_one_transport_serves_all_that_go_the_same_way() -> None:
    detours = Detours(verify=ssl.create_default_context, limits=httpx.Limits(), proxy="http://127.0.0.1:1", http2=True)
    ways = [detours(url) for url in ("http://a/", "https://a/x", "https://b/?y")]
    assert len({id(way.transport) for way in ways if way}) == 1
    assert [way.resolves for way in ways if way] == [False, True, True]
    sockets = [detours(f"http+unix://%2F{name}/v1") for name in ("a", "a", "b")]
    assert len({id(way.transport) for way in sockets if way}) == 2
    await detours.aclose()

"""The engine hypercorn: its configuration, and HTTP/3."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import httpx
import pytest
from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import QuicEvent

from helicone_gw import ConfigError
from helicone_gw.config import ServerConfig
from helicone_gw.engines import hypercorn as engine
from tests.core.engines.certificates import make_certificate, tls, trust
from tests.core.engines.http1.test_worker import App, running


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"certificate": "missing.pem"}, "cannot be read"),
        ({"key": "certificate.pem"}, "belong together"),
        ({"key": "locked.pem"}, "belong together"),
        ({"key": "locked.pem", "key_password": "guess"}, "belong together"),
    ],
)
async def test_a_certificate_that_is_of_no_use(certificate: Path, wrong: dict[str, str], said: str) -> None:
    files = {name: str(certificate / file) if file.endswith(".pem") else file for name, file in wrong.items()}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = ServerConfig(tls={**tls(certificate), **files})  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=said) as refused:
            await engine.serve(App(), settings, listener, asyncio.Event())
    assert "guess" not in str(refused.value)


async def test_http_3_without_its_package(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'helicone-gw\[h3\]'"):
        engine.hypercorn_config(ServerConfig(tls=tls(certificate), http3=True))  # type: ignore[arg-type]


class Http3Client(QuicConnectionProtocol):
    """One GET over HTTP/3."""

    def get(self, authority: str) -> None:
        self.http = H3Connection(self._quic)
        self.body = b""
        self.status = b""
        self.ended = asyncio.Event()
        stream = self._quic.get_next_available_stream_id()
        head = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", authority.encode()), (b":path", b"/")]
        self.http.send_headers(stream, head, end_stream=True)
        self.transmit()

    def quic_event_received(self, event: QuicEvent) -> None:
        if hasattr(self, "http"):
            for heard in self.http.handle_event(event):
                if isinstance(heard, HeadersReceived):
                    self.status = dict(heard.headers)[b":status"]
                elif isinstance(heard, DataReceived):
                    self.body += heard.data
                    if heard.stream_ended:
                        self.ended.set()


async def test_http_3(certificate: Path) -> None:
    async with running(tls=tls(certificate), http3=True, drain=1) as server:
        async with httpx.AsyncClient(verify=trust(certificate), trust_env=False) as client:
            answer = await client.get(f"https://127.0.0.1:{server.port}/")
            assert answer.headers["alt-svc"].startswith(f'h3=":{server.port}"')
        trusted = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN)
        trusted.load_verify_locations(str(certificate / "certificate.pem"))
        async with connect("127.0.0.1", server.port, configuration=trusted, create_protocol=Http3Client) as asking:
            assert isinstance(asking, Http3Client)
            asking.get("127.0.0.1")
            async with asyncio.timeout(10):
                await asking.ended.wait()
            assert (asking.status, asking.body) == (b"200", b"https 3 GET ")

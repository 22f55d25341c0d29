"""TLS: nobody is trusted without a certificate for the very name, and a cut is not an end."""

from __future__ import annotations

import datetime
import ssl
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from helicone_gw.upstream import client as upstream_client
from tests.core.upstream.conformance.clients import Case, Client, cases, everywhere
from tests.core.upstream.conformance.peer import OK, Connection, each, listening

CLOSE_NOTIFY = "its TLS takes a connection that ends without close_notify for one that ends with it"


@dataclass(frozen=True)
class Certificates:
    """What the servers of these tests show."""

    trusted: trustme.CA
    unknown: trustme.CA
    bundle: Path

    def server(self, *names: str, ca: trustme.CA | None = None, **validity: datetime.datetime) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (ca or self.trusted).issue_cert(*names, **validity).configure_cert(context)
        return context


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A CA that is trusted here, and one that is not."""
    trusted, unknown = trustme.CA(), trustme.CA()
    bundle = tmp_path_factory.mktemp("tls") / "ca.pem"
    trusted.cert_pem.write_to_path(str(bundle))
    return Certificates(trusted, unknown, bundle)


@pytest.fixture(autouse=True)
def _trust(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Trust in the CA of these tests: OpenSSL's variable for the system's store."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.bundle))
    monkeypatch.setenv("SSL_CERT_DIR", str(certificates.bundle.parent / "none"))
    upstream_client._tls.cache_clear()
    yield
    upstream_client._tls.cache_clear()


@everywhere()
async def test_who_shows_a_certificate_for_the_name_is_asked(client: Client, certificates: Certificates) -> None:
    async with listening(each(OK), tls=certificates.server("127.0.0.1")) as peer:
        assert [(await client.whole(peer.url)).body for _ in range(3)] == [b"ok"] * 3
        assert len(peer.connections) == 1


@everywhere(httpx="httpcore's pool knows addresses, not the names that were verified there")
async def test_the_name_is_verified_where_the_address_is_pinned(client: Client, certificates: Certificates) -> None:
    async with listening(each(OK), tls=certificates.server("llm.example")) as peer:
        answer = await client.whole(f"https://llm.example:{peer.port}/", address="127.0.0.1")
        assert answer.body == b"ok"
        assert (await client.whole(f"https://other.example:{peer.port}/", address="127.0.0.1")).failed == "connect"
        assert (await client.whole(peer.url)).failed == "connect"
    assert len(peer.requests) == 1


@everywhere(httpx="httpcore's pool knows addresses, not the names that were verified there")
async def test_a_connection_is_used_again_for_the_name_it_was_verified_for_only(
    client: Client, certificates: Certificates
) -> None:
    async with listening(each(OK), tls=certificates.server("a.example", "b.example")) as peer:
        for name in ("a", "b", "a", "b"):
            assert (await client.whole(f"https://{name}.example:{peer.port}/", address="127.0.0.1")).body == b"ok"
        assert len(peer.connections) == 2
        assert (await client.whole(f"https://c.example:{peer.port}/", address="127.0.0.1")).failed == "connect"


def _untrusted(certificates: Certificates) -> dict[str, ssl.SSLContext]:
    now = datetime.datetime.now(datetime.UTC)
    hour = datetime.timedelta(hours=1)
    alone = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificates.unknown.issue_cert("127.0.0.1").configure_cert(alone)
    return {
        "expired": certificates.server("127.0.0.1", not_before=now - 2 * hour, not_after=now - hour),
        "not yet valid": certificates.server("127.0.0.1", not_before=now + hour, not_after=now + 2 * hour),
        "another name": certificates.server("llm.example"),
        "another address": certificates.server("127.0.0.2"),
        "unknown CA": certificates.server("127.0.0.1", ca=certificates.unknown),
        "self-signed": _self_signed(),
        "old TLS": _old(certificates.server("127.0.0.1")),
    }


def _self_signed() -> ssl.SSLContext:
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with ca.private_key_pem.tempfile() as key, ca.cert_pem.tempfile() as certificate:
        context.load_cert_chain(certificate, key)
    return context


def _old(context: ssl.SSLContext) -> ssl.SSLContext:
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


@everywhere()
@pytest.mark.parametrize(
    "kind", ["expired", "not yet valid", "another name", "another address", "unknown CA", "self-signed", "old TLS"]
)
async def test_who_cannot_be_trusted_is_told_nothing(client: Client, certificates: Certificates, kind: str) -> None:
    async with listening(each(OK), tls=_untrusted(certificates)[kind]) as peer:
        assert (await client.whole(peer.url)).failed == "connect"
        assert not peer.requests


@everywhere()
@pytest.mark.parametrize(
    "greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n", b"\x15\x03\x01\x00\x02\x02\x28", b""]
)
async def test_who_speaks_no_tls(client: Client, greeting: bytes) -> None:
    async def script(connection: Connection) -> None:
        await connection.reader.read(1)
        await connection.send(greeting)

    async with listening(script) as peer:
        assert (await client.whole(peer.url.replace("http://", "https://"))).failed == "connect"


@everywhere()
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_handshake_that_is_cut(client: Client, how: str) -> None:
    async def script(connection: Connection) -> None:
        await connection.reader.read(100)
        if how == "reset":
            connection.reset()

    async with listening(script) as peer:
        assert (await client.whole(peer.url.replace("http://", "https://"))).failed == "connect"


@everywhere()
async def test_a_plain_request_to_a_tls_port(client: Client, certificates: Certificates) -> None:
    async with listening(each(OK), tls=certificates.server("127.0.0.1")) as peer:
        assert (await client.whole(peer.url.replace("https://", "http://"))).failed == "protocol"


BEGINNINGS = {
    "before the reply": b"",
    "in the head": b"HTTP/1.1 200 OK\r\nConte",
    "in a body of known length": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
    "in a chunked body": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
}


@everywhere()
@pytest.mark.parametrize("how", ["close", "cut", "reset"])
@pytest.mark.parametrize("where", BEGINNINGS)
async def test_a_reply_that_is_cut(client: Client, certificates: Certificates, where: str, how: str) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(BEGINNINGS[where])
        _end(connection, how)

    async with listening(script, tls=certificates.server("127.0.0.1")) as peer:
        answer = await client.whole(peer.url)
        assert answer.failed == "protocol"
        assert b"abc".startswith(answer.body)


@cases(
    [
        Case("cut", b"", "protocol", {"aiohttp": CLOSE_NOTIFY, "httpx": CLOSE_NOTIFY}),
        Case("reset", b"", "protocol", {"aiohttp": "aiohttp takes a reset for an end"}),
    ]
)
async def test_a_reply_that_ends_with_its_connection_ends_with_close_notify(
    client: Client, certificates: Certificates, case: Case
) -> None:
    # Without it, whoever can drop packets could shorten an answer (RFC 8446 section 6.1, RFC 9112 section 9.8).
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\n\r\nabc")
        _end(connection, case.name)

    async with listening(script, tls=certificates.server("127.0.0.1")) as peer:
        assert (await client.whole(peer.url)).failed == case.expected


@everywhere()
async def test_a_reply_that_ends_with_its_connection(client: Client, certificates: Certificates) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\n\r\nabc")

    async with listening(script, tls=certificates.server("127.0.0.1")) as peer:
        answer = await client.whole(peer.url)
        assert (answer.failed, answer.body) == (None, b"abc")


def _end(connection: Connection, how: str) -> None:
    if how == "reset":
        connection.reset()
    elif how == "cut":
        # FIN without close_notify.
        connection.writer.transport.abort()


@everywhere()
async def test_big_bodies_both_ways(client: Client, certificates: Certificates) -> None:
    body = bytes(range(256)) * 4096 * 2

    async def script(connection: Connection) -> None:
        while True:
            request = await connection.request()
            assert request.endswith(body)
            await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body)

    async with listening(script, tls=certificates.server("127.0.0.1")) as peer:
        for _ in range(2):
            assert (await client.whole(peer.url, body)).body == body
        assert len(peer.connections) == 1


@everywhere()
async def test_a_connection_closed_while_idle_is_not_used(client: Client, certificates: Certificates) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(OK)

    async with listening(script, tls=certificates.server("127.0.0.1")) as peer:
        assert [(await client.whole(peer.url)).body for _ in range(3)] == [b"ok"] * 3


@everywhere()
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_versions(client: Client, certificates: Certificates, version: ssl.TLSVersion) -> None:
    context = certificates.server("127.0.0.1")
    context.minimum_version = context.maximum_version = version
    async with listening(each(OK), tls=context) as peer:
        assert (await client.whole(peer.url)).body == b"ok"

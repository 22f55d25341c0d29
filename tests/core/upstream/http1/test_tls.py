"""TLS: who is believed, what is asked for, and sessions that are taken up again."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import certifi
import httpx
import pytest
import trustme

from helicone_gw.upstream.http1 import tls
from helicone_gw.upstream.http1.tls import MAX_SESSIONS, Sessions, default_context
from tests.core.upstream.http1.serving import OK, Served, answering, asking, serving, transport, whole

NAME = "llm.example"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def serves(authority: trustme.CA, name: str = NAME, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = newest
    context.set_alpn_protocols(["h2", "http/1.1"])
    authority.issue_cert(name).configure_cert(context)
    return context


def trusts(authority: trustme.CA) -> ssl.SSLContext:
    context = default_context()
    authority.configure_trust(context)
    return context


async def test_a_request_over_tls(authority: trustme.CA) -> None:
    seen: list[tuple[str | None, str | None]] = []
    context = serves(authority)

    def named(sock: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        seen.append((name, None))

    context.sni_callback = named  # type: ignore[assignment]

    async def script(served: Served) -> None:
        await served.request()
        seen.append((None, served.writer.get_extra_info("ssl_object").selected_alpn_protocol()))
        await served.say(OK)
        await served.request()
        await served.say(OK)

    async with serving(script, tls=context) as server, transport(tls=trusts(authority)) as made:
        # The address is pinned: what is asked for and verified is the name all the same.
        origin = server.origin._replace(host=NAME, address="127.0.0.1")
        assert await whole(made, asking(origin)) == b"ok"
        assert await whole(made, asking(origin)) == b"ok"
        assert made.counters.opened == 1
    assert seen == [(NAME, None), (None, "http/1.1")]


@pytest.mark.parametrize("case", ["another name", "another authority", "the system's authorities"])
async def test_who_is_not_believed(authority: trustme.CA, case: str) -> None:
    name = "other.example" if case == "another name" else NAME
    context = {
        "another name": trusts(authority),
        "another authority": trusts(trustme.CA()),
        "the system's authorities": None,
    }[case]
    async with serving(answering(OK), tls=serves(authority, name)) as server, transport(tls=context) as made:
        with pytest.raises(httpx.ConnectError) as raised:
            await made.send(asking(server.origin._replace(host=NAME, address="127.0.0.1")))
        assert isinstance(raised.value.__cause__, ssl.SSLCertVerificationError)
        assert made.counters.open == 0


async def test_addresses_are_verified_too(authority: trustme.CA) -> None:
    async with transport(tls=trusts(authority)) as made:
        async with serving(answering(OK), tls=serves(authority, "127.0.0.1")) as server:
            assert await whole(made, asking(server)) == b"ok"
        async with serving(answering(OK), tls=serves(authority, "127.0.0.2")) as server:
            with pytest.raises(httpx.ConnectError):
                await made.send(asking(server))


async def test_the_name_to_verify_may_be_given(authority: trustme.CA) -> None:
    async with serving(answering(OK), tls=serves(authority)) as server, transport(tls=trusts(authority)) as made:
        assert await whole(made, asking(server.origin._replace(server_name=NAME))) == b"ok"


async def test_a_handshake_that_goes_nowhere_takes_so_long_and_no_longer(authority: trustme.CA) -> None:
    async def silent(served: Served) -> None:
        await served.gone()

    async with serving(silent) as server, transport(connect=0.1, tls=trusts(authority)) as made:
        with pytest.raises(httpx.ConnectTimeout):
            await made.send(asking(server.origin._replace(scheme="https")))
        assert made.counters.open == 0


async def test_a_large_reply_and_a_large_request(authority: trustme.CA) -> None:
    size = 3_000_000

    async def script(served: Served) -> None:
        await served.request()
        await served.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
        await served.gone()

    context = serves(authority, "127.0.0.1")
    async with serving(script, tls=context) as server, transport(tls=trusts(authority)) as made:
        reply = await made.send(asking(server, b"y" * size))
        await asyncio.sleep(0.01)
        assert sum([len(piece) async for piece in reply]) == size


# The end of it


@pytest.mark.parametrize("how", ["close_notify", "cut"])
async def test_a_reply_that_ends_with_its_connection_must_be_told_its_end(authority: trustme.CA, how: str) -> None:
    async def script(served: Served) -> None:
        await served.request()
        await served.say(b"HTTP/1.1 200 OK\r\n\r\nabc")
        if how == "cut":
            served.writer.transport.abort()

    context = serves(authority, "127.0.0.1")
    async with serving(script, tls=context) as server, transport(tls=trusts(authority)) as made:
        if how == "close_notify":
            assert await whole(made, asking(server)) == b"abc"
        else:
            with pytest.raises(httpx.TransportError):
                await whole(made, asking(server))


# Sessions


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_the_next_connection_takes_the_session_up_again(authority: trustme.CA, newest: ssl.TLSVersion) -> None:
    resumed: list[bool] = []

    async def script(served: Served) -> None:
        resumed.append(served.writer.get_extra_info("ssl_object").session_reused)
        await served.request()
        await served.say(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    context = serves(authority, newest=newest)
    async with serving(script, tls=context) as server, transport(tls=trusts(authority)) as made:
        origin = server.origin._replace(host=NAME, address="127.0.0.1")
        for _ in range(4):
            assert await whole(made, asking(origin)) == b"ok"
        assert made.counters.opened == 4
        assert made.tls_resumed == 3
    assert resumed == [False, True, True, True]


async def test_a_session_is_offered_to_its_own_name_only(authority: trustme.CA) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(NAME, "other.example").configure_cert(context)
    closing = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    async with serving(answering(closing), tls=context) as server, transport(tls=trusts(authority)) as made:
        for name in (NAME, "other.example"):
            await whole(made, asking(server.origin._replace(host=name, address="127.0.0.1")))
        assert made.tls_resumed == 0


async def test_a_server_that_has_forgotten_a_session_begins_another(authority: trustme.CA) -> None:
    closing = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    async with transport(tls=trusts(authority)) as made:
        for _ in range(2):
            async with serving(answering(closing), tls=serves(authority)) as server:
                origin = server.origin._replace(host=NAME, address="127.0.0.1")
                assert await whole(made, asking(origin)) == b"ok"
        assert made.tls_resumed == 0


class Past:
    """A session of long ago."""

    time = 0
    timeout = 300


def test_sessions_run_out_and_are_bounded() -> None:
    sessions = Sessions(default_context())
    for n in range(MAX_SESSIONS + 5):
        sessions.keep(str(n), Past())  # type: ignore[arg-type]
    assert len(sessions) == MAX_SESSIONS
    assert sessions.get(str(MAX_SESSIONS)) is None
    assert len(sessions) == MAX_SESSIONS - 1


# Whose certificates


def test_certificates_and_names_are_verified() -> None:
    context = default_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("where", ["nowhere", "in a file", "in a directory"])
def test_without_a_system_store_certifis_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str, authority: trustme.CA
) -> None:
    bundle, directory = tmp_path / "ca.pem", tmp_path / "certs"
    directory.mkdir()
    bundle.write_bytes(authority.cert_pem.bytes() if where == "in a file" else b"")
    if where == "in a directory":
        (directory / "0123abcd.0").write_bytes(authority.cert_pem.bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.setenv("SSL_CERT_DIR", str(directory))
    loaded: list[str] = []
    real = ssl.SSLContext.load_verify_locations

    def noting(self: ssl.SSLContext, cafile: str | None = None, *rest: object, **named: object) -> None:
        loaded.append(str(cafile))
        real(self, cafile, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", noting)
    tls.default_context()
    assert loaded == ([certifi.where()] if where == "nowhere" else [])

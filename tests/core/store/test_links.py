"""Ways to a Redis: TLS, sockets, users, databases, sentinels; and servers that answer but cannot serve."""

from __future__ import annotations

import asyncio
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Connection, SSLConnection
from structlog.testing import capture_logs

from helicone_gw import ConfigError, StoreUnavailable
from helicone_gw.clock import SystemClock
from helicone_gw.store import open_store, parse_address
from helicone_gw.store.links import PooledLink
from helicone_gw.store.opening import open_link
from helicone_gw.store.pool import Pool
from tests.core.engines.certificates import make_certificate
from tests.core.store.helpers import ADD, PATIENT, Start, opened, until_it_answers, works
from tests.fixtures.redis_server import RedisServer
from tests.program import free_port


async def test_tls(start: Start, tmp_path: Path) -> None:
    own = make_certificate(tmp_path)
    server = start(
        tls_port="0",
        tls_cert_file=str(own / "certificate.pem"),
        tls_key_file=str(own / "key.pem"),
        tls_auth_clients="no",
    )
    server.ask("CONFIG", "SET", "tls-port", str(port := free_port()))
    url = f"rediss://127.0.0.1:{port}"
    async with opened(url, ca_file=str(own / "certificate.pem")) as store:
        await works(store)
    async with opened(url, verify=False, namespace="unverified:") as store:
        await works(store)
    async with opened(url, deadline=0.5) as store:
        with capture_logs() as logs:
            await store.connect()
        assert "SSLCertVerificationError" in logs[0]["reason"], "a certificate that nobody vouches for is not taken"
        with pytest.raises(StoreUnavailable):
            await store.get("a")
    with pytest.raises(ConfigError, match=r"store\.tls\.ca: cannot be read"):
        open_store(url, SystemClock(), ca_file=str(own / "key.pem"), **PATIENT)


async def test_a_unix_socket(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "r.sock"
    start(unixsocket=str(path))
    async with opened(f"unix://{path}?db=3") as store:
        await works(store)


async def test_users_passwords_and_databases(start: Start) -> None:
    server = start(requirepass="master")
    server.ask("ACL", "SETUSER", "gw", "on", ">p@ss/word", "~mine:*", "+@all", password="master")
    url = f"redis://gw:p%40ss%2Fword@127.0.0.1:{server.port}"
    async with opened(f"{url}/2", namespace="mine:") as store:
        await works(store)
        assert server.ask("EXISTS", "mine:n", password="master") == b":0\r\n", "it is in another database"
    async with opened(f"redis://:master@127.0.0.1:{server.port}") as store:
        await works(store)


@pytest.mark.parametrize(
    ("credentials", "namespace", "reason"),
    [
        ("gw:SECRET@", "t:", "it refuses user or password"),
        ("", "t:", "it refuses user or password"),
        ("gw:right@", "others:", "it refuses what this user asks"),
    ],
)
async def test_a_user_that_is_refused(start: Start, credentials: str, namespace: str, reason: str) -> None:
    server = start(requirepass="master")
    server.ask("ACL", "SETUSER", "gw", "on", ">right", "~mine:*", "+@all", password="master")
    async with opened(f"redis://{credentials}127.0.0.1:{server.port}", namespace=namespace) as store:
        with capture_logs() as logs:
            await store.connect()
        assert [entry["reason"] for entry in logs] == [reason]
        with pytest.raises(StoreUnavailable) as caught:
            await store.get("a")
        for said in (str(logs), str(caught.value)):
            assert "SECRET" not in said
            assert str(server.port) not in said


async def test_a_replica_cannot_serve_and_is_known_when_it_can(start: Start) -> None:
    server = start()
    async with opened(server.url) as store:
        await store.set("a", b"1")
        server.ask("REPLICAOF", "127.0.0.1", "1")
        with capture_logs() as logs:
            with pytest.raises(StoreUnavailable):
                await store.set("a", b"2")
            with pytest.raises(StoreUnavailable):
                await store.increment("a", ttl=5)
        assert logs[0]["reason"] == "it is a replica that may only be read"
        server.ask("REPLICAOF", "NO", "ONE")
        await until_it_answers(store)
        assert await store.get("a") == b"1"


async def test_a_server_that_is_full_cannot_serve(start: Start) -> None:
    server = start(maxmemory="1kb")
    async with opened(server.url) as store:
        for call in (lambda: store.set("a", b"1"), lambda: store.run(ADD, ["a"], [1, ""])):
            assert await store.problem() == "its memory is full"
            with pytest.raises(StoreUnavailable):
                await call()


class Stubborn(Connection):
    """A connection that stays open whatever happens to a call on it, until it is closed by name."""

    closed = False

    def __init__(self) -> None:
        super().__init__(protocol=2)

    @property
    def is_connected(self) -> bool:
        return not self.closed

    async def connect(self) -> None:
        return None

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        return None

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(3600)

    async def disconnect(self, *args: Any, **kwargs: Any) -> None:
        self.closed = True


async def test_a_connection_with_a_reply_to_come_is_closed_by_the_link_itself() -> None:
    made: list[Stubborn] = []

    def make() -> Stubborn:
        made.append(Stubborn())
        return made[-1]

    pool: Pool[Any] = Pool(make, size=1, connect_timeout=1)
    call = asyncio.ensure_future(PooledLink(pool).send([("GET", "a")]))
    await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert [one.closed for one in made] == [True]
    assert len(pool) == 0


async def test_nobody_there() -> None:
    async with opened("redis://127.0.0.1:1", deadline=0.5) as store:
        assert await store.problem() == "no connection (ConnectionRefusedError)"
    async with opened("redis+cluster://127.0.0.1:1", deadline=0.5) as store:
        assert "cluster" in await store.problem() or "connection" in await store.problem()
    async with opened("redis+sentinel://127.0.0.1:1/main", deadline=0.5) as store:
        assert "connection" in await store.problem()


@pytest.mark.slow
async def test_sentinels_point_to_the_server_of_the_moment(start: Start, tmp_path: Path) -> None:
    master = start()
    replica = start(replicaof=f"127.0.0.1 {master.port}")
    configuration = tmp_path / "sentinel.conf"
    configuration.write_text(
        f"sentinel monitor main 127.0.0.1 {master.port} 1\n"
        "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n"
    )
    sentinel = RedisServer(tmp_path, sentinel=configuration)
    sentinel.start()
    try:
        while b"slave0" not in master.ask("INFO", "replication") or b"slaves=1" not in sentinel.ask("INFO", "sentinel"):
            await asyncio.sleep(0.1)
        url = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{sentinel.port}/main/0"
        async with opened(url, deadline=1) as store:
            await store.connect()
            await works(store)
            await store.set("kept", b"1")
            while b"\r\n1\r\n" not in replica.ask("GET", "t:kept"):
                await asyncio.sleep(0.05)
            master.kill()
            with pytest.raises(StoreUnavailable):
                await store.get("kept")
            await until_it_answers(store, 60)
            assert await store.get("kept") == b"1", "the replica has taken its place"
            assert b"role:master" in replica.ask("INFO", "replication")
        async with opened(f"redis+sentinel://127.0.0.1:{sentinel.port}/other", deadline=1) as store:
            assert "MasterNotFoundError" in await store.problem()
    finally:
        sentinel.kill()


def test_without_its_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name == "redis" or name.startswith(("redis.", "helicone_gw.store."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigError, match=r"pip install 'helicone-gw\[redis\]'"):
        open_store("redis://host", SystemClock(), **PATIENT)


async def test_connections_share_what_they_trust(tmp_path: Path) -> None:
    """Reading the system's certificates takes long, and holds up everything else."""
    own = make_certificate(tmp_path)
    address = parse_address("rediss://host")
    link = open_link(address, size=2, connect_timeout=1, ca_file=str(own / "certificate.pem"))
    assert isinstance(link, PooledLink)
    one, other = link._pool._make(), link._pool._make()
    assert isinstance(one, SSLConnection)
    assert isinstance(other, SSLConnection)
    assert one.ssl_context.get() is other.ssl_context.get()
    assert one.ssl_context.get().verify_mode is ssl.CERT_REQUIRED

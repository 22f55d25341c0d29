"""Opening: from an address to a link, with redis-py's connections, its TLS, its authentication and its sentinels."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Connection, Sentinel, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool, SentinelManagedConnection, SentinelManagedSSLConnection
from redis.backoff import NoBackoff

from helicone_gw.store.address import Address
from helicone_gw.store.cluster import ClusterLink
from helicone_gw.store.links import Link, PooledLink
from helicone_gw.store.pool import Pool


def open_link(
    address: Address, *, size: int, connect_timeout: float, ca_file: str | None = None, verify: bool = True
) -> Link:
    """The link to ``address``, with ``size`` connections at most, to each node of a cluster. Nothing is connected yet.

    ``connect_timeout`` is in seconds; ``ca_file`` a PEM file of the certificates to trust instead of the system's.
    """
    options: dict[str, Any] = {
        "db": address.db,
        "username": address.username,
        "password": address.password,
        **_patience(None, connect_timeout),
    }
    tls: dict[str, Any] = {}
    if address.tls:
        tls = {"ssl_ca_certs": ca_file}
        if not verify:
            tls |= {"ssl_cert_reqs": "none", "ssl_check_hostname": False}

    def pooled(host: str, port: int) -> PooledLink:
        def connection() -> AbstractConnection:
            if address.tls:
                return SSLConnection(host=host, port=port, **options, **tls)
            return Connection(host=host, port=port, **options)

        return PooledLink(Pool(connection, size=size, connect_timeout=connect_timeout))

    match address.kind:
        case "cluster":
            return ClusterLink(address.hosts, pooled)
        case "sentinel":
            sentinel = _sentinel(address, connect_timeout, tls)
            # redis-py's pool finds the master; its connections are kept in ours.
            masters = SentinelConnectionPool(  # type: ignore[no-untyped-call]
                address.service,
                sentinel,
                connection_class=SentinelManagedSSLConnection if address.tls else SentinelManagedConnection,
                **options,
                **tls,
            )
            return PooledLink(Pool(masters.make_connection, size=size, connect_timeout=connect_timeout), sentinel)
        case "unix":

            def unix() -> AbstractConnection:
                return UnixDomainSocketConnection(path=address.path, **options)

            return PooledLink(Pool(unix, size=size, connect_timeout=connect_timeout))
        case _:
            return pooled(*address.hosts[0])


def _sentinel(address: Address, connect_timeout: float, tls: dict[str, Any]) -> Sentinel:
    # One that does not answer must leave time for the others, and for the server itself.
    share = connect_timeout / (len(address.hosts) + 1)
    options = {
        "username": address.sentinel_username,
        "password": address.sentinel_password,
        **_patience(share, share),
    }
    if address.tls:
        options |= {"ssl": True, **tls}
    return Sentinel(address.hosts, sentinel_kwargs=options)  # type: ignore[no-untyped-call]


def _patience(timeout: float | None, connect_timeout: float) -> dict[str, Any]:
    """What every connection has: no deadline of its own where the guard has one, and no second try."""
    return {
        "socket_timeout": timeout,
        "socket_connect_timeout": connect_timeout,
        "retry": Retry(NoBackoff(), 0),
        # RESP2, and nothing told of this library: there is then nothing to be said before the first command.
        "protocol": 2,
        "driver_info": None,
    }

"""Opening: from an address to a link, with redis-py's connections, its TLS, its authentication and its sentinels."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Connection, Sentinel, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection, RedisSSLContext
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool, SentinelManagedConnection, SentinelManagedSSLConnection
from redis.backoff import NoBackoff

from helicone_gw.errors import ConfigError
from helicone_gw.store.address import Address
from helicone_gw.store.cluster import ClusterLink
from helicone_gw.store.links import Link, PooledLink
from helicone_gw.store.pool import Pool


def open_link(
    address: Address, *, size: int, connect_timeout: float, ca_file: str | None = None, verify: bool = True
) -> Link:
    """The link to ``address``, with ``size`` connections at most, to each node of a cluster. Nothing is connected yet.

    ``connect_timeout`` is in seconds; ``ca_file`` a PEM file of the certificates to trust beside the system's. Raises
    `ConfigError` when it cannot be read.
    """
    options: dict[str, Any] = {
        "db": address.db,
        "username": address.username,
        "password": address.password,
        **_patience(None, connect_timeout),
    }
    tls: dict[str, Any] = {}
    if address.tls:
        tls = {"ssl_ca_certs": ca_file, "ssl_cert_reqs": "required" if verify else "none"}
    trust = _trust(tls)

    def pooled(host: str, port: int) -> PooledLink:
        def connection() -> AbstractConnection:
            if not address.tls:
                return Connection(host=host, port=port, **options)
            secure = SSLConnection(host=host, port=port, **options, **tls)
            secure.ssl_context = trust
            return secure

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

            def managed() -> AbstractConnection:
                connection: AbstractConnection = masters.make_connection()  # type: ignore[no-untyped-call]
                if isinstance(connection, SSLConnection):
                    connection.ssl_context = trust
                return connection

            return PooledLink(Pool(managed, size=size, connect_timeout=connect_timeout), sentinel)
        case "unix":

            def unix() -> AbstractConnection:
                return UnixDomainSocketConnection(path=address.path, **options)

            return PooledLink(Pool(unix, size=size, connect_timeout=connect_timeout))
        case _:
            return pooled(*address.hosts[0])


def _trust(tls: dict[str, Any]) -> RedisSSLContext:
    """One for all connections, read now: reading the system's certificates holds the event loop up for long.

    Raises `ConfigError` when they cannot be read.
    """
    trust = RedisSSLContext(
        ca_certs=tls.get("ssl_ca_certs"), cert_reqs=tls.get("ssl_cert_reqs", "required"), check_hostname=True
    )
    if tls:
        try:
            trust.get()
        except OSError:  # ssl.SSLError is one
            raise ConfigError(["store.tls.ca: cannot be read as a PEM file of certificates"]) from None
    return trust


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

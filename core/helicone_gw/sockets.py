"""The socket on which clients reach the gateway: listened on by one process, or by several that share it."""

from __future__ import annotations

import errno
import socket

from helicone_gw.config import GatewayConfig
from helicone_gw.engines import BACKLOG
from helicone_gw.errors import ConfigError


def listen(config: GatewayConfig, *, shared: bool = False) -> socket.socket:
    """A bound, listening socket. ``shared`` lets several workers listen on the same port.

    Raises `ConfigError` when the address cannot be had.
    """
    options = (socket.SO_REUSEADDR, socket.SO_REUSEPORT) if shared else (socket.SO_REUSEADDR,)
    try:
        listener = _bound(config.server.host, config.server.port, *options)
        try:
            listener.listen(BACKLOG)
        except BaseException:
            listener.close()
            raise
    except OSError as problem:
        raise _cannot_listen(config, problem) from problem
    listener.setblocking(False)
    return listener


def claim(config: GatewayConfig) -> socket.socket:
    """A bound socket that takes no connections, and beside which workers can `listen`: the port is this program's.

    Raises `ConfigError` when the address cannot be had. Whoever listens there shared it with the workers otherwise,
    another gateway's workers among them: so it is asked for unshared first.
    """
    with listen(config) as unshared:
        host, port = unshared.getsockname()[:2]
    try:
        try:
            # Without SO_REUSEADDR nobody else passes that question, although nobody listens yet.
            return _bound(host, port, socket.SO_REUSEPORT)
        except OSError:
            # The last connections of an unshared socket are in the way, for a minute.
            return _bound(host, port, socket.SO_REUSEADDR, socket.SO_REUSEPORT)
    except OSError as problem:
        raise _cannot_listen(config, problem) from problem


def _bound(host: str, port: int, *options: int) -> socket.socket:
    """A TCP socket with this address and these options of the level ``SOL_SOCKET``. Raises `OSError`."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, protocol)
    try:
        for option in options:
            bound.setsockopt(socket.SOL_SOCKET, option, 1)
        bound.bind(address)
    except BaseException:
        bound.close()
        raise
    return bound


def _cannot_listen(config: GatewayConfig, problem: OSError) -> ConfigError:
    host, port = config.server.host, config.server.port
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    advice = "choose another server.port"
    if problem.errno == errno.EADDRINUSE:
        advice = f"stop the program that listens there, or {advice}"
    return ConfigError([f"server: cannot listen on {address}: {problem.strerror or problem}; {advice}"])


def url_of(listener: socket.socket, *, tls: bool = False) -> str:
    """The address under which ``listener`` is reached."""
    host, port = listener.getsockname()[:2]
    return url_at(host, port, tls=tls)


def url_at(host: str, port: int, *, tls: bool = False) -> str:
    """The address under which a server on ``host`` (a name or an address) and ``port`` is reached from this machine."""
    scheme = "https" if tls else "http"
    host = host.removeprefix("[").removesuffix("]")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - where to reach it, not where to bind
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

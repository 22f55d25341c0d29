"""Where a store is: the forms of ``store.url``, read into one `Address`, with no secret in any message."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, unquote

Kind = Literal["memory", "redis", "unix", "cluster", "sentinel"]

PORTS = {"redis": 6379, "cluster": 6379, "sentinel": 26379}

SCHEMES: dict[str, tuple[Kind, bool]] = {
    "memory": ("memory", False),
    "redis": ("redis", False),
    "rediss": ("redis", True),
    "unix": ("unix", False),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
}
"""What each scheme means: the kind of store, and whether its connections are TLS."""

OPTIONS: dict[Kind, frozenset[str]] = {
    "redis": frozenset({"db"}),
    "unix": frozenset({"db"}),
    "sentinel": frozenset({"db", "sentinel_username", "sentinel_password"}),
}
"""What the query of a URL may hold, by kind."""

_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%]+)\]|(?P<name>[^\s:@/\[\],]+))(?::(?P<port>\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a store is, and who asks.

    ``hosts`` are those of the one server, of nodes of a cluster or of sentinels, in the order given, with ports;
    ``service`` is the name under which sentinels know the server. Names and passwords are decoded.
    """

    kind: Kind
    tls: bool = False
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    service: str = ""
    db: int = 0
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    sentinel_username: str | None = field(default=None, repr=False)
    sentinel_password: str | None = field(default=None, repr=False)

    @property
    def shown(self) -> str:
        """What kind of store it is and how many hosts it names, for people; no address and no secret."""
        tls = " over TLS" if self.tls else ""
        match self.kind:
            case "memory":
                return "memory"
            case "cluster":
                return f"Redis Cluster{tls}"
            case "sentinel":
                return f"Redis{tls}, found by {len(self.hosts)} sentinel{'s' if len(self.hosts) != 1 else ''}"
            case "unix":
                return "Redis on a unix socket"
            case _:
                return f"Redis{tls}"


def parse_address(url: str) -> Address:
    """Read ``url``. Raises `ValueError`, which never repeats it.

    - ``memory://``
    - ``redis://[user:password@]host[:6379][/db]``, ``rediss://`` for TLS; ``redis://:password@host`` without a user
    - ``unix://[user:password@]/path[?db=0]``
    - ``redis+cluster://[user:password@]host:port,host:port``, some of its nodes
    - ``redis+sentinel://[user:password@]host:26379,host:26379/service[/db]``, the sentinels; user and password are the
      server's, and those of the sentinels are ``?sentinel_username=...&sentinel_password=...``
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ValueError("is not a URL: a scheme and :// are missing")
    if scheme not in SCHEMES:
        raise ValueError(f"the scheme of a store URL is one of {', '.join(f'{name}://' for name in SCHEMES)}")
    kind, tls = SCHEMES[scheme]
    if kind == "memory":
        if rest:
            raise ValueError("memory:// has nothing after it")
        return Address("memory")
    if "#" in rest:
        raise ValueError("has a fragment; a # inside a password is written %23")
    rest, _, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    username, password, hosts = _authority(authority)
    options = _options(kind, query)
    service = ""
    if kind == "unix":
        if hosts or not path:
            raise ValueError("a unix socket has no host, and an absolute path: unix:///run/redis/redis.sock")
        path = slash + unquote(path)
    elif kind == "sentinel":
        service, _, path = path.partition("/")
        service = unquote(service)
        if not service:
            raise ValueError("names no service: redis+sentinel://host:26379,host:26379/service")
    elif kind == "cluster" and path:
        raise ValueError("a cluster has one database, so nothing follows its hosts")
    if kind != "unix":
        if kind == "redis" and "," in hosts:
            raise ValueError("names several hosts, which redis+cluster:// and redis+sentinel:// do")
        if path:
            options.setdefault("db", path)
            path = ""
    return Address(
        kind,
        tls,
        tuple(_host(each, PORTS[kind]) for each in hosts.split(",")) if kind != "unix" else (),
        path,
        service,
        _database(options.get("db", "0")),
        username,
        password,
        options.get("sentinel_username"),
        options.get("sentinel_password"),
    )


def _authority(text: str) -> tuple[str | None, str | None, str]:
    credentials, at, hosts = text.rpartition("@")
    if not at:
        return None, None, hosts
    username, _, password = credentials.partition(":")
    return unquote(username) or None, unquote(password) or None, hosts


def _host(text: str, default: int) -> tuple[str, int]:
    found = _HOST.fullmatch(text)
    if found is None:
        raise ValueError("should name a host, or host:port; a password's own /, @ and # are written %2F, %40 and %23")
    port = int(found["port"]) if found["port"] else default
    if not 0 < port < 65536:
        raise ValueError("has a port that is no port")
    return found["v6"] or found["name"], port


def _options(kind: Kind, query: str) -> dict[str, str]:
    options = {}
    allowed = OPTIONS.get(kind, frozenset())
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in allowed:
            known = f"knows {', '.join(sorted(allowed))}" if allowed else "takes none"
            raise ValueError(f"has an option that this kind of store URL does not know; it {known}")
        options[name] = value
    return options


def _database(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 5:
        raise ValueError("the number of the database should be a number")
    return int(text)

"""Which targets a client may name, and the address each connection goes to: against SSRF and DNS rebinding."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from helicone_gw.errors import BadRequest, ConfigError, UpstreamConnectError, UpstreamTimeout
from helicone_gw.upstream.provider import Provider
from helicone_gw.upstream.providers import Catalogue
from helicone_gw.upstream.special_urls import UNIX_SCHEME
from helicone_gw.upstream.urls import IPAddress, ParsedURL, parse_url

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host name and port -> every address of it, best first. Raises `OSError` when there is none."""

RESOLVE_TIMEOUT = 5.0
"""Seconds that a name may take to resolve."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Source: the IANA special-purpose address registries (RFC 6890). Explicit, because what the standard library calls
# global differs between Python versions.
_INTERNAL: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("loopback", ("127.0.0.0/8", "::1/128")),
    ("private", ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")),
)
_SPECIAL: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("metadata service", ("169.254.169.254/32", "169.254.170.2/32", "100.100.100.200/32", "168.63.129.16/32")),
    ("metadata service", ("fd00:ec2::254/128", "fd20:ce::254/128")),
    ("link-local", ("169.254.0.0/16", "fe80::/10")),
    ("multicast", ("224.0.0.0/4", "ff00::/8")),
    ("unspecified", ("0.0.0.0/8", "::/128")),
    ("reserved", ("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24")),
    ("reserved", ("203.0.113.0/24", "240.0.0.0/4", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")),
)
_GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def _networks(table: tuple[tuple[str, tuple[str, ...]], ...]) -> tuple[tuple[str, Network], ...]:
    return tuple((kind, ipaddress.ip_network(each)) for kind, networks in table for each in networks)


_INTERNAL_NETWORKS = _networks(_INTERNAL)
_SPECIAL_NETWORKS = _networks(_SPECIAL)


@dataclass(frozen=True, slots=True)
class CheckedTarget:
    """A target that may be called: its canonical URL, the address to connect to, and whose it is, if known."""

    url: str
    address: str
    provider: Provider | None


def kind_of(address: IPAddress) -> str | None:
    """Why ``address`` is not an ordinary public one ("loopback", "private", "link-local", ...), or ``None`` if it is.

    An IPv4 address inside an IPv4-mapped or NAT64 (RFC 6052) one is judged in its place; 6to4 and Teredo are reserved.
    """
    if isinstance(address, ipaddress.IPv6Address):
        embedded = address.ipv4_mapped
        if embedded is None and address in _NAT64:
            embedded = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if embedded is not None:
            return kind_of(embedded)
    for kind, network in (*_SPECIAL_NETWORKS, *_INTERNAL_NETWORKS):
        if address.version == network.version and address in network:
            return kind
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_IPV6:
        return "reserved"
    return None


class AllowedTargets:
    """``server.allowed_targets``, read: what it allows besides approved domains and configured providers.

    - ``host`` and ``*.suffix``: that name, any port, over https; ``localhost`` over http too.
    - ``host:port``: that port, over http too.
    - ``scheme://host[:port]``: exactly that origin.
    - an address, or a network (``10.1.0.0/16``): that address or any in it, any port, over http too; also for names
      all of whose addresses are in listed networks.

    A listed name may resolve to loopback and private addresses. Link-local, metadata and other special addresses are
    reached only if they are listed themselves. Raises `ConfigError` for entries that are none of these.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self.networks: list[Network] = []
        self._hosts: set[str] = set()
        self._ports: set[tuple[str, int]] = set()
        self._origins: set[str] = set()
        self._suffixes: list[re.Pattern[str]] = []
        problems = [problem for entry in entries if (problem := self._add(entry.strip().lower().rstrip("/")))]
        if problems:
            raise ConfigError(problems)

    def _add(self, entry: str) -> str | None:
        try:
            if "://" in entry:
                self._add_origin(entry)
            elif entry.startswith("*."):
                suffix = parse_url(f"https://{entry[2:]}")
                if suffix.ip is not None or suffix.origin != f"https://{suffix.host}":
                    raise ValueError("a suffix is a domain name")
                self._suffixes.append(re.compile(rf"(?:[a-z0-9_-]+\.)+{re.escape(suffix.host)}", re.ASCII))
            else:
                self._add_host(entry)
        except ValueError as problem:
            return f"server.allowed_targets: {entry!r}: {problem}"
        return None

    def _add_origin(self, entry: str) -> None:
        parsed = parse_url(entry)
        if parsed.path or parsed.query:
            raise ValueError("an origin has no path")
        self._origins.add(parsed.origin)

    def _add_host(self, entry: str) -> None:
        bare = entry[1:-1] if entry.startswith("[") and entry.endswith("]") else entry
        try:
            self.networks.append(ipaddress.ip_network(bare))
            return
        except ValueError:
            if "/" in entry:
                raise ValueError("it is not a network in CIDR form") from None
        parsed = parse_url(f"http://{entry}")
        if re.search(r":[0-9]+$", entry):
            self._ports.add((parsed.host, parsed.port))
        else:
            self._hosts.add(parsed.host)

    def names(self, url: ParsedURL) -> bool:
        """Whether ``url`` is allowed by its host or origin."""
        if url.origin in self._origins or (url.host, url.port) in self._ports:
            return True
        if url.ip is not None:
            return self.holds(url.ip)
        if url.scheme == "http" and url.host != "localhost":
            return False
        return url.host in self._hosts or any(suffix.fullmatch(url.host) for suffix in self._suffixes)

    def holds(self, address: IPAddress) -> bool:
        """Whether ``address`` is in a listed network."""
        return any(address.version == network.version and address in network for network in self.networks)


@lru_cache(maxsize=16)
def _allowed(entries: tuple[str, ...]) -> AllowedTargets:
    return AllowedTargets(entries)


async def resolve_name(host: str, port: int) -> Sequence[str]:
    """The system's resolver, in its own order (RFC 6724)."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def check_target(
    url: str,
    *,
    catalogue: Catalogue,
    allowed_targets: AllowedTargets | Collection[str] = (),
    resolve: Resolve = resolve_name,
    timeout: float = RESOLVE_TIMEOUT,
) -> CheckedTarget:
    """Check a target that a client named (``Helicone-Target-URL`` and its kin), and pin its address.

    It must be the origin of a configured provider, an approved domain (https, port 443) or listed in
    ``allowed_targets``. Every address that its name resolves to must be an ordinary public one unless the target is
    configured or listed; the connection must then go to `CheckedTarget.address`, so that the name cannot resolve
    elsewhere in between. ``timeout`` (seconds) bounds the resolving.

    Raises `BadRequest` saying what to configure, `UpstreamConnectError` for a name that does not resolve and
    `UpstreamTimeout` when that takes too long.
    """
    parsed = _parse(url)
    allowed = allowed_targets if isinstance(allowed_targets, AllowedTargets) else _allowed(tuple(allowed_targets))
    named = catalogue.is_configured_origin(parsed) or allowed.names(parsed)
    provider = catalogue.provider_for(parsed)
    if not named and provider is None and (parsed.ip is not None or not allowed.networks):
        raise _not_allowed(parsed, catalogue)
    addresses = [parsed.ip] if parsed.ip is not None else await resolve_all(parsed, resolve, timeout)
    for address in addresses:
        if named and parsed.ip is not None:
            continue
        kind = kind_of(address)
        if allowed.holds(address):
            continue
        if not named and provider is None:
            raise _not_allowed(parsed, catalogue)
        if kind is not None and not (named and kind in {"loopback", "private"}):
            raise BadRequest(
                f"The target {parsed.origin} resolves to a {kind} address, which is never called. "
                "If it is meant to be, add its address or network to server.allowed_targets.",
                code="target_not_allowed",
            )
    return CheckedTarget(parsed.url, str(addresses[0]), provider)


def _parse(url: str) -> ParsedURL:
    try:
        parsed = parse_url(url)
    except ValueError as problem:
        raise BadRequest(f"The target is not a usable URL: {problem}.", code="target_not_allowed") from None
    if parsed.scheme == UNIX_SCHEME:
        raise BadRequest("A unix socket is no target that a client may name.", code="target_not_allowed")
    if parsed.query:
        raise BadRequest("The target holds a query; put it on the request.", code="target_not_allowed")
    return parsed


def _not_allowed(url: ParsedURL, catalogue: Catalogue) -> BadRequest:
    host = f"[{url.host}]" if ":" in url.host else url.host
    if url.scheme == "http" and catalogue.approved(ParsedURL("https", url.host, 443, "", "")) is not None:
        advice = "use https."
    else:
        advice = f"add {host}:{url.port} to server.allowed_targets, or a provider with this base_url to providers."
    return BadRequest(f"The target {url.origin} is not allowed; {advice}", code="target_not_allowed")


async def resolve_all(url: ParsedURL, resolve: Resolve, timeout: float) -> list[IPAddress]:
    """Every address of ``url``'s name. Raises `UpstreamConnectError` and `UpstreamTimeout`."""
    try:
        async with asyncio.timeout(timeout):
            found = await resolve(url.host, url.port)
        # A scope ("fe80::1%eth0") only ever belongs to link-local addresses; without it they are refused as such.
        addresses: list[IPAddress] = [ipaddress.ip_address(text.partition("%")[0]) for text in found]
    except TimeoutError:
        raise UpstreamTimeout(f"The name {url.host} did not resolve within {timeout:g} seconds.") from None
    except (OSError, UnicodeError, ValueError):
        raise UpstreamConnectError(f"The name {url.host} does not resolve.") from None
    if not addresses:
        raise UpstreamConnectError(f"The name {url.host} does not resolve.")
    return addresses

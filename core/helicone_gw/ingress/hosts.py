"""Hosts: the name in a ``Host`` or ``Origin`` field, and whether it is this machine's or a domain's own."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator

HELICONE_DOMAINS = ("helicone.ai", "hconeai.com")
"""The domains that Helicone's clients are configured with."""
_NOT_IN_A_NAME = frozenset("@/\\?# ,")


def split_host(host: str) -> tuple[str, int | None]:
    """Name (lower-case, no trailing dot, no brackets) and port of ``host[:port]`` (RFC 9110 7.2, RFC 3986 3.2.2).

    The name is "" when the text is not a host: userinfo, a path, a port that is none.
    """
    text = host.strip().lower()
    if text.startswith("["):
        name, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")) or not _is_address(name):
            return "", None
        port = rest[1:]
    else:
        name, _, port = text.partition(":")
    if port and not (port.isascii() and port.isdigit() and int(port[:6]) < 65536 and len(port) < 6):
        return "", None
    name = name.removesuffix(".")
    if not name or not _NOT_IN_A_NAME.isdisjoint(name):
        return "", None
    return name, int(port) if port else None


def is_loopback(name: str) -> bool:
    """Whether ``name`` (from `split_host`) is this machine: ``localhost``, 127.0.0.0/8, ``::1`` (RFC 6761 6.3)."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def belongs(name: str, domains: Collection[str]) -> bool:
    """Whether ``name`` is a Helicone domain, one of ``domains``, or lies under one."""
    return any(name == domain or name.endswith("." + domain) for domain in _all(domains))


def first_label(name: str, domains: Collection[str]) -> str | None:
    """The first label of a name that lies *under* a Helicone domain or one of ``domains``, else ``None``.

    A name that is itself listed has no label: ``gateway.example.com`` in ``server.domains`` is just the gateway.
    """
    known = tuple(_all(domains))
    if name in known:
        return None
    return name.partition(".")[0] if any(name.endswith("." + domain) for domain in known) else None


def _all(domains: Collection[str]) -> Iterator[str]:
    yield from HELICONE_DOMAINS
    for domain in domains:
        cleaned = domain.lower().strip(".")
        if cleaned:
            yield cleaned


def _is_address(name: str) -> bool:
    try:
        ipaddress.IPv6Address(name.partition("%")[0])
    except ValueError:
        return False
    return True

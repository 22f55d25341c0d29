"""Clients: where a request came from, and to which address, told by the connection or by proxies that are trusted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from helicone_gw.access import within
from helicone_gw.headers import Headers
from helicone_gw.ingress.hosts import split_host

UNIX = "unix"
"""What stands for the other end of a unix socket among ``server.trusted_proxies``: it has no address."""

PREFIX = "helicone_gw.prefix"
"""Where the ASGI scope of a request for a page says what a proxy in front took off its path."""

_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]{1,100}){1,10}")

MAX_HOPS = 32
"""Proxies that are followed back; what came before them does not count."""


def client_address(peer: str, headers: Headers, trusted: Sequence[str]) -> str:
    """Who sent the request: ``peer``, or whom trusted proxies had it from.

    Args:
        peer: the address at the other end of the connection; "" for a unix socket.
        headers: the request's. ``X-Forwarded-For`` is read from its end, where each proxy adds whom it had it from: the
            first address that is no trusted proxy's is the client's. What stands before it anybody may have written.
        trusted: ``server.trusted_proxies``: addresses, networks (CIDR), or `UNIX`.
    """
    if not trusted or not _trusts(peer, trusted):
        return peer
    hops = [hop for value in headers.get_all("x-forwarded-for") for hop in value.split(",")]
    client = peer
    for hop in reversed(hops[-MAX_HOPS:]):
        address = _address(hop)
        if address is None:
            break
        client = address
        if not _trusts(address, trusted):
            break
    return client


def forwarded_prefix(peer: str, headers: Headers, trusted: Sequence[str]) -> str:
    """What the proxy at the other end took off the path, "" where none says so that is trusted.

    ``X-Forwarded-Prefix`` is a path without a slash at its end; of several the last one, which ``peer`` wrote, counts.
    """
    said = headers.get_all("x-forwarded-prefix")
    if not said or not trusted or not _trusts(peer, trusted):
        return ""
    prefix = said[-1].rpartition(",")[2].strip().rstrip("/")
    plain = _PREFIX.fullmatch(prefix) is not None and not {".", ".."}.intersection(prefix.split("/"))
    return prefix if plain else ""


def path_prefix(scope: Mapping[str, Any]) -> str:
    """What stands before all paths of the gateway's pages as browsers know them, "" as a rule.

    ``scope`` is the request's ASGI scope, ``quart.request.scope`` in a view. It is said by a trusted proxy's
    ``X-Forwarded-Prefix``, by `KeyRing.path_prefix`, or by the server.
    """
    prefix: str = scope.get(PREFIX) or scope.get("root_path", "")
    return prefix


def _trusts(peer: str, trusted: Sequence[str]) -> bool:
    return UNIX in trusted if not peer else within(peer, [each for each in trusted if each != UNIX])


def _address(hop: str) -> str | None:
    """The address in one entry, which some proxies write with a port."""
    text = hop.strip()
    for candidate in (text, split_host(text)[0].strip("[]")):
        try:
            return str(ip_address(candidate))
        except ValueError:
            continue
    return None

"""Origin: who may talk to a gateway that asks for no key, and where such a gateway may listen.

A loopback port is reachable from every web page in a browser on the machine. Two facts that a page cannot forge tell it
apart: ``Host`` (a rebound DNS name is not this machine's) and ``Origin`` or ``Sec-Fetch-Site``.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from helicone_gw.errors import ConfigError, PermissionDenied
from helicone_gw.headers import Headers
from helicone_gw.ingress.hosts import belongs, is_loopback, split_host

_PORTS = {"http": 80, "https": 443}


def guard_open_gateway(host: str, headers: Headers, domains: Collection[str], origins: Collection[str] = ()) -> None:
    """Refuse what a web page may have sent. For every request, of any kind, while no gateway key is configured.

    Args:
        host: the ``Host`` field or ``:authority``; "" when there was none.
        headers: the request's, for ``Origin`` and ``Sec-Fetch-Site`` (W3C Fetch Metadata).
        domains: ``server.domains``.
        origins: those of other sites' pages that may call all the same. "*" is none: whoever has no key would give
            every page of the world what it can reach.

    Raises:
        PermissionDenied: the host is not one of ours, or the request comes from another site.
    """
    name, port, known = _read_host(host, tuple(domains))
    if not known:
        raise PermissionDenied(
            "This gateway has no keys configured and answers only to loopback names, Helicone's domains and those in "
            "server.domains. Call it by one of these, add this host to server.domains, or configure security.keys.",
            code="host_not_allowed",
        )
    if origins and (said := headers.get_all("origin")) and len(said) == 1 and said[0].lower() in origins:
        return
    if "origin" in headers and any(not _is_same(origin, name, port) for origin in headers.get_all("origin")):
        raise _cross_site()
    if "sec-fetch-site" in headers and any(
        site.strip().lower() in ("cross-site", "same-site") for site in headers.get_all("sec-fetch-site")
    ):
        raise _cross_site()


@lru_cache(maxsize=256)
def _read_host(host: str, domains: tuple[str, ...]) -> tuple[str, int | None, bool]:
    """Name and port of a ``Host``, and whether it is one that an open gateway answers to."""
    name, port = split_host(host)
    return name, port, bool(name) and (is_loopback(name) or belongs(name, domains))


def check_bind(host: str, open: bool, keys_configured: bool) -> None:
    """Refuse to listen beyond this machine without a key.

    Args:
        host: ``server.host``: a name, an address, or ``unix:/path``.
        open: ``server.open``: the operator takes the responsibility.
        keys_configured: whether any source has a gateway key.

    Raises:
        ConfigError: everyone who can reach ``host`` could spend the configured provider keys.
    """
    if open or keys_configured or host.startswith("unix:"):
        return
    bare = host.strip().lower().removeprefix("[").removesuffix("]")
    if is_loopback(bare) or is_loopback(split_host(host)[0]):
        return
    problem = (
        f"server.host: {host or 'every interface'} is reachable from other machines and no gateway key is configured. "
        "Add security.keys, listen on 127.0.0.1, or set server.open: true."
    )
    raise ConfigError([problem])


def _is_same(origin: str, name: str, port: int | None) -> bool:
    """Whether a browser's ``Origin`` (RFC 6454) is the host that the request was sent to; "null" never is."""
    scheme, separator, authority = origin.strip().lower().partition("://")
    if not separator or scheme not in _PORTS:
        return False
    origin_name, origin_port = split_host(authority)
    default = _PORTS[scheme]
    return origin_name == name and (origin_port or default) == (port or default)


def _cross_site() -> PermissionDenied:
    return PermissionDenied(
        "This gateway has no keys configured and does not answer web pages of other sites. "
        "Configure security.keys and send one to call it from a browser.",
        code="cross_site_request",
    )

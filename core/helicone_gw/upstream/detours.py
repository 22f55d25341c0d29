"""Calls that cannot go straight to the provider over HTTP/1.1, and the httpx transport that takes each there."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from urllib.parse import unquote
from urllib.request import getproxies, proxy_bypass

import httpx

from helicone_gw.errors import ConfigError
from helicone_gw.upstream.pool import PooledTransport
from helicone_gw.upstream.special_urls import SOCKS_SCHEMES, UNIX_SCHEME, check_proxy

MAX_SITES = 1024
"""Origins for which is remembered how they are reached; past that the one used longest ago is looked up anew."""

_ENVIRONMENT = ("http", "https", "all")


@dataclass(frozen=True, slots=True)
class Detour:
    """A transport to be used in place of the usual one.

    ``resolves``: the far end looks up the name itself, so that a pinned address cannot be kept (TLS through a CONNECT
    proxy: httpcore verifies the very name that it asks the proxy for). ``unix``: it leads to a unix socket.
    """

    transport: httpx.AsyncBaseTransport
    resolves: bool = False
    unix: bool = False

    def url(self, url: str) -> str:
        """What ``transport`` is to be asked for: ``http://localhost/...`` over a unix socket, else ``url`` itself."""
        if not self.unix:
            return url
        _, slash, path = url.removeprefix(f"{UNIX_SCHEME}://").partition("/")
        return f"http://localhost{slash}{path}"


class Detours:
    """Finds the `Detour` of a URL: a unix socket's, a proxy's, HTTP/2's, or none.

    A URL with the scheme `UNIX_SCHEME` goes over that socket, always; only as text, since `httpx.URL` folds the case of
    what it takes for a host. ``proxy`` (http, https, socks5 or socks5h; may
    hold a user and a password) takes everything else; without one the environment decides: HTTP_PROXY, HTTPS_PROXY and
    ALL_PROXY as they are when this is made, and NO_PROXY. What remains goes over HTTP/2 where ``http2`` is set and
    TLS agrees on it. Every transport has ``limits`` of its own; there are as many as sockets and proxies are
    configured. ``verify`` gives the TLS configuration when it is first needed.

    Raises `ConfigError` when a proxy's URL is none, or the package that it needs is missing.
    """

    def __init__(
        self,
        *,
        verify: Callable[[], ssl.SSLContext],
        limits: httpx.Limits,
        proxy: str | None = None,
        http2: bool = False,
    ) -> None:
        self._verify = verify
        self._limits = limits
        self._http2 = http2
        self._proxies = {"all": proxy} if proxy else _of_environment()
        self._bypasses = not proxy
        _check(self._proxies, "upstream.proxy" if proxy else "the proxy of the environment")
        self._direct = not self._proxies and not http2
        self._transports: dict[tuple[str, str], PooledTransport] = {}
        self._find = lru_cache(MAX_SITES)(self._found)

    def __call__(self, url: str) -> Detour | None:
        """How to reach ``url`` (absolute), or ``None``: the usual way."""
        if self._direct and not url.startswith(UNIX_SCHEME):
            return None
        scheme, _, rest = url.partition("://")
        return self._find(scheme, rest.partition("/")[0].partition("?")[0])

    async def aclose(self) -> None:
        """Close the transports that were used."""
        for transport in self._transports.values():
            await transport.aclose()

    def _found(self, scheme: str, authority: str) -> Detour | None:
        if scheme == UNIX_SCHEME:
            return Detour(self._transport(uds=unquote(authority)), unix=True)
        proxy = self._proxies.get(scheme) or self._proxies.get("all")
        if proxy and not (self._bypasses and proxy_bypass(authority)):
            return Detour(
                self._transport(proxy=proxy), resolves=scheme == "https" and not proxy.startswith(SOCKS_SCHEMES)
            )
        return Detour(self._transport()) if self._http2 and scheme == "https" else None

    def _transport(self, *, uds: str | None = None, proxy: str | None = None) -> PooledTransport:
        key = (uds or "", proxy or "")
        if key not in self._transports:
            self._transports[key] = PooledTransport(
                verify=self._verify(), limits=self._limits, http2=self._http2, uds=uds, proxy=proxy
            )
        return self._transports[key]


def _of_environment() -> dict[str, str]:
    given = {scheme: url for scheme, url in getproxies().items() if scheme in _ENVIRONMENT and url}
    return {scheme: url if "://" in url else f"http://{url}" for scheme, url in given.items()}


def _check(proxies: dict[str, str], where: str) -> None:
    for url in proxies.values():
        try:
            check_proxy(url)
        except ValueError as problem:
            raise ConfigError([f"{where}: {problem}"]) from None
        if url.startswith(SOCKS_SCHEMES) and find_spec("socksio") is None:
            raise ConfigError([f"{where}: SOCKS needs the package 'socksio': pip install 'helicone-gw[socks]'"])

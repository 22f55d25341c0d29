"""URLs of providers: strict parsing, and where a client's path lands under a base URL."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from helicone_gw.dialects.translate.azure import dated_path
from helicone_gw.errors import BadRequest
from helicone_gw.upstream.accounts import GoogleAccount
from helicone_gw.upstream.special_urls import UNIX_SCHEME, split_unix

if TYPE_CHECKING:
    from helicone_gw.upstream.providers import Provider

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_URL = 2048
"""Longest base or target URL that is accepted, in characters; a longer one is refused."""

_DEFAULT_PORTS = {"http": 80, "https": 443, UNIX_SCHEME: 0}
_URL = re.compile(r"(https?)://([^/?#]*)([^?#]*)(?:\?([^#]*))?", re.ASCII | re.IGNORECASE)
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([1-9][0-9]{0,4}))?", re.ASCII)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_VERSION = re.compile(r"v[0-9]+(?:\.[0-9]+)*(?:(?:alpha|beta)[0-9]*)?", re.ASCII)
_PATH_CHARACTERS = "!$&'()*+,;=:@/%~-._"
_PLAIN_PATH = re.compile(r"[A-Za-z0-9!$&'()*+,;=:@/%~\-._]*", re.ASCII)
_PLAIN_QUERY = re.compile(r"[A-Za-z0-9!$&'()*+,;=:@/%~\-._?\[\]{}|^`\"<>\\]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class ParsedURL:
    """An ``http`` or ``https`` URL in its one canonical spelling: lower-case host without trailing dot, IPv6 compressed
    and without brackets, no default port, path without trailing slash.

    Or a unix socket's (`special_urls.UNIX_SCHEME`), whose host is the socket's path, percent-encoded, and port 0.
    """

    scheme: str
    host: str
    port: int
    path: str
    query: str

    @property
    def origin(self) -> str:
        """``scheme://host[:port]``, the port left out when it is the scheme's own (RFC 6454 section 6.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (
            f"{self.scheme}://{host}"
            if self.port == _DEFAULT_PORTS[self.scheme]
            else f"{self.scheme}://{host}:{self.port}"
        )

    @property
    def ip(self) -> IPAddress | None:
        """The host, if it is an address and not a name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None

    @property
    def url(self) -> str:
        """The whole URL, canonical."""
        return f"{self.origin}{self.path}" + (f"?{self.query}" if self.query else "")


@lru_cache(maxsize=512)
def parse_url(text: str) -> ParsedURL:
    """Read an absolute ``http(s)`` URL, or a unix socket's, refusing spellings that parsers could read differently.

    Refused: userinfo, fragments, backslashes, blanks, control and non-ASCII characters, percent signs in the host,
    IPv4 written as one number, in octal, in hexadecimal or in fewer than four parts (WHATWG URL would accept them),
    IPv6 zone ids, empty ports. Raises `ValueError` whose message says which.
    """
    if len(text) > MAX_URL:
        raise ValueError(f"it is longer than {MAX_URL} characters")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("it holds blanks, control or non-ASCII characters (write such a host in its xn-- form)")
    if "\\" in text:
        raise ValueError("it holds a backslash")
    if "#" in text:
        raise ValueError("it holds a fragment (#...)")
    unix = split_unix(text)
    if unix is not None:
        if has_dot_segments(unix[1]):
            raise ValueError("its path holds '.' or '..' segments")
        return ParsedURL(UNIX_SCHEME, unix[0], 0, unix[1].rstrip("/"), unix[2])
    match = _URL.fullmatch(text)
    if match is None:
        raise ValueError("it is not of the form https://host[:port][/path]")
    scheme, authority, path, query = match[1].lower(), match[2].lower(), match[3], match[4] or ""
    if "@" in authority:
        raise ValueError("it holds a user name or password")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise ValueError("its host or port is malformed")
    port = int(parts[2]) if parts[2] else _DEFAULT_PORTS[scheme]
    if port > 65535:
        raise ValueError("its port is out of range")
    if has_dot_segments(path):
        raise ValueError("its path holds '.' or '..' segments")
    return ParsedURL(scheme, _host(parts[1]), port, path.rstrip("/"), query)


def _host(text: str) -> str:
    if text.startswith("["):
        try:
            return str(ipaddress.IPv6Address(text[1:-1]))
        except ValueError:
            raise ValueError("its IPv6 address is malformed") from None
    name = text.removesuffix(".")
    labels = name.split(".")
    if _NUMERIC_LABEL.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise ValueError("its IPv4 address is not four plain decimal numbers") from None
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("its host is not a valid name")
    return name


def has_dot_segments(path: str) -> bool:
    """Whether a segment of ``path`` is ``.`` or ``..``, however it is percent-encoded."""
    if "/." not in path and "%" not in path:
        return False
    return any(unquote(segment) in {".", ".."} for segment in path.split("/"))


def upstream_url(provider: Provider, base_url: str, path: str, query: str) -> str:
    """Where a request goes: ``path`` (the client's, version segment included) under ``base_url``.

    - openai dialect: ``base_url`` + path without ``/v1``, so that ``base_url`` is what an SDK would be given.
    - azure: the same under ``/openai/v1``; a path that is Azure's own (``/openai/deployments/...``) stays.
    - vertex: ``base_url`` + path, in the project and location of the provider's account where the path names none.
    - every other dialect: ``base_url`` + path.

    A version segment that ends ``base_url`` is not doubled, nor is a longer part that both have
    (``.../openai/v1`` + ``/openai/v1/chat/completions``); no part of the base path is lost. The provider's own paths
    outside its API root (`Provider.native_paths`) start at that root. ``query`` (raw, without ``?``) is kept as it is.

    Raises `BadRequest` for dot segments and `ValueError` for a ``base_url`` that is none.
    """
    base = parse_url(base_url)
    path = _clean_path(path)
    if isinstance(provider.account, GoogleAccount):
        path = provider.account.placed(path)
    placed = _place(base.path, path, provider.dialect, provider.api_path, provider.native_paths)
    query = _clean_query(query)
    if (
        provider.api_version
        and provider.dialect == "azure"
        and not _is_azure_v1(placed)
        and "api-version=" not in query
    ):
        query = (
            f"{query}&api-version={quote(provider.api_version)}"
            if query
            else f"api-version={quote(provider.api_version)}"
        )
    return f"{base.origin}{placed}?{query}" if query else f"{base.origin}{placed}"


def azure_path(provider: Provider, path: str, deployment: str | None) -> str:
    """``path`` in Azure's dated API, if that is what the provider is configured for: ``api_version`` is a date.

    That is not so where the version is a word ("preview"), and where ``base_url`` ends in the API's version.
    """
    dated = provider.dialect == "azure" and (provider.api_version or "")[:1].isdigit()
    if not dated or _ends_in_version(_segments(parse_url(provider.base_url or "https://azure.invalid").path)):
        return path
    return dated_path(path, deployment)


def target_url(provider: Provider | None, target: str, path: str, query: str) -> str:
    """Where a request goes whose client names the target itself (``Helicone-Target-URL`` and its kin).

    Such a target is the origin or base that the client's *path* is put under, version segment and all: what Helicone
    does, except that the path of the target is not lost. A target that is a known provider's origin, or its very base
    URL, is laid out as that provider is. Raises as `upstream_url` does.
    """
    parsed = parse_url(target)
    if provider is not None:
        if provider.dialect == "azure":
            return upstream_url(provider, target, path, query)
        if provider.base_url is not None:
            base = parse_url(provider.base_url)
            if parsed.origin == base.origin and parsed.path in {"", base.path}:
                return upstream_url(provider, provider.base_url, path, query)
    placed = _place(parsed.path, _clean_path(path), "", "", ())
    query = _clean_query(query)
    return f"{parsed.origin}{placed}?{query}" if query else f"{parsed.origin}{placed}"


def with_query_key(query: str, key: str) -> str:
    """``query`` (raw) with ``key`` as its ``key`` parameter, in place of any other: the "query-key" auth style."""
    rest = [part for part in query.split("&") if part and part.partition("=")[0] != "key"]
    return "&".join((*rest, f"key={quote(key, safe='')}"))


def websocket_url(url: str) -> str:
    """``wss://`` for ``https://``, ``ws://`` for ``http://``; anything else as it is."""
    return f"ws{url[4:]}" if url.startswith(("http://", "https://")) else url


def _clean_path(path: str) -> str:
    if not path.startswith("/"):
        path = f"/{path}"
    if has_dot_segments(path):
        raise BadRequest("The path holds '.' or '..' segments. Send the path that the provider documents.")
    return path if _PLAIN_PATH.fullmatch(path) else quote(path, safe=_PATH_CHARACTERS)


def _clean_query(query: str) -> str:
    return query if _PLAIN_QUERY.fullmatch(query) else quote(query, safe="!$&'()*+,;=:@/%~-._?[]{}|^`\"<>\\")


def is_version(segment: str) -> bool:
    """Whether a path segment names an API version: ``v1``, ``v1beta``, ``v1alpha1``, ``v2.1``."""
    return _VERSION.fullmatch(segment) is not None


@lru_cache(maxsize=512)
def _place(base_path: str, path: str, dialect: str, api_path: str, native_paths: tuple[str, ...]) -> str:
    base = _segments(base_path)
    api = _segments(api_path)
    rest = path.split("/")[1:]
    if any(path == native or path.startswith(f"{native}/") for native in native_paths):
        return "/" + "/".join((*_api_root(base, api), *rest))
    overlap = _overlap(base, rest)
    if overlap:
        rest = rest[overlap:]
    elif dialect == "azure":
        base, rest = _place_azure(base, rest)
    elif dialect == "openai":
        # A client of this provider's own SDK sends the whole API path even where base_url points somewhere else.
        rest = rest[len(api) :] if len(api) > 1 and rest[: len(api)] == api else rest
        if rest and (rest[0] == "v1" or (_ends_in_version(base) and is_version(rest[0]))):
            rest = rest[1:]
    elif _ends_in_version(base) and is_version(rest[0]):
        rest = rest[1:]
    return "/" + "/".join((*base, *rest)) if rest else "/" + "/".join(base)


def _place_azure(base: list[str], rest: list[str]) -> tuple[list[str], list[str]]:
    if rest[0] == "openai":
        return base, rest
    if rest[0] == "v1":
        rest = rest[1:]
    if not base:
        return ["openai", "v1"], rest
    return ([*base, "v1"], rest) if base[-1] == "openai" else (base, rest)


def _is_azure_v1(path: str) -> bool:
    return "/openai/v1" in path


def _segments(path: str) -> list[str]:
    return path.strip("/").split("/") if path.strip("/") else []


def _overlap(base: list[str], rest: list[str]) -> int:
    """How many segments at the end of ``base`` are also the beginning of ``rest``: the longest such run."""
    return next((n for n in range(min(len(base), len(rest)), 0, -1) if base[-n:] == rest[:n]), 0)


def _ends_in_version(base: list[str]) -> bool:
    # "/v1/openai" and "/v1beta/openai" are what OpenAI SDKs are given for providers with a compatibility layer.
    if len(base) > 1 and base[-1] == "openai":
        return is_version(base[-2])
    return bool(base) and is_version(base[-1])


def _api_root(base: list[str], api: list[str]) -> list[str]:
    if api and base[-len(api) :] == api:
        return base[: -len(api)]
    return base[:-1] if base and is_version(base[-1]) else base

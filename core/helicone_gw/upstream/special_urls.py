"""URLs that are not a provider's http(s) ones: those of a server on a unix socket, and those of a proxy."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes, urlsplit

UNIX_SCHEME = "http+unix"
"""``http+unix://%2Frun%2Fserver.sock/v1``: the socket's path, percent-encoded, in the place of the host (the
spelling of requests-unixsocket and Docker's SDK)."""

MAX_SOCKET_PATH = 107
"""Longest path of a unix socket, in bytes (``sun_path`` of Linux, without its NUL)."""

SOCKS_SCHEMES = ("socks5", "socks5h")
PROXY_SCHEMES = ("http", "https", *SOCKS_SCHEMES)

_UNIX = re.compile(rf"{re.escape(UNIX_SCHEME)}://([^/?#]*)([^?#]*)(?:\?([^#]*))?", re.ASCII | re.IGNORECASE)
_ENCODED = re.compile(r"(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})+", re.ASCII)


def split_unix(url: str) -> tuple[str, str, str] | None:
    """Authority (the socket's path in its one canonical encoding), path and query; ``None`` for any other scheme.

    Raises `ValueError`, whose message says what is wrong, when it is a unix socket's URL and no usable one.
    """
    match = _UNIX.fullmatch(url)
    if match is None:
        if url.lower().startswith(f"{UNIX_SCHEME}:"):
            raise ValueError(f"it is not of the form {UNIX_SCHEME}://%2Fpath%2Fof%2Fsocket[/path]")
        return None
    if not _ENCODED.fullmatch(match[1]):
        raise ValueError("the path of its socket is missing, or not percent-encoded ('/' is %2F)")
    socket = unquote_to_bytes(match[1])
    if not socket.startswith(b"/"):
        raise ValueError("the path of its socket is not an absolute one (it begins with %2F)")
    if b"\0" in socket or b".." in socket.split(b"/") or len(socket) > MAX_SOCKET_PATH:
        raise ValueError(f"the path of its socket holds NUL or '..', or is longer than {MAX_SOCKET_PATH} bytes")
    return quote(socket, safe=""), match[2], match[3] or ""


def check_proxy(url: str) -> str:
    """``url``, if a proxy's that can be used; it may hold a user and a password.

    Raises `ValueError`, whose message does not repeat it.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in PROXY_SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isascii() or not url.isprintable() or " " in url:
        schemes = ", ".join(f"{scheme}://" for scheme in PROXY_SCHEMES)
        raise ValueError(f"should be the URL of a proxy, host and port after one of {schemes}")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("has a path, a query or a fragment, which the URL of a proxy has not")
    return url

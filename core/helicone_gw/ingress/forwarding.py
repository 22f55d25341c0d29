"""Forwarding: what of a client's headers and query may go on to a provider."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from urllib.parse import unquote_plus

from helicone_gw.headers import Headers, Selection, value_of
from helicone_gw.ingress.paths import looks_like_key

CREDENTIAL_FIELDS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
"""The fields that carry a key, of ours or a provider's, in the order in which they are tried."""
WEBSOCKET_KEY = "openai-insecure-api-key."
"""How a browser's WebSocket carries a key to openai: as a subprotocol with this prefix."""
OUR_COOKIES = ("helicone_gw", "__Host-helicone_gw", "__Secure-helicone_gw")
"""Cookies whose name starts so are the gateway's own; prefixes are promises to browsers (RFC 6265bis 4.1.3)."""

# RFC 9110 7.6.1, and what else concerns only the client's connection to us (7.2, 8.6, 10.1.1, 11.7; RFC 6455 4.1).
_OF_THIS_HOP = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer transfer-encoding "
    b"upgrade http2-settings host expect content-length "
    b"sec-websocket-key sec-websocket-version sec-websocket-extensions".split()
)
# Where a client sits is nobody's business upstream, and a provider could not trust it anyway.
_ABOUT_THE_CLIENT = frozenset(
    b"forwarded via x-real-ip x-client-ip x-cluster-client-ip true-client-ip cf-connecting-ip fly-client-ip".split()
)
# Back ends that honour them would do another thing than the one that was permitted.
_OVERRIDES = frozenset(b"x-http-method-override x-http-method x-method-override x-original-url x-rewrite-url".split())
_CREDENTIALS = frozenset(name.encode() for name in CREDENTIAL_FIELDS)
_DROPPED = _OF_THIS_HOP | _ABOUT_THE_CLIENT | _OVERRIDES | _CREDENTIALS
_LISTS = frozenset({b"cookie", b"sec-websocket-protocol"})
_SHORTEST_SEARCHED = 8


def forwardable(headers: Headers, secrets: Collection[str]) -> Headers:
    """The headers without ``Helicone-*``, credentials, our cookies, and what belongs to the client's own connection.

    ``secrets`` are gateway keys that were found in the request: a field that holds one of them is dropped, whatever its
    name; keys shorter than 8 characters only when they are the whole value.
    """
    kept: Sequence[tuple[bytes, bytes]] = _PASSING(headers)
    first = headers.first
    if b"connection" in first:
        named = {token.strip().lower() for value in headers.get_all("connection") for token in value.split(",")}
        kept = [field for field in kept if field[0].decode("latin-1") not in named]
    if b"cookie" in first or b"sec-websocket-protocol" in first:
        kept = [field for name, value in kept if (field := (name, _cleaned(name, value)))[1] or name not in _LISTS]
    if secrets:
        hidden = _encoded(secrets)
        together = b"\n".join(map(value_of, kept))
        if any(secret in together for secret in hidden):
            kept = [field for field in kept if not _holds(field[1], hidden)]
    return Headers.of_lower_case(kept)


_PASSING = Selection(lambda name: not (name in _DROPPED or name.startswith((b"helicone-", b"x-forwarded-"))))


def _cleaned(name: bytes, value: bytes) -> bytes:
    if name == b"cookie":
        return _without_parts(value, b";", b"; ", tuple(name.encode() for name in OUR_COOKIES))
    if name == b"sec-websocket-protocol":
        return _without_parts(value, b",", b", ", (WEBSOCKET_KEY.encode(),))
    return value


def without_keys(query: str, secrets: Collection[str]) -> tuple[str, list[str]]:
    """The query without ``key=`` and without any parameter that holds a gateway key; and the values of ``key``.

    Every other byte stays as it was.
    """
    if not query:
        return "", []
    kept: list[str] = []
    keys: list[str] = []
    for parameter in query.split("&"):
        raw_name, _, raw_value = parameter.partition("=")
        name, value = unquote_plus(raw_name), unquote_plus(raw_value)
        if name == "key":
            keys.append(value)
        elif not any(looks_like_key(text) or holds_secret(text.encode(), secrets) for text in (name, value)):
            kept.append(parameter)
    return "&".join(kept), [value for value in keys if value]


def holds_secret(value: bytes, secrets: Collection[str]) -> bool:
    """Whether ``value`` is one of ``secrets``, or contains one that is long enough (8) not to be there by chance."""
    return _holds(value, _encoded(secrets))


def _encoded(secrets: Collection[str]) -> list[bytes]:
    return [text.encode(errors="replace") for text in secrets if text]


def _holds(value: bytes, secrets: list[bytes]) -> bool:
    return any(value == secret or (len(secret) >= _SHORTEST_SEARCHED and secret in value) for secret in secrets)


def _without_parts(value: bytes, separator: bytes, joiner: bytes, prefixes: tuple[bytes, ...]) -> bytes:
    parts = [part.strip() for part in value.split(separator)]
    if not any(part.startswith(prefixes) for part in parts):
        return value
    return joiner.join(part for part in parts if part and not part.startswith(prefixes))

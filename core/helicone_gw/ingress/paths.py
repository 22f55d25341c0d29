"""Paths: the raw path of a request made safe to route by, with a gateway key in it taken out.

Nothing is normalised that need not be: segments keep their percent-encoding, and only bytes that no URI may hold are
encoded (RFC 3986 2.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

KEY_PREFIXES = ("sk-helicone", "pk-helicone")
"""How Helicone's own keys begin; only these are recognised inside a path."""

_NOT_IN_A_PATH = re.compile(rb"[^\x21-\x7e]|[#?\\]")
_SEPARATORS = re.compile(r"[/\\]")
_MAX_DECODINGS = 4


@dataclass(frozen=True, slots=True)
class ClientPath:
    """``path`` starts with exactly one ``/``; ``key`` was a segment of it; ``problem`` says why it is refused."""

    path: str
    key: str | None = field(default=None, repr=False)
    problem: str | None = None


def looks_like_key(value: str) -> bool:
    """Whether ``value`` begins like one of Helicone's own keys, and so never is a provider's."""
    return value.startswith(KEY_PREFIXES)


def read_path(raw: bytes) -> ClientPath:
    """Read the raw path of a request line. Never raises."""
    if not raw.startswith(b"/"):
        return ClientPath("/", problem="The request target is not an absolute path.")
    # Clients join a base URL that ends in "/" with a path that starts with one; and a path that starts with "//"
    # would name another host if it were resolved against a base.
    text = "/" + _encode(raw).lstrip("/")
    if "helicone" not in text and "%" not in text and "/." not in text and b"\\" not in raw:
        return ClientPath(text)
    kept: list[str] = []
    key: str | None = None
    problem: str | None = None
    for segment in text[1:].split("/"):
        decoded = _decode(segment)
        if decoded is None:
            problem = problem or "The path is percent-encoded too many times."
            continue
        pieces = _SEPARATORS.split(decoded)
        if any(piece.partition(";")[0] in (".", "..") for piece in pieces):
            problem = problem or "The path contains a dot segment."
        keys = [piece for piece in pieces if looks_like_key(piece)]
        if keys:
            key = key or keys[0]
            if len(pieces) > 1:
                problem = problem or "A gateway key in the path must be a segment of its own."
        else:
            kept.append(segment)
    return ClientPath("/" + "/".join(kept).lstrip("/"), key, problem)


def read_query(raw: bytes) -> str:
    """The query string as text; bytes that no URI may hold are percent-encoded."""
    return re.sub(rb"[^\x21-\x7e]|#", _percent, raw).decode("ascii")


def _encode(raw: bytes) -> str:
    return _NOT_IN_A_PATH.sub(_percent, raw).decode("ascii")


def _percent(found: re.Match[bytes]) -> bytes:
    return b"%%%02X" % found.group()[0]


def _decode(segment: str) -> str | None:
    """The segment as the most eager decoder downstream would see it; ``None`` when there is no end to decoding."""
    for _ in range(_MAX_DECODINGS):
        if "%" not in segment:
            return segment
        decoded = unquote_to_bytes(segment).decode("latin-1")
        if decoded == segment:
            return segment
        segment = decoded
    return None if unquote_to_bytes(segment).decode("latin-1") != segment else segment

"""Screening: what the heads of requests may say where servers differ, and the answer to those that say otherwise.

The ready-made engines let some of it through, and servers that read one request differently are how requests get
smuggled past a gateway (RFC 9112 sections 3.2, 6.1 and 11.2). The rules are the same for every engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import NamedTuple

from helicone_gw.dialects import error_format
from helicone_gw.dialects.base import ErrorFacts
from helicone_gw.headers import RawHeaders, name_of

HOST = re.compile(rb"(?:[A-Za-z0-9!$&'()*+,;=._~%-]*|\[[0-9A-Za-z:.%]+\])(?::[0-9]*)?")
"""A name or address with an optional port (RFC 9110 section 7.2, RFC 3986 section 3.2.2); it may be empty."""

CLOSE = b"connection", b"close"


class Refusal(NamedTuple):
    """Why a request is refused: the status of the answer, and its message."""

    status: int
    message: str


NO_PROXY = Refusal(501, "This is no proxy: CONNECT is not supported.")
MALFORMED = Refusal(400, "This is not an HTTP request, or not one that can be told apart from the next.")
HEAD_TOO_LARGE = Refusal(431, "The head of the request is too large.")
TARGET_TOO_LONG = Refusal(414, "The target of the request is too long.")


def screened(http_version: str, headers: Iterable[tuple[bytes, bytes]]) -> Refusal | None:
    """Why an HTTP/1 request with these fields (names in lower case) is refused, or ``None``."""
    fields = tuple(headers)
    names = tuple(map(name_of, fields))
    first = dict(reversed(fields))
    host = first.get(b"host")
    if host is not None and HOST.fullmatch(host) is None:
        return Refusal(400, "The Host field holds no host.")
    if names.count(b"host") > 1 or (not host and http_version != "1.0"):
        return Refusal(400, "A request needs exactly one Host field, with a host in it.")
    if b"transfer-encoding" not in first:
        return None
    coding = b",".join([value for name, value in fields if name == b"transfer-encoding"])
    if b"content-length" in first or http_version == "1.0":
        return Refusal(400, "The length of the body is given in more ways than one.")
    if coding.strip().lower() != b"chunked":
        return Refusal(501, "The only transfer coding that is understood is chunked.")
    return None


def answer(refusal: Refusal) -> tuple[RawHeaders, bytes]:
    """Fields (they end the connection) and body, in the shape of OpenAI's errors, of the answer to a ``refusal``."""
    phrase = HTTPStatus(refusal.status).phrase.lower().replace(" ", "_")
    facts = ErrorFacts(refusal.status, "invalid_request_error", phrase, refusal.message)
    body = error_format("openai").body(facts)
    length = b"%d" % len(body)
    return ((b"content-type", b"application/json"), (b"content-length", length), CLOSE), body

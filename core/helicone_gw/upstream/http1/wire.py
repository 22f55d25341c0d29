"""A request ready for the wire, and its bytes: nothing in it can end a line, a head or a message early."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import httpx

from helicone_gw.headers import ByNames, name_of, value_of

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET = re.compile(rb"[\x21-\x7e]+")
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_WITH_LENGTH = frozenset({b"POST", b"PUT", b"PATCH"})

MAX_KNOWN = 1024
"""Methods with their targets whose check is remembered."""

MAX_KNOWN_TARGET = 1024
"""Longest target whose check is remembered, in bytes."""


class Origin(NamedTuple):
    """Where a connection goes. ``address`` (an IP address) goes before resolving ``host``; ``server_name`` is what TLS
    asks for and verifies, ``host`` where it is ``None``."""

    scheme: str
    host: str
    port: int
    address: str | None = None
    server_name: str | None = None


class Patience(NamedTuple):
    """Seconds: to connect, to get a place in the pool, from the call to the head of the reply, to get rid of a piece of
    the request, from the end of the request to the head, between two pieces of the body. ``inf`` waits for ever."""

    connect: float
    pool: float
    total: float
    write: float
    head: float
    idle: float


@dataclass(slots=True)
class WireRequest:
    """One request. ``headers`` are sent as they are, ``Host`` among them; the framing follows from ``body``. ``lines``:
    the same, where `field_lines` made them before.

    ``body``: all of it, or a stream of pieces whose size is ``length`` where that is known (chunked otherwise).
    ``patience`` is the transport's own where it is ``None``; ``first_byte`` (seconds) goes before its ``total``.
    """

    method: bytes
    origin: Origin
    target: bytes = field(repr=False)
    headers: Sequence[tuple[bytes, bytes]] = field(repr=False)
    body: bytes | AsyncIterator[bytes] | None = field(default=None, repr=False)
    length: int | None = None
    first_byte: float | None = None
    patience: Patience | None = None
    lines: bytes | None = field(default=None, repr=False)


def request_head(request: WireRequest) -> bytes:
    """Request line and fields of ``request``, to the empty line (RFC 9112 2.1, 6.2).

    Raises `httpx.LocalProtocolError` for anything that would be read as something else: a method or name that is no
    token, blanks or controls in the target, CR, LF or NUL in a value, framing among the fields.
    """
    body = request.body
    target = request.target
    start = _start(request.method, target) if len(target) <= MAX_KNOWN_TARGET else _checked(request.method, target)
    lines = field_lines(request.headers) if request.lines is None else request.lines
    if isinstance(body, bytes):
        if body or request.method in _WITH_LENGTH:
            return b"%b%b\r\ncontent-length: %d\r\n\r\n" % (start, lines, len(body))
    elif body is not None:
        length = request.length
        if length is None:
            return b"%b%b\r\ntransfer-encoding: chunked\r\n\r\n" % (start, lines)
        if length < 0:
            raise httpx.LocalProtocolError("a negative length")
        return b"%b%b\r\ncontent-length: %d\r\n\r\n" % (start, lines, length)
    elif request.method in _WITH_LENGTH:
        return b"%b%b\r\ncontent-length: 0\r\n\r\n" % (start, lines)
    return b"%b%b\r\n\r\n" % (start, lines)


def field_lines(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The lines of ``headers``, each with a line end before it. Raises what `request_head` does for them."""
    values = tuple(map(value_of, headers))
    lines = _template(tuple(map(name_of, headers))) % values
    # One look at the whole instead of one at every value: more line ends than lines are somebody's injection.
    if lines.count(b"\n") != len(values) or lines.count(b"\r") != len(values) or b"\0" in lines:
        raise httpx.LocalProtocolError("a header value holds CR, LF or NUL")
    return lines


@ByNames
def _template(names: tuple[bytes, ...]) -> bytes:
    """The lines of a request with these names, but for the values."""
    for name in names:
        if not _TOKEN.fullmatch(name):
            raise httpx.LocalProtocolError("a header name is malformed")
        if name.lower() in _FRAMING:
            raise httpx.LocalProtocolError("the framing follows from the body and is no header field")
    return b"".join([b"\r\n" + name.replace(b"%", b"%%") + b": %b" for name in names])


def _checked(method: bytes, target: bytes) -> bytes:
    # A tunnel's reply would be read as an ordinary one.
    if not _TOKEN.fullmatch(method) or not _TARGET.fullmatch(target) or method == b"CONNECT":
        raise httpx.LocalProtocolError("the method or the target is malformed")
    return b"%b %b HTTP/1.1" % (method, target)


_start = lru_cache(maxsize=MAX_KNOWN)(_checked)

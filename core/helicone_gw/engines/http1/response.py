"""Framing answers, without I/O: an application's status, fields and pieces in, bytes for the wire out (RFC 9112)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import NamedTuple

from helicone_gw.engines.http1.errors import BadAnswer
from helicone_gw.engines.http1.head import Request
from helicone_gw.headers import ByNames, Picker, name_of, picking, value_of

LAST_CHUNK = b"0\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode("ascii") for status in HTTPStatus}
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

_PLAIN, _LENGTH, _CODING, _CONNECTION, _HOP = range(5)
_KINDS = {
    b"content-length": _LENGTH,
    b"transfer-encoding": _CODING,
    b"connection": _CONNECTION,
    b"keep-alive": _HOP,
    b"proxy-connection": _HOP,
}


class Answer:
    """The answer to one request: its head, then its pieces.

    The head is held until the first piece is known: it then says how long a body is that is there already.
    """

    __slots__ = ("_bodiless", "_chunked", "_fields", "_remaining", "_request", "_status", "close", "status")

    def __init__(self, request: Request, status: int, fields: Iterable[tuple[bytes, bytes]], *, close: bool) -> None:
        """``close``: the connection ends with this answer. Raises `BadAnswer` for what no head can say."""
        if not 200 <= status <= 999:
            raise BadAnswer("the status of an answer is a number from 200 to 999")
        self._request = request
        self.status = status
        self.close = close or not request.keep_alive
        self._bodiless = status in (204, 304) or request.method == "HEAD"
        self._chunked = False
        self._remaining: int | None = None
        given = tuple(fields)
        plan = _plan(tuple(map(name_of, given)), status != 204)
        for place in plan.lengths:
            self._announce(given[place][1])
        for place in plan.connections:
            if b"close" in given[place][1].lower():
                self.close = True
        values = tuple(map(value_of, plan.passing(given)))
        text = self._fields = (_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status) + plan.lines % values
        ends = 1 + len(values)
        if text.count(b"\n") != ends or text.count(b"\r") != ends or b"\0" in text:
            raise BadAnswer("a field of the answer has CR, LF or NUL in it")

    def _announce(self, value: bytes) -> None:
        length = int(value) if value.isdigit() else -1
        if length < 0 or self._remaining not in (None, length):
            raise BadAnswer("the Content-Length of the answer is no length")
        self._remaining = length

    @property
    def complete(self) -> bool:
        """Whether all that was announced has been framed: nothing that comes later can add to it."""
        return self._remaining == 0 or self._bodiless

    def begin(self, data: bytes, more: bool) -> bytes:
        """The head with the first piece. Raises `BadAnswer`, as `piece` does."""
        head = self._fields
        if self._remaining is None and not self._bodiless:
            if not more:
                self._remaining = len(data)
                head += b"content-length: %d\r\n" % len(data)
            elif self._request.version == "1.1":
                self._chunked = True
                head += b"transfer-encoding: chunked\r\n"
            else:
                self.close = True
        if self.close:
            head += b"connection: close\r\n\r\n"
        elif self._request.version == "1.0":
            head += b"connection: keep-alive\r\n\r\n"
        else:
            head += b"\r\n"
        return head + self.piece(data, more)

    def piece(self, data: bytes, more: bool) -> bytes:
        """One piece; ``more`` says whether others follow. Raises `BadAnswer` where it does not fit what was said."""
        if self._bodiless:
            return b""
        if self._chunked:
            if data:
                framed = b"%x\r\n%b\r\n" % (len(data), data)
                return framed if more else framed + LAST_CHUNK
            return b"" if more else LAST_CHUNK
        if self._remaining is not None:
            self._remaining -= len(data)
            if self._remaining < 0:
                raise BadAnswer("the answer is longer than its Content-Length")
            if self._remaining and not more:
                raise BadAnswer("the answer is shorter than its Content-Length")
        return data

    @property
    def ends_with_connection(self) -> bool:
        """Whether the end of the connection is the only sign of the end: cut short, it must then be reset."""
        return not self._chunked and self._remaining is None and not self._bodiless


class _Plan(NamedTuple):
    """What becomes of the fields of an answer with certain names.

    ``passing`` picks those that are sent, ``lines`` are theirs but for the values; ``lengths`` and ``connections`` are
    the places of those that say how long the body is, and what becomes of the connection: that is for us to say.
    """

    passing: Picker
    lines: bytes
    lengths: tuple[int, ...]
    connections: tuple[int, ...]


@ByNames
def _plan(names: tuple[bytes, ...], with_length: bool) -> _Plan:
    for name in names:
        if _TOKEN.fullmatch(name) is None:
            raise BadAnswer("the name of a field of the answer is no token")
    kinds = [_KINDS.get(name.lower(), _PLAIN) for name in names]
    places = [place for place, kind in enumerate(kinds) if kind == _PLAIN or (kind == _LENGTH and with_length)]
    return _Plan(
        picking(places, len(names)),
        b"".join([bytes(names[place]).replace(b"%", b"%%") + b": %b\r\n" for place in places]),
        tuple([place for place, kind in enumerate(kinds) if kind == _LENGTH]),
        tuple([place for place, kind in enumerate(kinds) if kind == _CONNECTION]),
    )

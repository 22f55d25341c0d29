"""Reading one reply, sans I/O: bytes in, status, fields and body pieces out; strict, bounded, the same at every split.

llhttp (through httptools) reads heads and chunks. It is handed one head at a time, so that it is known where the body
begins: a body of known length, or one that ends with the connection, is then only counted and never copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import httpx
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from helicone_gw.headers import fields_of

MAX_HEAD = 65536
"""Bytes of all heads of one reply together, interim ones included; also the most that trailers may take."""

MAX_FIELDS = 200
"""Header fields of one head."""

MAX_INTERIM = 32
"""Interim replies (1xx) before the final one."""

CHUNK_OVERHEAD = 20
"""Bytes of framing that a chunk may need: a size of 16 digits and two line ends."""

_VERSIONS = (b"HTTP/1.1 ", b"HTTP/1.0 ")
_END = b"\r\n\r\n"
_BODILESS = frozenset({204, 304})


class ReplyParser:
    """Reads one reply (RFC 9112) and no more: what follows it is not looked at, only noticed.

    ``to_head`` says that the request was a HEAD, whose reply has no body whatever its fields say (RFC 9112 6.3).

    - ``head_done``: ``status``, ``headers`` (names in lower case, values without blanks around them) and
      ``keep_alive`` are final.
    - ``keep_alive_field``: ``Keep-Alive``, if there is one.
    - ``pieces``: what has come of the body; whoever takes it out clears the list.
    - ``complete``: the reply is over; ``surplus`` then says whether bytes came that do not belong to it, in which case
      nothing may be asked on this connection again.
    - ``started``: at least one byte has come.

    Stricter than llhttp where the framing is concerned: a reply is refused when it holds more than one coding, any but
    ``chunked`` or one in HTTP/1.0 (a smuggler's tools: RFC 9112 6.1), both length and coding, two lengths, line folding
    or a bare CR or LF. Trailers are read and dropped.
    """

    # What a reply begins with, and most have all their life, is the class's: an object is made for each of them.
    status = 0
    headers: Sequence[tuple[bytes, bytes]] = ()
    keep_alive = False
    keep_alive_field: bytes | None = None
    started = False
    head_done = False
    complete = False
    surplus = False
    _head = b""
    _held: bytes | None = b""
    _tail = b""
    _size = 0
    _interim = 0
    _old = False
    _overhead = 0
    _left = -1

    def __init__(self, to_head: bool = False) -> None:
        self.pieces: list[bytes] = []
        self._to_head = to_head
        # A list's own method: no Python frame for a chunk.
        self.on_body = self.pieces.append
        self._llhttp: HttpResponseParser | None = HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Take what has arrived, a piece of any size. Raises `httpx.RemoteProtocolError`; nothing may be fed after."""
        self.started = True
        if not self.head_done:
            data = self._feed_head(data)
            if not data:
                return
        if self.complete:
            self.surplus = True
        elif self._left > 0:
            left = self._left - len(data)
            if left > 0:
                self.pieces.append(data)
            else:
                self.complete = True
                if left < 0:
                    self.surplus = True
                    data = data[:left]
                self.pieces.append(data)
            self._left = left
        elif self._llhttp is not None:
            self._feed_chunks(data)
        else:
            self.pieces.append(data)

    def feed_eof(self) -> None:
        """The server will send no more: the end of a body without length (RFC 9112 6.3, rule 8), or of an error.

        Raises `httpx.RemoteProtocolError` when the reply is not over.
        """
        if self.complete:
            return
        if not self.started:
            _refuse("the server closed the connection without a reply")
        if not self.head_done or self._left > 0 or self._llhttp is not None:
            _refuse("the reply was cut short")
        self.complete = True

    def close(self) -> None:
        """Let go of llhttp, which holds this object in turn."""
        self._llhttp = None

    def _feed_head(self, data: bytes) -> bytes:
        """Read heads up to the final one; what is left over is the body's."""
        while data:
            if self._held is not None:
                data = self._held + data
                if not data.startswith(_VERSIONS):
                    if len(data) < 9 and (_VERSIONS[0].startswith(data) or _VERSIONS[1].startswith(data)):
                        self._held = data
                        return b""
                    _refuse("the reply is not HTTP/1")
                self._held = None
                self._old = data[7] == 48  # "0"
            tail = self._tail
            joined = tail + data if tail else data
            end = joined.find(_END)
            head = data if end < 0 else data[: end + 4 - len(tail)]
            self._size += len(head)
            if self._size > MAX_HEAD:
                _refuse("the head of the reply is too large")
            if b"\0" in head:
                _refuse("the head of the reply holds NUL")
            self._read(head)
            self._head = self._head + head if self._head else head
            if end < 0:
                self._tail = joined[-3:]
                return b""
            self._tail = b""
            if self.status == 0:
                _refuse("the head of the reply is malformed")
            data = data[len(head) :]
            if self._head.count(b"\r\n") > MAX_FIELDS + 2:
                _refuse("the reply has too many fields")
            if self.status >= 200:
                self.headers = fields_of(self._head)  # llhttp would call back for every one of them
                self._head = b""
                self._begin_body()
                return data
            self._interim += 1
            if self._interim > MAX_INTERIM:
                _refuse("too many interim replies")
            self.status = 0
            self._head = b""
            self._held = b""
        return b""

    def _begin_body(self) -> None:
        self.head_done = True
        fields = dict(self.headers)
        self.keep_alive_field = fields.get(b"keep-alive")
        coding = fields.get(b"transfer-encoding")
        # llhttp has refused two lengths, a length beside a coding, and lengths that are no numbers.
        length = fields.get(b"content-length")
        if coding is not None and not self._to_head and self.status not in _BODILESS:
            if (
                self._old
                or coding.lower() != b"chunked"
                or sum(name == b"transfer-encoding" for name, _ in self.headers) > 1
            ):
                _refuse("the reply's transfer coding is not 'chunked' alone")
            return
        if self._to_head or self.status in _BODILESS or length == b"0":
            self.complete = True
        elif length is not None:
            self._left = int(length)
            self.complete = self._left == 0
        else:
            self.keep_alive = False
        self._llhttp = None

    def _feed_chunks(self, data: bytes) -> None:
        pieces = self.pieces
        had = len(pieces)
        try:
            self._read(data)
        except httpx.RemoteProtocolError:
            # Whatever came behind the end of the reply is no error of the reply.
            if not self.complete:
                raise
            self.surplus = True
        # A reply ends with an empty line behind a line that is not empty: llhttp would pass over further ones.
        tail = self._tail = data[-5:] if len(data) > 4 else (self._tail + data)[-5:]
        if self.complete:
            if not tail.endswith(_END) or tail[0] in _END:
                self.surplus = True
            self._llhttp = None
            return
        # Extensions and trailers carry nothing for anybody: without a bound they could go on for ever.
        new = pieces[had:] if had else pieces
        overhead = self._overhead + len(data) - sum(map(len, new)) - CHUNK_OVERHEAD * len(new)
        if overhead > MAX_HEAD:
            _refuse("chunk extensions or trailers of the reply are too large")
        self._overhead = max(overhead, 0)

    def _read(self, data: bytes) -> None:
        try:
            self._llhttp.feed_data(data)  # type: ignore[union-attr]
        except HttpParserError as problem:
            _refuse("the reply is malformed", problem.__context__ if _is_ours(problem.__context__) else problem)
        except HttpParserUpgrade:
            _refuse("the server switched protocols unasked")

    # What llhttp calls

    def on_headers_complete(self) -> None:
        """The end of a head. llhttp forgets what it knows of it as soon as a message without a body ends."""
        if self.head_done:
            # A second reply in one piece with the end of the first.
            self.surplus = True
            _refuse("a reply that nobody asked for")
        llhttp = self._llhttp
        assert llhttp is not None
        self.status = llhttp.get_status_code()
        if not 100 <= self.status <= 999 or self.status == 101:
            _refuse("the server switched protocols unasked" if self.status == 101 else "the reply has no valid status")
        self.keep_alive = llhttp.should_keep_alive()

    def on_message_complete(self) -> None:
        """The end of a chunked body; of other messages this object itself counts the bytes."""
        if self.head_done:
            self.complete = True


def _is_ours(problem: BaseException | None) -> bool:
    return isinstance(problem, httpx.RemoteProtocolError)


def _refuse(message: str, cause: BaseException | None = None) -> NoReturn:
    if isinstance(cause, httpx.RemoteProtocolError):
        raise cause
    raise httpx.RemoteProtocolError(message) from cause

"""Reading requests, without I/O: bytes in, one request at a time out, with its framing and its fields checked.

llhttp (through httptools) is the judge of the grammar: it refuses bare CR and LF, NUL, folded lines, space before a
colon, Content-Length that is anything but one row of digits or stands beside Transfer-Encoding, and chunk sizes that
are not hexadecimal (RFC 9112). It is never given a byte beyond the end of a message: every head, and every chunked
body, ends with the first CRLF CRLF at which llhttp says so, and of a counted body the end is known. What follows a
message is handed back and read when its turn has come. A head that a client sends again is known by its bytes.
"""

from __future__ import annotations

import re

import httptools

from helicone_gw.engines.http1.errors import BadMessage
from helicone_gw.engines.http1.head import Request
from helicone_gw.engines.http1.limits import Limits
from helicone_gw.engines.http1.repeating import MAX_DIGITS, RepeatedHead
from helicone_gw.engines.http1.target import Target, parse_target, valid_host
from helicone_gw.headers import fields_of

CRLF = b"\r\n"
END = b"\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""How a client begins that speaks HTTP/2 without asking (RFC 9113 section 3.4)."""

_UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*", re.IGNORECASE)
_DATA_PER_FRAMING = 8


class RequestReader:
    """Reads the requests of one connection, one after the other.

    `feed` it what arrives. ``request`` is the head, once it is there, ``held`` how many bytes of the body wait to be
    taken with `take`, ``complete`` says whether all of it was there. Then `next` makes it ready for another request.
    ``websocket`` says that the client asks for a WebSocket: `feed` is then over, and ``head`` is what was read.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._host_seen: bytes | None = None
        self._target_seen = b""
        self._target_read: Target | None = None
        self._repeated: RepeatedHead | None = None
        self._parser = httptools.HttpRequestParser(self)
        self.next()

    def next(self) -> None:
        """Begin another request."""
        self.request: Request | None = None
        self.body: list[bytes] = []
        self.held = 0
        self.complete = False
        self.websocket = False
        self.head = b""
        self._target = b""
        self._tail = b""
        self._remaining = 0
        self._counting = False
        self._framing = 0

    @property
    def started(self) -> bool:
        """Whether anything of a request is there."""
        return bool(self.head)

    def feed(self, data: bytes) -> bytes:
        """Read on; what lies beyond the request is given back. Raises `BadMessage`: nothing more can be read then."""
        if self._repeated is not None and not self.head:
            data = self._read_again(data, self._repeated)
        while data and not (self.complete or self.websocket):
            if self._remaining:
                piece = data[: self._remaining]
                self._remaining -= len(piece)
                if self._counting:
                    self.body.append(piece)
                    self.held += len(piece)
                    self.complete = self._remaining == 0
                else:
                    self._parse(piece)
            else:
                seen = self._tail + data
                end = seen.find(END)
                piece = data if end < 0 else data[: end + len(END) - len(self._tail)]
                self._tail = seen[1 - len(END) :] if end < 0 else b""
                if self.request is None:
                    if not self.head and data[0] in CRLF:
                        data = data.lstrip(CRLF)  # before a request line it means nothing (RFC 9112 section 2.2)
                        self._tail = b""
                        continue
                    self._read_head(piece)
                else:
                    self._read_chunks(piece)
            data = data[len(piece) :]
        return data

    def _read_again(self, data: bytes, known: RepeatedHead) -> bytes:
        """What is left of ``data`` behind a head that is ``known``, and its body where that came with it."""
        again = known.repeated(data)
        if again is None:
            return data
        self.request, behind = again
        self.head = known.head
        length = self.request.length or 0
        end = behind + length
        if len(data) < end:
            self._counting, self._remaining = True, length
            return data[behind:]
        self.complete = True
        if length:
            self.body.append(data[behind:end])
            self.held = length
        return data[end:]

    def _read_head(self, piece: bytes) -> None:
        self.head += piece
        if len(self.head) > self._limits.target and self.head.find(CRLF, 0, self._limits.target) < 0:
            raise BadMessage(414, f"The request target is longer than {self._limits.target} bytes.")
        if len(self.head) > self._limits.head:
            raise BadMessage(431, f"The request's head is longer than {self._limits.head} bytes.")
        self._parse(piece)

    def _read_chunks(self, piece: bytes) -> None:
        self._framing += len(piece)
        self._parse(piece)
        if self._framing > self._limits.framing:
            raise BadMessage(400, "The chunks of the request's body carry too little for what surrounds them.")

    def _parse(self, piece: bytes) -> None:
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            if not self.websocket:
                self._without_upgrade()
        except httptools.HttpParserCallbackError as problem:
            raise problem.__context__ or problem from None
        except httptools.HttpParserError as problem:
            raise BadMessage(400, f"The request is no valid HTTP/1.1: {problem}.") from None

    def _without_upgrade(self) -> None:
        """Read the head again without its Upgrade, at which llhttp stops; a server may ignore it (RFC 9110 7.8)."""
        head = _UPGRADE.sub(b"", self.head)
        self._parser = httptools.HttpRequestParser(self)
        self.next()
        self._read_head(head)

    # What httptools calls.

    def on_url(self, url: bytes) -> None:
        """A piece of the request target."""
        self._target += url

    def on_headers_complete(self) -> None:
        """The end of the head."""
        parser = self._parser
        method = parser.get_method()
        if self.head.startswith(b"%b %b HTTP/1.1\r\n" % (method, self._target)):
            version = "1.1"
        elif self.head.startswith(b"%b %b HTTP/1.0\r\n" % (method, self._target)):
            version = "1.0"
        elif parser.get_http_version() not in ("1.0", "1.1"):
            raise BadMessage(505, "This is a server for HTTP/1.1.")
        else:
            raise BadMessage(400, "The request line is not a method, a target and a version, with one space between.")
        if method == b"CONNECT":
            raise BadMessage(501, "This server is no proxy for CONNECT.")
        name = method.decode("ascii")
        target = self._read_target(name)
        # llhttp would call back for every one of them.
        request = Request(name, target, version, fields_of(self.head), keep_alive=parser.should_keep_alive())
        self._check_fields(request, upgrade=parser.should_upgrade())
        self.request = request
        if self._remaining and len(self.head) + MAX_DIGITS <= self._limits.head:
            self._repeated = RepeatedHead.of(self.head, request)

    def _read_target(self, method: str) -> Target:
        target = self._target
        if self._target_read is not None and target == self._target_seen:
            return self._target_read  # clients ask for the same again and again
        read = parse_target(target, method)
        if target.startswith(b"/"):  # which means the same with every method
            self._target_seen, self._target_read = target, read
        return read

    def _check_fields(self, request: Request, *, upgrade: bool) -> None:
        fields = request.fields
        values = dict(fields)
        if len(fields) > self._limits.fields:
            raise BadMessage(431, f"The request has more than {self._limits.fields} fields.")
        if len(values) != len(fields):
            _check_duplicates(fields)
        host = values.get(b"host")
        if host is None:
            if request.version == "1.1":
                raise BadMessage(400, "The request has no Host.")
        elif host != self._host_seen:
            if not valid_host(host):
                raise BadMessage(400, "The request's Host is no host.")
            self._host_seen = host
        if request.target.host is not None:
            request.fields = [field for field in fields if field[0] != b"host"]
            request.fields.append((b"host", request.target.host))
        coding = values.get(b"transfer-encoding")
        if coding is not None:
            if request.version == "1.0":
                raise BadMessage(400, "HTTP/1.0 has no Transfer-Encoding.")
            if coding.lower() != b"chunked":
                raise BadMessage(501, "The only Transfer-Encoding understood here is chunked.")
        elif b"content-length" in values and not upgrade:
            self._remaining = request.length = int(values[b"content-length"])
        if b"expect" in values and request.version == "1.1":
            if values[b"expect"].lower() != b"100-continue":
                raise BadMessage(417, "The only expectation understood here is 100-continue.")
            request.expects_continue = True
        if upgrade and request.method == "GET" and request.version == "1.1":
            self.websocket = values[b"upgrade"].lower() == b"websocket"

    def take(self) -> bytes:
        """The pieces of the body that are there."""
        body = self.body
        taken = body[0] if len(body) == 1 else b"".join(body)
        self.body = []
        self.held = 0
        return taken

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self.body.append(data)
        self.held += len(data)
        self._framing -= len(data) * (1 + _DATA_PER_FRAMING)

    def on_message_complete(self) -> None:
        """The end of the request; llhttp says so too when it stops at an upgrade."""
        self.complete = self.request is not None and not self._parser.should_upgrade()


def _check_duplicates(fields: list[tuple[bytes, bytes]]) -> None:
    names = [name for name, _ in fields]
    for name in (b"host", b"transfer-encoding", b"content-length"):
        if names.count(name) > 1:
            raise BadMessage(400, f"The request has more than one {name.decode('ascii').title()}.")

"""HTTP/1.1 by hand (RFC 9112): reading requests from a socket, and writing answers that may be wrong on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import http
import socket
import struct

from helicone_gw.headers import Headers

_READ = 65536
_MAX_HEAD = 1 << 20


class Disconnected(Exception):
    """The client went away in the middle of something."""


class Wire:
    """One connection, seen from the provider's side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._buffer = bytearray()
        # drain() then waits until the kernel has every byte: an RST must not overtake them.
        writer.transport.set_write_buffer_limits(high=0)

    async def read_head(self) -> tuple[str, str, Headers] | None:
        """Method, target and fields of the next request; ``None`` at the end. Raises `Disconnected`, `ValueError`."""
        while b"\r\n\r\n" not in self._buffer:
            if len(self._buffer) > _MAX_HEAD:
                raise ValueError("the head of the request is too long")
            if not await self._fill():
                if self._buffer:
                    raise Disconnected
                return None
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        self._buffer[:] = rest
        first, *lines = head.split(b"\r\n")
        method, target, version = first.decode("latin-1").split(" ")
        if version not in ("HTTP/1.1", "HTTP/1.0"):
            raise ValueError(f"not an HTTP/1 request: {first!r}")
        fields = (line.partition(b":") for line in lines)
        return method, target, Headers((name, value.strip()) for name, _, value in fields)

    async def read_body(self, headers: Headers) -> bytes:
        """The request's body, chunks put together, trailers dropped. Raises `Disconnected`."""
        if "chunked" in (headers.get("transfer-encoding") or "").lower():
            body = bytearray()
            while size := int((await self._line()).partition(b";")[0], 16):
                body += await self._exactly(size)
                await self._line()
            while await self._line():
                pass
            return bytes(body)
        return await self._exactly(int(headers.get("content-length") or 0))

    async def write(self, data: bytes) -> None:
        """Hand ``data`` to the kernel. Raises `Disconnected`."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ConnectionError:
            raise Disconnected from None

    async def until_closed(self, *, keep: bool) -> None:
        """Return when the client closes or resets. What it sends meanwhile is kept for the next request, or dropped."""
        while await self._fill():
            if not keep:
                self._buffer.clear()

    def write_eof(self) -> None:
        """Send FIN and keep listening."""
        if not self._writer.transport.is_closing():
            self._writer.write_eof()

    def reset(self) -> None:
        """Send RST."""
        if not self._writer.transport.is_closing():
            # An abort alone would still be a FIN; lingering for zero seconds makes it an RST.
            raw: socket.socket = self._writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def abort(self) -> None:
        """Close at once, dropping what the client did not read."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """Close the connection, whatever state it is in."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    async def _fill(self) -> bool:
        try:
            data = await self._reader.read(_READ)
        except ConnectionError:
            return False
        self._buffer += data
        return bool(data)

    async def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            if not await self._fill():
                raise Disconnected
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    async def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            if not await self._fill():
                raise Disconnected
        line, _, rest = bytes(self._buffer).partition(b"\r\n")
        self._buffer[:] = rest
        return line


def head(status: int, headers: Headers) -> bytes:
    """An answer's head, fields as they are."""
    try:
        reason = http.HTTPStatus(status).phrase
    except ValueError:
        reason = ""
    lines = [f"HTTP/1.1 {status} {reason}".encode(), *(name + b": " + value for name, value in headers.raw)]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """``data`` as one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
"""The end of a chunked body, without trailers."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""The interim answer to ``Expect: 100-continue`` (RFC 9110 section 10.1.1)."""

"""The mock provider, a process of its own: bytes made ahead, so that it is never what limits a measurement.

``python -m helicone_gw.bench.provider [PORT]`` prints the port it listens on, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
import threading
from typing import cast

from helicone_gw.bench.loops import run
from helicone_gw.bench.workload import (
    MARK,
    STREAM_HEAD,
    Script,
    reply,
    script_of,
    stream_chunks,
)

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
EXPECTS = re.compile(rb"\r\nexpect: *100-continue", re.IGNORECASE)
ASKS_USAGE = re.compile(rb'"include_usage": ?true')
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
END_OF_CHUNKS = b"\r\n0\r\n\r\n"
MAX_REQUEST = 64 << 20
"""Bytes of one request; a longer one closes the connection."""


class Provider(asyncio.Protocol):
    """One connection: requests in, what their scripts ask for out."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._needed = 0
        self._pending: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without inheriting from it
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._descriptor = connection.fileno()

    def connection_lost(self, problem: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        if self._pending is not None:
            self._pending.cancel()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._buffer += data
        if len(self._buffer) >= self._needed and self._pending is None:
            self._answer_all()

    def _answer_all(self) -> None:
        while self._buffer and self._pending is None:
            end = self._end_of_request()
            if not end:
                if len(self._buffer) > MAX_REQUEST:
                    self._transport.abort()
                return
            request = bytes(self._buffer[:end])
            del self._buffer[:end]
            self._needed = 0
            self._answer(request)

    def _end_of_request(self) -> int:
        """Where the first request in the buffer ends; 0 when it is not all here."""
        head = self._buffer.find(b"\r\n\r\n") + 4
        if head < 4:
            return 0
        if length := LENGTH.search(self._buffer, 0, head):
            self._needed = head + int(length[1])
            if len(self._buffer) == head and EXPECTS.search(self._buffer, 0, head):
                self._transport.write(CONTINUE)
            return self._needed if len(self._buffer) >= self._needed else 0
        if CHUNKED.search(self._buffer, 0, head):
            end = self._buffer.find(END_OF_CHUNKS, head - 2)
            return end + len(END_OF_CHUNKS) if end >= 0 else 0
        return head

    def _answer(self, request: bytes) -> None:
        at = request.find(b"bench:")
        found = MARK.match(request, at) if at >= 0 else None
        script = Script() if found is None else script_of(found[0])
        if not script.events:
            self._transport.write(reply(script.reply))
            return
        chunks = stream_chunks(script.events, ASKS_USAGE.search(request) is not None)
        if not script.pause:
            self._send(STREAM_HEAD)
            for chunk in chunks:
                self._send(chunk)
            return
        self._transport.write(STREAM_HEAD)
        self._pace(chunks, 0, self._loop.time(), script.pause / 1000)

    def _pace(self, chunks: tuple[bytes, ...], number: int, begun: float, pause: float) -> None:
        if number == len(chunks) - 2:
            self._transport.write(chunks[number] + chunks[number + 1])  # a provider ends without waiting
            self._pending = None
            self._answer_all()
            return
        self._transport.write(chunks[number])
        # From the beginning, not from the event before: what a timer is late by does not add up.
        when = begun + (number + 1) * pause
        self._pending = self._loop.call_at(when, self._pace, chunks, number + 1, begun, pause)

    def _send(self, data: bytes) -> None:
        """Send at once, a packet per event as providers do: the transport would join them into one."""
        if not self._transport.get_write_buffer_size():
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:
                pass
            except OSError:
                self._transport.abort()
                return
        if data:
            self._transport.write(data)


async def serve(listener: socket.socket, stop: asyncio.Event) -> None:
    """Answer on ``listener`` until ``stop`` is set."""
    server = await asyncio.get_running_loop().create_server(Provider, sock=listener, backlog=1024)
    await stop.wait()
    server.close()


async def _until_input_ends(port: int) -> None:
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    listener.setblocking(False)
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def wait_for_end() -> None:
        sys.stdin.buffer.read()
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait_for_end, daemon=True).start()
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    await serve(listener, stop)


if __name__ == "__main__":
    run(_until_input_ends(int(sys.argv[1]) if len(sys.argv) > 1 else 0))

"""What a connection writes: small pieces joined within a turn of the loop, and waiting while the client is slow."""

from __future__ import annotations

import asyncio
import fcntl
import math
import sys
import termios


class Output:
    """Writes to ``transport``. ``limit``: bytes of pieces that are held until the loop's next turn."""

    __slots__ = (
        "_due",
        "_limit",
        "_loop",
        "_pending",
        "_size",
        "_taken_at",
        "_unsent",
        "_waiters",
        "paused",
        "transport",
    )

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, limit: int) -> None:
        self.transport = transport
        self.paused = False
        """Whether the client has to take what was written before more is."""
        self._loop = loop
        self._limit = limit
        self._pending: list[bytes] = []
        self._size = 0
        self._due = False
        self._waiters: list[asyncio.Future[None]] = []
        self._unsent = 0
        self._taken_at = math.inf

    def write_soon(self, data: bytes) -> None:
        """Write ``data`` at the loop's next turn, together with what else comes until then."""
        if data:
            self._pending.append(data)
            self._size += len(data)
            if self._size >= self._limit:
                self.flush()
            elif not self._due:
                self._due = True
                self._loop.call_soon(self._turn)

    def write_now(self, data: bytes) -> None:
        """Write ``data``, after what waits."""
        if self._pending:
            self._pending.append(data)
            self.flush()
        elif data:
            self.transport.write(data)

    def flush(self) -> None:
        """Write what waits."""
        pending = self._pending
        if pending:
            # One write and not writelines: that of Python 3.12.0 to 3.13.1 never pauses (CVE-2024-12254).
            data = pending[0] if len(pending) == 1 else b"".join(pending)
            pending.clear()
            self._size = 0
            self.transport.write(data)

    def _turn(self) -> None:
        self._due = False
        self.flush()

    def drop(self) -> None:
        """Forget what waits: nobody is there to take it."""
        self._pending.clear()
        self._size = 0
        self.resume()

    def pause(self) -> None:
        """The client does not keep up."""
        self.paused = True
        self._unsent = -1

    def resume(self) -> None:
        """The client has caught up, or is gone."""
        self.paused = False
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def drained(self) -> None:
        """Wait for `resume`."""
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            self._waiters.remove(waiter)

    def stalled_for(self, now: float) -> float | None:
        """Seconds since the client was seen to take something of what it must; ``None`` where it has everything."""
        unsent = self._under_way()
        if unsent != self._unsent:
            self._unsent, self._taken_at = unsent, now
        return now - self._taken_at if unsent else None

    def _under_way(self) -> int:
        """Bytes that wait here, and those in the system's own buffer that the client has not acknowledged."""
        transport = self.transport
        try:
            waiting = transport.get_write_buffer_size()
            held = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
        except (OSError, ValueError):
            return waiting  # the system does not say
        except RuntimeError:
            return 0  # uvloop's word for a transport that is closed already
        return waiting + int.from_bytes(held, sys.byteorder)

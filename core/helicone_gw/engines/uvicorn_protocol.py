"""The connections of the engine uvicorn: its httptools protocol, with the bounds and refusals that it leaves out."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from helicone_gw.asgi.types import Message, Receive, Scope, Send
from helicone_gw.engines import Application
from helicone_gw.engines.http1.limits import Limits
from helicone_gw.engines.screening import (
    HEAD_TOO_LARGE,
    MALFORMED,
    NO_PROXY,
    TARGET_TOO_LONG,
    Refusal,
    answer,
    screened,
)

LIMITS = Limits()
"""The same bounds as those of the default engine."""

UPGRADE_FIELDS = frozenset({b"upgrade", b"http2-settings"})


class Refused(Exception):
    """Raised out of the parser's callbacks."""


class Protocol(HttpToolsProtocol):
    """One connection.

    Heads are bounded in size, number of fields and time; so is the wait for a client that takes nothing. What
    `screening` names is refused. An upgrade to anything but a WebSocket is ignored, where httptools would take the body
    for the other protocol's.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # uvicorn makes it where a request begins, but a connection may begin with empty lines (RFC 9112 section 2.2).
        self.url = b""
        self._heading = True
        self._head = 0
        """Bytes of the head under way that came in earlier reads."""
        self._read = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._running: RequestResponseCycle | None = None
        self._declined = False
        """Whether the message under way asks for an upgrade that is not had."""
        self._fault: Refusal | None = None
        self._refusal: Refusal | None = None
        """The last thing that this connection says; nothing more is read then."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connected."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(LIMITS.header_timeout, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection ended."""
        self._stop_head_timer()
        self._stop_stall_timer()
        if self._running is not None and not self._running.response_complete:
            # uvicorn tells the latest request only, which with pipelining is not the one that runs.
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._refusal is not None or self.parser is None:
            return
        self._unset_keepalive_if_required()
        self._read = len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._declined:
                self._read_without_upgrade(data[upgrade.args[0] :])
            else:
                self.handle_websocket_upgrade()
            return
        except httptools.HttpParserError:
            self._refuse(self._fault or MALFORMED)
            return
        if self._heading:
            self._head += len(data)
            if len(self.url) > LIMITS.target:
                self._refuse(TARGET_TOO_LONG)
            elif self._head > LIMITS.head:
                self._refuse(HEAD_TOO_LARGE)
            elif self._head_timer is None:
                self._head_timer = self.loop.call_later(LIMITS.header_timeout, self._head_is_late)

    def pause_writing(self) -> None:
        """The client takes less than it is sent."""
        super().pause_writing()
        self._await_progress(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """The client has taken most of what it was sent."""
        self._stop_stall_timer()
        super().resume_writing()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._heading = True
        self._head = 0

    def on_headers_complete(self) -> None:
        """The head of a request is complete."""
        self._heading = False
        self._stop_head_timer()
        if len(self.url) > LIMITS.target:
            raise self._refused(TARGET_TOO_LONG)
        # What was read may be more than the head; only then is it worth while to count exactly.
        if len(self.headers) > LIMITS.fields or (self._head + self._read > LIMITS.head and self._size() > LIMITS.head):
            raise self._refused(HEAD_TOO_LARGE)
        refusal = screened(self.parser.get_http_version(), self.headers)
        if refusal is not None:
            raise self._refused(refusal)
        if self.parser.should_upgrade():
            if not self._should_upgrade():
                if self.parser.get_method() == b"CONNECT":
                    raise self._refused(NO_PROXY)
                self._declined = True
                return
            if self._unanswered():
                raise self._refused(MALFORMED)
        if not self.url.startswith(b"/") and self.url != b"*":
            self._take_host_from_target()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of a request's body came."""
        if not self._declined:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is complete."""
        if not self._declined:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is complete."""
        super().on_response_complete()
        if self._refusal is not None and not self._unanswered():
            self._write_refusal()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        if cycle.scope["http_version"] == "1.0":
            app = _unchunked(cycle, app)
        super()._start_asgi_task(cycle, app)

    def _size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _take_host_from_target(self) -> None:
        """An absolute target's own host counts, whatever the field says (RFC 9112 section 3.2.2)."""
        target = httptools.parse_url(self.url)
        if target.host:
            host = target.host if target.port is None else b"%s:%d" % (target.host, target.port)
            self.headers[:] = [(name, host if name == b"host" else value) for name, value in self.headers]

    def _read_without_upgrade(self, rest: bytes) -> None:
        """Read the head again as if it had not asked for an upgrade, and what follows as its body."""
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name == b"connection":
                value = b", ".join(token for token in value.split(b",") if token.strip().lower() not in UPGRADE_FIELDS)
            elif name in UPGRADE_FIELDS:
                continue
            lines.append(name + b": " + value)
        self._declined = False
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"\r\n".join(lines) + b"\r\n\r\n" + rest)

    def _unanswered(self) -> bool:
        return bool(self.pipeline) or (self._running is not None and not self._running.response_complete)

    def _refused(self, refusal: Refusal) -> Refused:
        self._fault = refusal
        return Refused()

    def _head_is_late(self) -> None:
        self._head_timer = None
        self._refuse(Refusal(408, "The head of the request did not arrive in time."))

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _await_progress(self, unsent: int) -> None:
        self._stall_timer = self.loop.call_later(LIMITS.stall, self._is_stalled, unsent)

    def _is_stalled(self, before: int) -> None:
        unsent = self.transport.get_write_buffer_size()
        if unsent < before:
            self._await_progress(unsent)
        else:
            self.transport.abort()

    def _stop_stall_timer(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _refuse(self, refusal: Refusal) -> None:
        """Say ``refusal`` once everything before it is answered, and end the connection."""
        self._refusal = refusal
        self._stop_head_timer()
        latest = self.cycle
        if latest is not None and not latest.response_complete and latest.more_body:
            # What is wrong is the body of the latest request, so that request is the one that is refused.
            if latest is not self._running:
                self.pipeline.popleft()
                return
            latest.disconnected = True
            latest.message_event.set()
            if latest.response_started:
                self.transport.close()
                return
        elif self._unanswered():
            return
        self._write_refusal()

    def _write_refusal(self) -> None:
        assert self._refusal is not None
        if self.transport.is_closing():
            return
        headers, body = answer(self._refusal)
        head = [STATUS_LINE[self._refusal.status], *(b"%s: %s\r\n" % field for field in headers)]
        self.transport.write(b"".join([*head, b"\r\n", body]))
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.loop.call_later(LIMITS.linger, self.transport.close)
        else:
            self.transport.close()


def _unchunked(cycle: RequestResponseCycle, app: Application) -> Application:
    """``app`` for an HTTP/1.0 client, for whom the end of the connection is the end of a body of unknown length."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        delimited = False

        async def send_unchunked(message: Message) -> None:
            nonlocal delimited
            if message["type"] == "http.response.start":
                delimited = all(name.lower() != b"content-length" for name, _ in message.get("headers", ()))
                if delimited:
                    cycle.chunked_encoding = False
            elif delimited:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, cast("Send", send_unchunked))

    return serve

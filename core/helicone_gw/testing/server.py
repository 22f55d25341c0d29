"""A scripted provider on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from helicone_gw.errors import GatewayError
from helicone_gw.headers import Headers
from helicone_gw.testing.memory import has_body, sent_headers
from helicone_gw.testing.record import RecordedRequest
from helicone_gw.testing.script import End, How, Pause, ScriptedResponse
from helicone_gw.testing.wire import CONTINUE, LAST_CHUNK, Disconnected, Wire, chunk, head

if TYPE_CHECKING:
    from helicone_gw.testing.provider import ScriptedProvider


@asynccontextmanager
async def serving(provider: ScriptedProvider, host: str, port: int) -> AsyncIterator[str]:
    """Serve ``provider`` at ``host`` and ``port`` (0: any free one) until the end of the block; gives the base URL."""
    connections: set[asyncio.Task[None]] = set()
    faults: list[Exception] = []

    def done(task: asyncio.Task[None]) -> None:
        connections.discard(task)
        if not task.cancelled() and isinstance(fault := task.exception(), Exception):
            faults.append(fault)

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        provider.connections += 1
        connection = _Connection(provider, Wire(reader, writer), provider.connections)
        task = asyncio.get_running_loop().create_task(connection.run(), name=f"provider connection {connection.number}")
        connections.add(task)
        task.add_done_callback(done)

    server = await asyncio.start_server(accept, host, port)
    try:
        bound = server.sockets[0].getsockname()
        yield f"http://{bound[0]}:{bound[1]}"
    finally:
        server.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await server.wait_closed()
    if faults:
        raise ExceptionGroup("the scripted provider's answers failed", faults)


class _Connection:
    def __init__(self, provider: ScriptedProvider, wire: Wire, number: int) -> None:
        self._provider = provider
        self._wire = wire
        self.number = number

    async def run(self) -> None:
        """Answer requests until either side has had enough."""
        try:
            while (request := await self._wire.read_head()) is not None:
                if not await self._exchange(*request):
                    break
        except Disconnected:
            pass
        except asyncio.CancelledError:
            # The end of the test: nobody should wait for a connection that hangs on purpose.
            self._wire.abort()
            raise
        finally:
            await self._wire.close()

    async def _exchange(self, method: str, target: str, headers: Headers) -> bool:
        """Answer one request; whether the connection can carry another."""
        record = self._provider.record(method, target, headers, self.number)
        answer = self._provider.take(record)
        early = isinstance(answer, ScriptedResponse) and not answer.reads_body
        if not early:
            await self._receive(record, headers)
        try:
            response = answer if isinstance(answer, ScriptedResponse) else await self._resolve(answer, record)
        except GatewayError:
            self._wire.reset()
            return False
        if early:
            # Not even looking whether the client is still there: reading is what would let it go on sending.
            return await self._answer(record, response, last=True)
        sending = asyncio.ensure_future(self._answer(record, response, last=_says_close(headers)))
        watching = asyncio.ensure_future(self._watch(record))
        try:
            await asyncio.wait({sending, watching}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Whoever is still at it: the answer of a client that left, or the watch over one that has its answer.
            for task in (sending, watching):
                task.cancel()
            await asyncio.wait({sending, watching})
        return False if sending.cancelled() else sending.result()

    async def _receive(self, record: RecordedRequest, headers: Headers) -> None:
        try:
            if (headers.get("expect") or "").lower() == "100-continue":
                await self._wire.write(CONTINUE)
            self._provider.note_received(record, await self._wire.read_body(headers))
        except Disconnected:
            self._provider.note_closed(record)
            raise

    @staticmethod
    async def _resolve(answer: object, record: RecordedRequest) -> ScriptedResponse:
        from helicone_gw.testing.provider import resolve

        return await resolve(answer, record)  # type: ignore[arg-type]

    async def _watch(self, record: RecordedRequest) -> None:
        await self._wire.until_closed(keep=True)
        self._provider.note_closed(record)

    async def _answer(self, record: RecordedRequest, response: ScriptedResponse, *, last: bool) -> bool:
        try:
            return await self._send(record, response, last=last)
        except Disconnected:
            self._provider.note_closed(record)
            return False

    async def _send(self, record: RecordedRequest, response: ScriptedResponse, *, last: bool) -> bool:
        await asyncio.sleep(response.delay)
        if response.cut_at == "before_head":
            return await self._end(response.how, watched=response.reads_body)
        if response.raw is not None:
            await self._wire.write(response.raw)
            return await self._end(response.how, watched=response.reads_body)
        fields = sent_headers(response)
        if last and "connection" not in fields:
            fields = fields.set("Connection", "close")
        await self._wire.write(head(response.status, fields))
        for step in response.steps() if has_body(response, record.method) else ():
            if isinstance(step, End):
                return await self._end(step.how, watched=response.reads_body)
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                continue
            await self._wire.write(chunk(step.data) if response.framing == "chunked" else step.data)
            record.bytes_sent += len(step.data)
        if response.framing == "chunked" and has_body(response, record.method):
            await self._wire.write(LAST_CHUNK)
        record.answered.set()
        if not response.reads_body:
            # Closing with unread bytes would be an RST, and might cost the client the answer (RFC 9112 section 9.6).
            return await self._end("half_close", watched=False)
        return not (last or response.framing == "close" or response.content_length is not None)

    async def _end(self, how: How, *, watched: bool) -> bool:
        if how == "reset":
            self._wire.reset()
        elif how == "half_close":
            self._wire.write_eof()
            if not watched:
                await self._wire.until_closed(keep=False)
        if how == "hang" or (how == "half_close" and watched):
            # For ever: the watch over the client, or the end of the test, ends it.
            await asyncio.get_running_loop().create_future()
        return False


def _says_close(headers: Headers) -> bool:
    return "close" in (headers.get("connection") or "").lower()

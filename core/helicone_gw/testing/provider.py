"""Scripted provider: answers requests by script and remembers them, in memory or over a real socket."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from helicone_gw.headers import Headers
from helicone_gw.model import UpstreamRequest, UpstreamResponse
from helicone_gw.testing.memory import answer_in_memory
from helicone_gw.testing.record import RecordedRequest
from helicone_gw.testing.script import ScriptedResponse, of_json
from helicone_gw.testing.server import serving

Answer = ScriptedResponse | Callable[[RecordedRequest], ScriptedResponse | Awaitable[ScriptedResponse]]
"""An answer, or a function that looks at the request first. What it raises is raised in memory, and over a socket
resets the connection."""


class ScriptedProvider:
    """A provider whose every answer is written beforehand.

    Each request takes the next answer of the script; when that is used up, ``default``. Without one the request is
    answered with 500 and noted in ``unexpected``. ``requests`` holds every request, in order of arrival.

    >>> from helicone_gw.testing.dialects import openai_chat
    >>> provider = ScriptedProvider(openai_chat.error(429, "slow down"), openai_chat.reply("Hello!"))

    Use `upstream` where the gateway wants one, or ``async with provider.serve() as base_url``. One event loop only.
    """

    def __init__(self, *script: Answer, default: Answer | None = None) -> None:
        self._script = deque(script)
        self.default = default
        self.requests: list[RecordedRequest] = []
        self.unexpected: list[RecordedRequest] = []
        self.connections = 0
        """Connections accepted so far."""
        self.closed_by_client = asyncio.Event()
        """Set when a client went away before its answer was complete; see `RecordedRequest.closed_by_client`."""
        self._changed = asyncio.Event()

    def enqueue(self, *answers: Answer) -> None:
        """Add to the end of the script."""
        self._script.extend(answers)

    @property
    def remaining(self) -> int:
        """Answers of the script that nobody asked for yet."""
        return len(self._script)

    async def received(self, count: int = 1) -> list[RecordedRequest]:
        """Wait until ``count`` requests were read whole; the requests so far."""
        while sum(request.received.is_set() for request in self.requests) < count:
            self._changed.clear()
            await self._changed.wait()
        return self.requests

    async def upstream(self, request: UpstreamRequest) -> UpstreamResponse:
        """Answer in memory: a `helicone_gw.model.Upstream`. Raises what a real connection would lead to."""
        return await answer_in_memory(self, request)

    def serve(self, host: str = "127.0.0.1", port: int = 0) -> AbstractAsyncContextManager[str]:
        """Answer over HTTP/1.1 on a real socket, until the end of the block; gives ``http://host:port``.

        Afterwards nothing listens there. What an `Answer` function raised, other than a `GatewayError`, is raised at
        the end of the block, as an `ExceptionGroup`.
        """
        return serving(self, host, port)

    # What memory.py and server.py call.

    def record(self, method: str, target: str, headers: Headers, connection: int = 0) -> RecordedRequest:
        """Note a request whose head is there."""
        request = RecordedRequest(len(self.requests) + 1, method, target, headers, connection)
        self.requests.append(request)
        return request

    def note_received(self, request: RecordedRequest, body: bytes) -> None:
        """Note that the request was read whole."""
        request.body = body
        request.received.set()
        self._changed.set()

    def note_closed(self, request: RecordedRequest) -> None:
        """Note that the client went away before its answer was complete."""
        if not request.answered.is_set() and not request.closed_by_client.is_set():
            request.closed_at = asyncio.get_running_loop().time()
            request.closed_by_client.set()
            self.closed_by_client.set()

    def take(self, request: RecordedRequest) -> Answer:
        """The answer for ``request``."""
        if self._script:
            return self._script.popleft()
        if self.default is not None:
            return self.default
        self.unexpected.append(request)
        message = f"The script has no answer for request {request.number}: {request.method} {request.target}"
        return of_json({"error": {"message": message, "type": "script_exhausted"}}, status=500)


async def resolve(answer: Answer, request: RecordedRequest) -> ScriptedResponse:
    """The response that ``answer`` stands for."""
    if isinstance(answer, ScriptedResponse):
        return answer
    response = answer(request)
    return await response if inspect.isawaitable(response) else response

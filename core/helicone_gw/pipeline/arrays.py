"""Arrays: a stream of Gemini's for a client that asked for no server-sent events is one long JSON array.

Everything in the pipeline sees events, and providers are asked for them; the last thing before the client makes them
elements. So an array, too, is held back, read, guarded and relayed piece by piece.
"""

from __future__ import annotations

from helicone_gw.headers import RawHeaders
from helicone_gw.model import Request
from helicone_gw.pipeline.sink import Sink
from helicone_gw.sse import EventSplitter, event_data

_UNBOUNDED = 1 << 62  # whoever wrote the events has bounded them
_ALT = frozenset({"alt", "$alt", "%24alt"})
"""Names of the parameter that says how an answer is written (cloud.google.com/apis/docs/system-parameters)."""


def wants_array(request: Request) -> bool:
    """Whether the client reads a stream as a JSON array (ai.google.dev: ``streamGenerateContent``, no ``alt=sse``)."""
    return request.operation == "stream_generate_content" and not _asks_for_events(request.query)


def asking_for_events(query: str) -> str:
    """``query`` (raw), asking for server-sent events."""
    rest = [part for part in query.split("&") if part and part.partition("=")[0] not in _ALT]
    return query if _asks_for_events(query) else "&".join((*rest, "alt=sse"))


def _asks_for_events(query: str) -> bool:
    parameters = [part.partition("=") for part in query.split("&")]
    return any(name in _ALT and value == "sse" for name, _, value in parameters)


class ArraySink:
    """A client that is sent a stream of events as a JSON array: an element for the data of each."""

    def __init__(self, client: Sink) -> None:
        self._client = client
        self._splitter = EventSplitter(_UNBOUNDED)
        self._begun = False

    @property
    def disconnected(self) -> bool:
        """See `Sink.disconnected`."""
        return self._client.disconnected

    async def start(self, status: int, headers: RawHeaders) -> None:
        """See `Sink.start`; the content type is JSON's."""
        others = [field for field in headers if field[0] != b"content-type"]
        await self._client.start(status, ((b"content-type", b"application/json"), *others))

    async def send(self, data: bytes) -> None:
        """See `Sink.send`: ``data`` is events, cut anywhere."""
        elements = self._elements(self._splitter.feed(data))
        if elements:
            await self._client.send(elements)

    async def finish(self, last: bytes = b"") -> None:
        """See `Sink.finish`."""
        await self._client.finish(self._rest(last))

    async def fail(self, event: bytes) -> None:
        """Send ``event`` as the last element, and close the array; the connection is for `abort`."""
        await self._client.send(self._rest(event))

    async def abort(self) -> None:
        """See `Sink.abort`."""
        await self._client.abort()

    def _rest(self, data: bytes) -> bytes:
        elements = self._elements([*self._splitter.feed(data), self._splitter.flush()])
        return elements + (b"]" if self._begun else b"[]")

    def _elements(self, events: list[bytes]) -> bytes:
        out: list[bytes] = []
        for event in events:
            element = event_data(event)
            if element:
                out += (b",\r\n" if self._begun else b"[", element)
                self._begun = True
        return b"".join(out)

"""The nouns of an exchange: Request, Response, Chunk, Route, Target, Attempt, Usage, Cost, Outcome, Capture.

They are msgspec structs: made and copied in C, which a dozen of them per request repays.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from helicone_gw.headers import Headers

if TYPE_CHECKING:
    from helicone_gw.errors import GatewayError
    from helicone_gw.helicone import HeliconeHeaders

ChunkKind = Literal["event", "end", "tick"]
OutcomeKind = Literal[
    "ok",
    "upstream_error",
    "refused",
    "timeout",
    "client_disconnected",
    "stream_broken",
    "interrupted",
    "internal_error",
]


class Request(Struct, frozen=True):
    """What the client asked for; frozen: a hook that wants another one returns ``request.replace(...)``.

    ``path`` is the path in the client's dialect, version segment included and mode prefix removed
    (``/v1/chat/completions`` for ``/openai/v1/chat/completions`` and for ``/chat/completions``); ``query`` is the raw
    query string without ``?``. ``headers`` are the client's own, gateway credentials and ``Helicone-*`` taken out.
    ``body`` is ``None`` when it streams through (uploads); such a request is never retried after a byte was sent.
    ``dialect`` is the family whose SDK is talking ("openai", "anthropic", "gemini", ...), ``operation`` the operation
    in it ("chat", "responses", "messages", "generate_content", "embeddings", "files", ...; see ``ingress.operations``).
    ``model`` is the model string exactly as asked. ``provider`` is set when the address names one (prefix, host),
    ``router`` when it names a route.
    """

    method: str
    path: str
    query: str
    headers: Headers
    body: bytes | None
    dialect: str
    operation: str
    helicone: HeliconeHeaders
    model: str | None = None
    stream: bool = False
    provider: str | None = None
    user: str | None = None
    router: str | None = None

    def replace(self, **changes: Any) -> Request:
        """A copy with these fields changed."""
        return replace(self, **changes)

    def json(self) -> Any:
        """The decoded JSON body. Raises `MalformedBody` for anything else, `ValueError` when the body streams."""
        from helicone_gw.errors import MalformedBody

        if self.body is None:
            raise ValueError("the body of this request streams through and cannot be read")
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            raise MalformedBody(f"The request body is not valid JSON: {problem}") from None


class Usage(Struct, frozen=True):
    """Tokens that a provider reported, totals first; a class of tokens inside a total is not added to it again.

    ``None`` means that the provider did not say. ``input_tokens`` contains cached, audio and image input,
    ``output_tokens`` contains reasoning, audio and image output; ``cache_write_tokens`` contains those kept for an
    hour, ``input_audio_tokens`` contains cached audio. ``cost`` is the provider's own figure in nano-dollars.
    ``estimated``: the answer was broken off before the provider counted, so the gateway counted what it saw.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    cache_audio_read_tokens: int | None = None
    input_image_tokens: int | None = None
    output_image_tokens: int | None = None
    web_searches: int | None = None
    cost: int | None = None
    service_tier: str | None = None
    estimated: bool = False

    @property
    def total_tokens(self) -> int | None:
        """Input plus output, or ``None`` when neither is known."""
        if self.input_tokens is None and self.output_tokens is None:
            return None
        return (self.input_tokens or 0) + (self.output_tokens or 0)

    def __add__(self, other: Usage) -> Usage:
        """The sum, class by class; a class that neither side reports stays unknown. Estimated if either side is."""
        sums: dict[str, Any] = {}
        for name in self.__struct_fields__:
            mine, theirs = getattr(self, name), getattr(other, name)
            both = isinstance(mine, int) and isinstance(theirs, int)
            sums[name] = mine + theirs if both else theirs if mine is None else mine
        sums["estimated"] = self.estimated or other.estimated
        return Usage(**sums)


class Cost(Struct, frozen=True):
    """What something cost, in integer nano-dollars (1e-9 USD), with the arithmetic that led there.

    ``parts`` lists (unit, quantity, nano-dollars); ``source`` says whose price it is ("config", "genai-prices",
    "provider", ...), ``version`` which edition of it. ``estimated``: so is usage that was multiplied.
    """

    nano_usd: int
    parts: tuple[tuple[str, int, int], ...] = ()
    source: str = ""
    version: str = ""
    estimated: bool = False


class Response(Struct, frozen=True):
    """An answer on its way to the client. Exactly one of ``body`` and ``stream`` is set.

    In ``on_response`` of a streamed answer (``streamed`` is true) the stream is over: ``body`` is ``b""``, and usage,
    cost and text are on the exchange.
    """

    status: int
    headers: Headers = msgspec.field(default_factory=Headers)
    body: bytes | None = b""
    stream: AsyncIterator[bytes] | None = None
    streamed: bool = False

    def replace(self, **changes: Any) -> Response:
        """A copy with these fields changed."""
        return replace(self, **changes)

    def json(self) -> Any:
        """The decoded JSON body; `ValueError` for anything else."""
        return msgspec.json.decode(self.body or b"")

    @classmethod
    def of_json(cls, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """A JSON answer."""
        given = {name.lower(): value for name, value in (headers or {}).items()}
        fields = Headers({"content-type": "application/json", **given})
        return cls(status=status, headers=fields, body=msgspec.json.encode(value))


class Chunk:
    """One event of a streamed answer, as its original bytes; JSON is parsed lazily and once.

    ``kind`` is "event" (a server-sent event with its blank line), "end" (once, before the stream closes, so that held
    chunks can be let go) or "tick" (only for plugins that declare ``tick = seconds``).
    """

    __slots__ = ("_json", "data", "kind")

    def __init__(self, data: bytes, kind: ChunkKind = "event") -> None:
        self.kind = kind
        self.data = data
        self._json: Any = _UNREAD

    @property
    def json(self) -> Any:
        """The event's ``data:`` decoded, or ``None`` when it is not JSON (``[DONE]``, a comment, a tick).

        Read as leniently as clients do, see `helicone_gw.sse.event_value`.
        """
        if self._json is _UNREAD:
            from helicone_gw.sse import event_value

            self._json = event_value(self.data)
        return self._json

    def with_json(self, value: Any) -> Chunk:
        """An event of the same name with other data."""
        from helicone_gw.sse import encode_event, event_name

        return Chunk(encode_event(msgspec.json.encode(value), event_name(self.data)))

    def __repr__(self) -> str:
        return f"Chunk(kind={self.kind!r}, {len(self.data)} bytes)"


_UNREAD = object()


class Target(Struct, frozen=True):
    """Where an attempt goes: a provider of the catalogue and the model's name there.

    ``base_url`` overrides the provider's (``Helicone-Target-URL``); ``deployment`` names one of several configured keys
    or deployments of the provider.
    """

    provider: str
    model: str | None = None
    base_url: str | None = None
    deployment: str | None = None

    def __str__(self) -> str:
        name = f"{self.provider}/{self.model}" if self.model else self.provider
        return f"{name} ({self.deployment})" if self.deployment else name


class Route(Struct, frozen=True):
    """An ordered choice of targets: the first is tried first, the others are for `Fallback`.

    When the first has not answered ``hedge_after`` seconds later, the next is asked beside it; the quicker is taken.
    """

    targets: tuple[Target, ...]
    name: str = ""
    hedge_after: float | None = None


class Attempt(Struct):
    """One call of one target. Times are epoch seconds; ``status`` is the provider's, ``None`` when there was none.

    ``provider_request_id`` is the id that the provider's answer gives itself in its headers, where it does; ``url`` is
    where the call went, without the query (a key may be in it), ``None`` when it did not come so far.
    """

    number: int
    target: Target
    started_at: float
    first_byte_at: float | None = None
    ended_at: float | None = None
    status: int | None = None
    error: GatewayError | None = None
    usage: Usage | None = None
    cost: Cost | None = None
    model: str | None = None
    provider_request_id: str | None = None
    url: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the provider answered without an error."""
        return self.error is None and self.status is not None


class Outcome(Struct, frozen=True):
    """How an exchange ended, final in ``on_finish``.

    ``status`` is what the client was sent (``None``: it left before anything was), ``bytes_sent`` the body bytes handed
    to the transport, ``message`` says why, safe to log.
    """

    kind: OutcomeKind
    status: int | None
    bytes_sent: int = 0
    message: str | None = None
    code: str | None = None


class Capture(Struct, frozen=True):
    """A bounded copy of what went by, for logs and caches; ``cut`` when the bound was reached (never cache those).

    The request's is what the client sent after its content coding was undone; the response's what the client was sent,
    in the coding that ``exchange.response`` says (of a stream that Gemini's client gets as a JSON array, the events).
    """

    data: bytes
    cut: bool
    size: int


class UpstreamRequest(Struct, frozen=True):
    """One call, ready for the wire: absolute URL, headers with credentials, body or byte stream.

    The URL may hold a key in its query. ``length`` is the size of a byte stream where it is known. ``address`` pins the
    IP address to connect to (the very one that was checked). ``first_byte_timeout`` (seconds) goes before the
    configured one.
    """

    method: str
    url: str
    headers: Headers
    body: bytes | AsyncIterator[bytes] | None
    target: Target
    address: str | None = None
    length: int | None = None
    first_byte_timeout: float | None = None

    def __repr__(self) -> str:
        # Not the URL, for the key in it, and not the body: a representation ends up in logs and stack traces.
        return f"UpstreamRequest({self.method}, {self.target}, {self.headers!r})"


class UpstreamResponse(Struct):
    """The head of a provider's answer and its raw body; ``close`` must be awaited, whatever happened.

    ``buffered`` is the whole body, where all of it had arrived with the head; ``body`` then yields the same.
    """

    status: int
    headers: Headers
    body: AsyncIterator[bytes]
    close: Callable[[], Awaitable[None]]
    buffered: bytes | None = None


Upstream = Callable[[UpstreamRequest], Awaitable[UpstreamResponse]]
Chunks = Chunk | Sequence[Chunk] | None

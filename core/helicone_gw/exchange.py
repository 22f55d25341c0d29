"""Exchange: one request and everything that became of it."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from msgspec import Struct, field

from helicone_gw.access import NO_PROVIDER_KEYS
from helicone_gw.ahead import over, read_ahead
from helicone_gw.model import Attempt, Capture, Cost, Outcome, Request, Response, Route, Usage
from helicone_gw.stash import Stash

if TYPE_CHECKING:
    from helicone_gw.access import GatewayKey, Permits, ProviderCredential, ProviderKey
    from helicone_gw.errors import GatewayError
    from helicone_gw.pipeline.messages import MessageFilter


class Exchange(Struct, eq=False):
    """One request and everything that became of it. Plugins read it, `stash` on it, `annotate` it."""

    id: str
    """Internal row id, a UUID of ours: unique."""
    request: Request
    received_at: float
    client: str = ""
    request_id: str = ""
    """What the client sees as ``Helicone-Id``: its own ``Helicone-Request-Id`` when that was a UUID."""
    original: Request = cast("Request", None)
    """The request as it came, before any plugin replaced it."""
    first_byte_at: float | None = None
    """When the provider's first byte came (epoch seconds)."""
    first_chunk_at: float | None = None
    """When the first event of content came: the time to first token of a stream (epoch seconds)."""
    ended_at: float | None = None
    key: GatewayKey | None = None
    credential: ProviderCredential | None = None
    """The provider credential that the client brought, if any."""
    provider_keys: Mapping[str, ProviderKey] = NO_PROVIDER_KEYS
    """Keys in the place of the configuration's, by provider; whoever keeps them sets this in ``pre_request``."""
    secrets: tuple[str, ...] = ()
    """Gateway keys that came with the request: whoever stores what a client sent must take them out."""
    organization: str = "default"
    permits: Permits | None = None
    route: Route | None = None
    attempts: list[Attempt] = []
    """In the order in which they began, but that the one whose answer was taken is the last."""
    response: Response | None = None
    error: GatewayError | None = None
    provider: str | None = None
    """Provider of the last attempt, also when it failed."""
    model: str | None = None
    """Model of the last attempt, as the provider calls it."""
    usage: Usage | None = None
    cost: Cost | None = None
    """Sum over all attempts; ``None`` while any of them is unknown."""
    stop_reason: str | None = None
    substituted: bool = False
    """Whether a plugin answered an error (a `Response` from ``on_error``): what a provider said was not it."""
    headers: dict[str, str] = {}
    """Response headers to add, until `committed`."""
    committed: bool = False
    outcome: Outcome | None = None
    request_capture: Capture | None = None
    response_capture: Capture | None = None
    stash: Stash = field(default_factory=Stash)
    _annotations: dict[str, Any] = {}
    _before_commit: list[Gate] = []
    _end_stream: str | None = None
    _end_closed: bool = False
    _end_holds: list[asyncio.Future[None]] = []
    # What follows belongs to the core: which layer is being called, when the deadline is (event loop time), the
    # body of an upload, and how to wake a relay that waits for the upstream.
    _layer: int = 0
    _deadline: float = float("inf")
    _upload: AsyncIterator[bytes] | None = None
    _upload_length: int | None = None
    _uploaded: int = 0
    _wake: Callable[[], None] | None = None
    # Who holds the exchange, what its client's departure does once nobody does, and the layers (a bit each) that
    # asked for its stream and for its answer.
    _holds: int = 0
    _departure: Callable[[], object] | None = None
    _watchers: int = 0
    _readers: int = 0
    _reads_text: bool = False
    _message_filters: list[MessageFilter] = []

    def __post_init__(self) -> None:
        request = self.original = self.request
        self.request_id = request.helicone.request_id or self.id

    def __repr__(self) -> str:
        # Everything else may hold what nobody is to read in a log.
        return f"Exchange({self.id!r})"

    @property
    def annotations(self) -> Mapping[str, Any]:
        """What plugins noted for the log."""
        return self._annotations

    def annotate(self, name: str, value: Any) -> None:
        """Note a JSON-able fact for the log; ``name`` is dotted, starting with the plugin's ("cache.status")."""
        self._annotations[name] = value

    def annotate_all(self, notes: Mapping[str, Any]) -> None:
        """`annotate` each of ``notes``."""
        self._annotations.update(notes)

    def before_commit(
        self,
        awaitable: Awaitable[Any],
        *,
        timeout: float,
        on_failure: Literal["open", "closed"] = "closed",
    ) -> None:
        """Register what must be settled before the first byte leaves, such as a judge beside the upstream call.

        It runs at once, as a task. A `GatewayError` from it is a refusal: the upstream call is cancelled and the client
        gets that error. Any other exception, or ``timeout`` (seconds), counts as failure: "open" lets the answer
        through, "closed" refuses with 503. Raises `RuntimeError` once committed.
        """
        if self.committed:
            if inspect.iscoroutine(awaitable):
                awaitable.close()
            raise RuntimeError("the answer is already on its way")
        self._before_commit.append(Gate(asyncio.ensure_future(_within(awaitable, timeout)), on_failure, self._layer))

    def watch_stream(self) -> None:
        """Ask for ``on_stream_chunk`` of this exchange, for a plugin that declares `Plugin.chunks_on_request`.

        To be called in ``pre_request`` or whatever comes before the answer leaves; later it changes nothing.
        """
        self._watchers |= 1 << self._layer

    def read_answer(self, *, text: bool = False) -> None:
        """Ask for ``on_response`` of this exchange, for a plugin that declares `Plugin.answers_on_request`.

        ``text``: with plain text whole as well, such as a transcript, which would be relayed as it comes. To be called
        before the provider is, in ``pre_request`` as a rule.
        """
        self._readers |= 1 << self._layer
        self._reads_text = self._reads_text or text

    def filter_messages(self, messages: MessageFilter) -> None:
        """Have the messages of a WebSocket pass through ``messages``, both ways; to be called in ``pre_request``.

        What outer layers gave sees what the client says before, and what the provider says after, what inner ones did.
        """
        self._message_filters.append(messages)

    async def read_upload(self, limit: int) -> bytes | None:
        """The whole body of an upload (``request.body`` is ``None``), read ahead and still sent on, once.

        ``None`` where it is longer than ``limit`` bytes: what was read goes first, and the rest streams after it. To be
        called in ``pre_request``. Raises what reading the client's body raises.
        """
        upload = self._upload
        if upload is None:
            return b""
        if self._upload_length is not None and self._upload_length > limit:
            return None
        body, rest = await read_ahead(upload, limit)
        self._upload = over(body) if rest is None else rest
        return body if rest is None else None

    def through_upload(self, look: Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]]) -> None:
        """Have the body of an upload pass through ``look`` on its way to the provider, where there is one.

        ``look`` must hand on the same bytes. What it raises ends the request; a `GatewayError` is its answer. To be
        called before the provider is.
        """
        if self._upload is not None:
            self._upload = look(self._upload)

    def hold(self) -> Callable[[], None]:
        """Keep the exchange going although its client leaves, because somebody else waits for the same answer.

        Returns what lets go of it again; calling that twice changes nothing. If the client left meanwhile, the last
        holder to let go is its departure: the upstream call is then cancelled as usual.
        """
        self._holds += 1
        held = True

        def release() -> None:
            nonlocal held
            if not held:
                return
            held = False
            self._holds -= 1
            if not self._holds and self._departure is not None:
                departure, self._departure = self._departure, None
                departure()

        return release

    def _client_left(self, departure: Callable[[], object]) -> None:
        """Call ``departure``, now or when nobody holds the exchange any more."""
        if self._holds:
            self._departure = departure
        else:
            departure()

    def again(self, id: str, received_at: float) -> Exchange:
        """A new exchange that asks what this one was asked, for the same caller; nothing that became of this one."""
        copy = Exchange(id, self.original, received_at, self.client)
        copy.request_id = id  # the client's own id is that of one exchange
        copy.key, copy.credential, copy.secrets = self.key, self.credential, self.secrets
        copy.organization, copy.permits = self.organization, self.permits
        return copy

    @property
    def ended_early(self) -> bool:
        """Whether `end_stream` was called: what the client gets then is not the whole answer."""
        return self._end_stream is not None

    def hold_end(self, awaitable: Awaitable[Any], *, timeout: float) -> None:
        """Let ``on_stream_chunk`` hear the "end" of the running stream no sooner than ``awaitable`` is done.

        For a plugin that holds chunks back until it knows something, and would have to let them go at the end. It is
        waited for as a task of its own, until ``timeout`` (seconds from now); what it raises is not looked at.
        """
        self._end_holds.append(asyncio.ensure_future(_waited_for(awaitable, timeout)))

    def end_stream(self, reason: str, *, closed: bool = False) -> None:
        """End the running stream after the current chunk, cleanly in the client's dialect; cancels the upstream.

        ``closed``: the chunks that the caller emits have the dialect's end in them already.
        """
        if self._end_stream is None:
            self._end_stream, self._end_closed = reason, closed
            if self._wake is not None:
                self._wake()


async def _within(awaitable: Awaitable[Any], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        await awaitable


async def _waited_for(awaitable: Awaitable[Any], seconds: float) -> None:
    with contextlib.suppress(Exception):
        await _within(awaitable, seconds)


@dataclass(slots=True)
class Gate:
    """Something that `Exchange.before_commit` registered, and the layer that did."""

    task: asyncio.Future[Any]
    on_failure: Literal["open", "closed"]
    layer: int

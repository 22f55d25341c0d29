"""Exchange: one request and everything that became of it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from helicone_gw.model import Attempt, Capture, Cost, Outcome, Request, Response, Route, Usage
from helicone_gw.stash import Stash

if TYPE_CHECKING:
    from helicone_gw.access import GatewayKey, Permits, ProviderCredential
    from helicone_gw.errors import GatewayError


class Exchange:
    """One request and everything that became of it. Plugins read it, `stash` on it, `annotate` it."""

    __slots__ = (
        "_annotations",
        "_before_commit",
        "_deadline",
        "_end_stream",
        "_layer",
        "_upload",
        "_upload_length",
        "_uploaded",
        "_wake",
        "attempts",
        "client",
        "committed",
        "cost",
        "credential",
        "ended_at",
        "error",
        "first_byte_at",
        "first_chunk_at",
        "headers",
        "id",
        "key",
        "model",
        "organization",
        "original",
        "outcome",
        "permits",
        "provider",
        "received_at",
        "request",
        "request_capture",
        "request_id",
        "response",
        "response_capture",
        "route",
        "secrets",
        "stash",
        "stop_reason",
        "usage",
    )

    def __init__(self, id: str, request: Request, received_at: float, client: str = "") -> None:
        self.id = id
        """Internal row id, a UUID of ours: unique."""
        self.request_id = request.helicone.request_id or id
        """What the client sees as ``Helicone-Id``: its own ``Helicone-Request-Id`` when that was a UUID."""
        self.request = request
        self.original = request
        """The request as it came, before any plugin replaced it."""
        self.received_at = received_at
        self.first_byte_at: float | None = None
        """When the provider's first byte came (epoch seconds)."""
        self.first_chunk_at: float | None = None
        """When the first event of content came: the time to first token of a stream (epoch seconds)."""
        self.ended_at: float | None = None
        self.client = client
        self.key: GatewayKey | None = None
        self.credential: ProviderCredential | None = None
        """The provider credential that the client brought, if any."""
        self.secrets: tuple[str, ...] = ()
        """Gateway keys that came with the request: whoever stores what a client sent must take them out."""
        self.organization = "default"
        self.permits: Permits | None = None
        self.route: Route | None = None
        self.attempts: list[Attempt] = []
        self.response: Response | None = None
        self.error: GatewayError | None = None
        self.provider: str | None = None
        """Provider of the last attempt, also when it failed."""
        self.model: str | None = None
        """Model of the last attempt, as the provider calls it."""
        self.usage: Usage | None = None
        self.cost: Cost | None = None
        """Sum over all attempts; ``None`` while any of them is unknown."""
        self.stop_reason: str | None = None
        self.headers: dict[str, str] = {}
        """Response headers to add, until `committed`."""
        self.committed = False
        self.outcome: Outcome | None = None
        self.request_capture: Capture | None = None
        self.response_capture: Capture | None = None
        self.stash = Stash()
        self._annotations: dict[str, Any] = {}
        self._before_commit: list[Gate] = []
        self._end_stream: str | None = None
        # What follows belongs to the core: which layer is being called, when the deadline is (event loop time), the
        # body of an upload, and how to wake a relay that waits for the upstream.
        self._layer = 0
        self._deadline = float("inf")
        self._upload: AsyncIterator[bytes] | None = None
        self._upload_length: int | None = None
        self._uploaded = 0
        self._wake: Callable[[], None] | None = None

    @property
    def annotations(self) -> Mapping[str, Any]:
        """What plugins noted for the log."""
        return self._annotations

    def annotate(self, name: str, value: Any) -> None:
        """Note a JSON-able fact for the log; ``name`` is dotted, starting with the plugin's ("cache.status")."""
        self._annotations[name] = value

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

    def end_stream(self, reason: str) -> None:
        """End the running stream after the current chunk, cleanly in the client's dialect; cancels the upstream."""
        if self._end_stream is None:
            self._end_stream = reason
            if self._wake is not None:
                self._wake()


async def _within(awaitable: Awaitable[Any], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        await awaitable


@dataclass(slots=True)
class Gate:
    """Something that `Exchange.before_commit` registered, and the layer that did."""

    task: asyncio.Future[Any]
    on_failure: Literal["open", "closed"]
    layer: int

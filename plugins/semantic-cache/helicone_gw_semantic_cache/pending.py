"""Pending: a question on its way to the provider, and what its answer must be to be kept."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from helicone_gw import Exchange, Response
from helicone_gw_semantic_cache.answers import text_of_body, text_of_events
from helicone_gw_semantic_cache.index import Entry, Kept
from helicone_gw_semantic_cache.policy import Policy
from helicone_gw_semantic_cache.vectors import Vector

NOT_TO_BE_STORED = "cache.store"
"""The annotation by which a plugin inside says (``False``) that an answer is its own, and no cache's to keep."""


@dataclass(slots=True, eq=False)
class Trial:
    """A hit that is asked again. ``label`` names its model in tallies, ``hit`` is the id of its exchange."""

    key: bytes
    entry: Entry
    similarity: float
    label: str
    hit: str
    judged: bool = False


@dataclass(slots=True, eq=False)
class Pending:
    """A question that the cache did not answer.

    Its answer is kept where there is a ``vector``, or one is ``coming``; it is compared with that of ``trial`` where
    that is set. ``frames`` are the events of a stream so far, ``None`` when there are too many bytes of them. Of the
    exchange nothing is held.
    """

    key: bytes
    exact: bytes
    text: str
    policy: Policy
    dialect: str
    operation: str
    began: float
    vector: Vector | None = None
    coming: asyncio.Task[list[Vector] | None] | None = None
    """Asks for the vector beside the call of the provider, where there was nothing to compare it with before."""
    trial: Trial | None = None
    frames: list[bytes] | None = field(default_factory=list)
    size: int = 0
    response: Response | None = None
    """The answer as it came to this layer, whole, or the head of a stream that is over."""

    @property
    def keeps(self) -> bool:
        """Whether its answer is wanted for the cache."""
        return self.vector is not None or self.coming is not None

    def arrived(self) -> None:
        """Take the vector that was ``coming``, whose task is done."""
        coming, self.coming = self.coming, None
        if coming is not None and not coming.cancelled() and coming.exception() is None:
            vectors = coming.result()
            self.vector = None if vectors is None else vectors[0]

    def add(self, frame: bytes, limit: int) -> None:
        """Note an event of a stream, while all of them together have at most ``limit`` bytes."""
        if self.frames is None:
            return
        self.size += len(frame)
        if self.size > limit:
            self.frames = None
        else:
            self.frames.append(frame)

    def answer(self, exchange: Exchange, limit: int) -> Kept | None:
        """What may be kept of the answer, as far as the exchange can tell; its text is another matter.

        ``None``: it is no provider's own answer to this very question, not whole, or larger than ``limit`` bytes.
        """
        response, outcome = self.response, exchange.outcome
        if response is None or response.status != 200 or outcome is None or outcome.kind != "ok":
            return None
        if (
            exchange.substituted
            or exchange.ended_early
            or exchange.annotations.get(NOT_TO_BE_STORED) is False
            or not _as_asked(exchange)
        ):
            return None
        if response.headers.get("content-encoding", "identity") != "identity":
            return None
        frames = self.frames if response.streamed else [response.body or b""]
        if frames is None or sum(map(len, frames)) > limit:
            return None
        attempt = exchange.attempts[-1]
        return Kept(
            status=response.status,
            content_type=response.headers.get("content-type") or "application/json",
            frames=tuple(frames),
            streamed=response.streamed,
            request_id=exchange.request_id,
            provider=exchange.provider,
            model=exchange.model,
            stop_reason=exchange.stop_reason,
            usage=attempt.usage,
            cost_nano_usd=None if exchange.cost is None else exchange.cost.nano_usd,
            latency_ms=max(0, round(((exchange.ended_at or self.began) - self.began) * 1000)),
        )


def text_of(kept: Kept, dialect: str, operation: str) -> str | None:
    """The text of a kept answer; ``None`` where it is no complete answer in words alone."""
    if kept.streamed:
        return text_of_events(dialect, operation, kept.frames)
    return text_of_body(dialect, operation, kept.frames[0])


def _as_asked(exchange: Exchange) -> bool:
    """Whether a provider answered, and the one that the route names first: a fallback's answer is second best."""
    if not exchange.attempts or not exchange.attempts[-1].ok:
        return False
    if exchange.route is None:
        return True
    asked, answered = exchange.route.targets[0], exchange.attempts[-1].target
    return (asked.provider, asked.model, asked.base_url) == (answered.provider, answered.model, answered.base_url)

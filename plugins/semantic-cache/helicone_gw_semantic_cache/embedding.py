"""Embedding: texts to unit vectors, from the configured model, in time or not at all."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import Struct

from helicone_gw import DeadlineExceeded, GatewayError
from helicone_gw_semantic_cache.vectors import Vector, unit

if TYPE_CHECKING:
    from helicone_gw import Clock, Exchange, Gateway
    from helicone_gw_semantic_cache.config import EmbeddingsConfig

FAILURES = 3
"""Failures in a row after which the model is left alone for a while."""

REST, LONGEST_REST = 5.0, 60.0
"""Seconds of the first rest, and of the longest: each failed try doubles it."""

LONGEST_VECTOR = 8192


class _Item(Struct):
    index: int
    embedding: list[float] | str


class _Reply(Struct):
    data: list[_Item]


_DECODER = msgspec.json.Decoder(_Reply)


class EmbeddingCounts(Struct):
    """How vectors were had, or not. What they cost is in ``gateway.ask.totals``."""

    made: int = 0
    late: int = 0
    failed: int = 0
    """With an error, or an answer that holds no vector."""
    resting: int = 0
    """Not asked for, because the model failed `FAILURES` times in a row a moment ago."""
    busy: int = 0
    """Not asked for, because ``max_in_flight`` were under way."""


class Embedder:
    """Asks the embedding model. ``purpose`` is the plugin's name; what it costs is told under ``<purpose>.<what>``."""

    def __init__(self, gateway: Gateway, config: EmbeddingsConfig, purpose: str) -> None:
        self._ask = gateway.ask
        self._log = gateway.log
        self._config = config
        self._purpose = purpose
        self._in_flight = 0
        self._rest = _Rest(gateway.clock)
        self.counts = EmbeddingCounts()

    async def __call__(
        self, texts: Sequence[str], what: str, exchange: Exchange | None = None, timeout: float | None = None
    ) -> list[Vector] | None:
        """A unit vector for each text, ``None`` where they could not be had; ``timeout`` seconds instead of the usual.

        What it cost is noted on ``exchange``.
        """
        counts, config = self.counts, self._config
        if self._in_flight >= config.max_in_flight:
            counts.busy += 1
            return None
        if not self._rest.admits():
            counts.resting += 1
            return None
        body: dict[str, Any] = {"model": config.model, "input": texts[0] if len(texts) == 1 else list(texts)}
        if config.dimensions is not None:
            body["dimensions"] = config.dimensions
        self._in_flight += 1
        try:
            asked = await self._ask(
                "embeddings",
                body,
                purpose=f"{self._purpose}.{what}",
                timeout=config.timeout if timeout is None else timeout,
                provider=config.provider,
                exchange=exchange,
            )
        except DeadlineExceeded:
            counts.late += 1
            self._failed("late")
            return None
        except GatewayError as problem:
            counts.failed += 1
            self._failed(problem.code)
            return None
        finally:
            self._in_flight -= 1
        vectors = _vectors(asked.body, len(texts))
        if vectors is None:
            counts.failed += 1
            self._failed("no vector")
            return None
        counts.made += 1
        self._rest.succeeded()
        return vectors

    def _failed(self, problem: str) -> None:
        rest = self._rest.failed()
        if rest is not None:
            self._log.warning(
                "the embedding model is left alone; until then nothing is found",
                plugin=self._purpose,
                problem=problem,
                seconds=rest,
            )


class _Rest:
    """Leaves a model alone that keeps failing, so that not every request waits for it in vain."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._until = 0.0

    def admits(self) -> bool:
        """Whether to ask now. After a rest one may; the others go on resting until it is known how that went."""
        now = self._clock.monotonic()
        if self._failures < FAILURES:
            return True
        if now < self._until:
            return False
        self._until = now + REST
        return True

    def failed(self) -> float | None:
        """It did not answer, not in time, or nonsense. Seconds for which it is to rest; ``None``: not yet."""
        self._failures += 1
        if self._failures < FAILURES:
            return None
        rest: float = min(LONGEST_REST, REST * 2.0 ** min(self._failures - FAILURES, 10))
        self._until = self._clock.monotonic() + rest
        return rest

    def succeeded(self) -> None:
        """It answered."""
        self._failures = 0


def _vectors(body: bytes, count: int) -> list[Vector] | None:
    """The vectors of an answer in OpenAI's words, floats or base64 of 32-bit ones, in the order of the texts."""
    try:
        items = sorted(_DECODER.decode(body).data, key=lambda item: item.index)
    except (ValueError, RecursionError):
        return None
    vectors = [_vector(item.embedding) for item in items]
    found = [vector for vector in vectors if vector is not None and len(vector) <= LONGEST_VECTOR]
    same_length = len({len(vector) for vector in found}) == 1
    return found if len(found) == count == len(items) and same_length else None


def _vector(embedding: list[float] | str) -> Vector | None:
    if isinstance(embedding, list):
        return unit(embedding)
    try:
        return unit(np.frombuffer(base64.b64decode(embedding, validate=True), dtype="<f4"))
    except (binascii.Error, ValueError):
        return None

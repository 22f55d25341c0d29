"""Tally: what is counted of every finished exchange. It runs on the client's path: a few additions, and no text."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from operator import add, attrgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from helicone_gw_metrics.labels import OTHER, Label

if TYPE_CHECKING:
    from helicone_gw import Attempt, Exchange

TOKENS: Final[Mapping[str, str]] = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
    "reasoning": "reasoning_tokens",
    "input_audio": "input_audio_tokens",
    "output_audio": "output_audio_tokens",
    "input_image": "input_image_tokens",
    "output_image": "output_image_tokens",
}
"""Classes of tokens, and where a usage has them; all but the first two are parts of those."""

SAVED: Final = ("cache.saved_nano_usd", "cache.saved_ms", "cache.saved_prompt_tokens", "cache.saved_completion_tokens")
"""Annotations of a cache hit: what it saved, in this order."""

_NOTHING_SAVED = (None,) * len(SAVED)
_WHOLE = frozenset({int})

ExchangeKey = tuple[str | None, str | None, str, str, int | None, bool, str | None]
"""Provider, model, operation, outcome, status, whether it streamed, what the cache did."""
AttemptKey = tuple[str, str | None, int | None, str | None]
"""Provider, model, status and error code of one call of a provider."""
ErrorKey = tuple[str, str | None]
"""Outcome and error code."""


class ExchangeRow(msgspec.Struct, array_like=True):
    """Sums over the exchanges with one key. Times are in seconds, money is in nano-dollars.

    The lists of buckets have a place more than there are bounds: what is longer than all of them. ``tokens`` and
    ``saved`` are in the order of `TOKENS` and `SAVED`. ``attempts`` are those of exchanges that took a single good one,
    with the exchange's status.
    """

    latency: list[int]
    first_token: list[int]
    tokens: list[int]
    saved: list[int]
    count: int = 0
    seconds: float = 0.0
    first_token_seconds: float = 0.0
    tokens_unknown: int = 0
    cost: int = 0
    cost_estimated: int = 0
    cost_unknown: int = 0
    attempts: int = 0
    attempt_seconds: float = 0.0


class AttemptRow(msgspec.Struct, array_like=True):
    """Sums over the attempts with one key that are in no `ExchangeRow`; ``seconds`` is to their ends."""

    count: int = 0
    seconds: float = 0.0


class Tally:
    """The counters of one worker; they only grow.

    ``latency`` and ``first_token`` are bounds of histograms, in seconds and in order. A label has up to ``max_values``
    values, and there are up to ``max_series`` keys of each kind: what is beyond that is counted as `OTHER`.
    """

    def __init__(
        self, latency: Sequence[float], first_token: Sequence[float], *, max_values: int, max_series: int
    ) -> None:
        self.exchanges: dict[ExchangeKey, ExchangeRow] = {}
        self.attempts: dict[AttemptKey, AttemptRow] = {}
        self.errors: dict[ErrorKey, int] = {}
        self.provider = Label("provider", max_values)
        self.model = Label("model", max_values)
        self.code = Label("code", max_values)
        self.overflowed = 0
        """How often a combination of labels had no series of its own."""
        self.latency, self.first_token = tuple(latency), tuple(first_token)
        self._max_series = max_series

    def add(self, exchange: Exchange) -> None:
        """Count a finished exchange, with its attempts."""
        outcome, original, notes = exchange.outcome, exchange.original, exchange.annotations
        received, ended = exchange.received_at, exchange.ended_at
        assert outcome is not None
        assert ended is not None
        cache = notes.get("cache.status") if notes else None
        stream, kind, status = original.stream, outcome.kind, outcome.status
        key = (exchange.provider, exchange.model, original.operation, kind, status, stream, cache)
        row = self.exchanges.get(key) or self._row(key)
        seconds = ended - received
        row.count += 1
        row.latency[bisect_left(self.latency, seconds)] += 1
        if seconds > 0:  # a wall clock may be set back meanwhile
            row.seconds += seconds
        if stream:
            self._streamed(row, received, exchange.first_chunk_at)
        attempts, usage, cost = exchange.attempts, exchange.usage, exchange.cost
        if usage is not None:
            tokens, parts = row.tokens, _parts(usage)
            tokens[0] += usage.input_tokens or 0
            tokens[1] += usage.output_tokens or 0
            if any(parts):
                for at, number in enumerate(parts, 2):
                    tokens[at] += number or 0
        elif attempts:
            row.tokens_unknown += 1
        if cost is None:
            row.cost_unknown += 1
        elif cost.nano_usd:
            row.cost += cost.nano_usd
            if cost.estimated:
                row.cost_estimated += cost.nano_usd
        if cache is not None:
            _add_saved(row.saved, notes)
        if kind != "ok":
            self._failed(kind, outcome.code)
        for attempt in attempts:
            if attempt.error is None and attempt.status == status and len(attempts) == 1:
                # Nearly always so: its provider and model are the exchange's, and need not be looked up again.
                row.attempts += 1
                row.attempt_seconds += (attempt.ended_at or ended) - attempt.started_at
            else:
                self._attempted(attempt, ended)

    def _streamed(self, row: ExchangeRow, received_at: float, first_chunk_at: float | None) -> None:
        if first_chunk_at is not None:
            seconds = max(0.0, first_chunk_at - received_at)
            row.first_token[bisect_left(self.first_token, seconds)] += 1
            row.first_token_seconds += seconds

    def _attempted(self, attempt: Attempt, ended: float) -> None:
        target, error = attempt.target, attempt.error
        code = None if error is None else error.code
        called = (target.provider, attempt.model or target.model, attempt.status, code)
        sums = self.attempts.get(called) or self._attempt(called)
        sums.count += 1
        sums.seconds += max(0.0, (attempt.ended_at or ended) - attempt.started_at)

    def _row(self, key: ExchangeKey) -> ExchangeRow:
        """The row of a key that has none, or that of those that shall have none of their own."""
        provider, model, operation, outcome, status, stream, cache = key
        place = provider and self.provider.of(provider), model and self.model.of(model)
        found: ExchangeKey = (*place, operation, outcome, status, stream, cache)
        row = self.exchanges.get(found)
        if row is None and len(self.exchanges) >= self._max_series:
            self.overflowed += 1
            found = (OTHER, OTHER, OTHER, outcome, None, False, None)
            row = self.exchanges.get(found)
        if row is None:
            row = self.exchanges[found] = ExchangeRow(
                [0] * (len(self.latency) + 1), [0] * (len(self.first_token) + 1), [0] * len(TOKENS), [0] * len(SAVED)
            )
        return row

    def _attempt(self, key: AttemptKey) -> AttemptRow:
        provider, model, status, code = key
        place = self.provider.of(provider), model and self.model.of(model)
        found: AttemptKey = (*place, status, code and self.code.of(code))
        row = self.attempts.get(found)
        if row is None and len(self.attempts) >= self._max_series:
            self.overflowed += 1
            found = (OTHER, OTHER, None, None)
            row = self.attempts.get(found)
        if row is None:
            row = self.attempts[found] = AttemptRow()
        return row

    def _failed(self, outcome: str, code: str | None) -> None:
        key = (outcome, code and self.code.of(code))
        self.errors[key] = self.errors.get(key, 0) + 1


def _add_saved(saved: list[int], notes: Mapping[str, Any]) -> None:
    numbers: tuple[Any, ...] = tuple(map(notes.get, SAVED))
    if numbers == _NOTHING_SAVED:
        return
    if _WHOLE.issuperset(map(type, numbers)) and min(numbers) >= 0:
        saved[:] = map(add, saved, numbers)  # nearly always so
    else:
        known = [number if number.__class__ is int and number > 0 else 0 for number in numbers]
        saved[:] = map(add, saved, known)


_parts = attrgetter(*list(TOKENS.values())[2:])

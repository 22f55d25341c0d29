"""Savings: what a hit spared its client, noted on the exchange for the log and counted for metrics."""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field

from helicone_gw import Cost, Exchange, Usage
from helicone_gw_cache.entry import Entry

TOKENS: Final = {
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "reasoning_tokens": "reasoning_tokens",
    "prompt_cache_read_tokens": "cache_read_tokens",
    "prompt_cache_write_tokens": "cache_write_tokens",
    "prompt_audio_tokens": "input_audio_tokens",
    "completion_audio_tokens": "output_audio_tokens",
    "prompt_image_tokens": "input_image_tokens",
    "completion_image_tokens": "output_image_tokens",
}
"""The log's name of a class of tokens, and `Usage`'s. The first two are totals that contain the others."""

NO_TOKENS: Final = Usage(input_tokens=0, output_tokens=0)
"""The usage of a hit: no provider was asked, so these zeros are known."""

NO_CHARGE: Final = Cost(0, source="cache")
"""The cost of a hit."""


class Savings(Struct):
    """What hits have saved since the gateway started. Plain counters: a metrics plugin reads them.

    ``tokens`` is by the names of `TOKENS`, and holds what providers reported; ``unknown_tokens`` and ``unknown_cost``
    count the hits on answers of which nobody knows the tokens or the cost, so that the sums can be told for what they
    are: a lower bound. ``milliseconds`` is the time that the answers took when they were new, less the time that the
    hits took.
    """

    hits: int = 0
    misses: int = 0
    tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOKENS, 0))
    nano_usd: int = 0
    milliseconds: int = 0
    unknown_tokens: int = 0
    unknown_cost: int = 0

    def hit(self, exchange: Exchange, entry: Entry, waited_ms: int = 0, status: str = "hit") -> None:
        """Account for a hit on ``entry``, before the answer goes up.

        On the exchange: the provider, model and stop reason of the answer, no tokens and no cost, and for the log
        ``cache.status`` (``status``), ``cache.key``, ``cache.reference_id`` (the original's ``Helicone-Id``),
        ``cache.latency_ms`` (how long that took), ``cache.saved_ms`` (less ``waited_ms``, the milliseconds that this
        hit took), ``cache.saved_nano_usd`` (``None``: unknown), and ``cache.saved_<class>`` for each class of tokens
        that was reported.
        """
        saved_ms = max(0, entry.latency_ms - waited_ms)
        exchange.provider = entry.provider
        exchange.model = entry.model
        exchange.stop_reason = entry.stop_reason
        exchange.usage = NO_TOKENS
        exchange.cost = NO_CHARGE
        note = exchange.annotate
        note("cache.status", status)
        note("cache.key", entry.key)
        note("cache.reference_id", entry.request_id)
        note("cache.latency_ms", entry.latency_ms)
        note("cache.saved_ms", saved_ms)
        note("cache.saved_nano_usd", entry.cost_nano_usd)
        self.hits += 1
        self.milliseconds += saved_ms
        if entry.cost_nano_usd is None:
            self.unknown_cost += 1
        else:
            self.nano_usd += entry.cost_nano_usd
        usage = entry.usage
        if usage is None or usage.total_tokens is None:
            self.unknown_tokens += 1
            return
        tokens = self.tokens
        for name, attribute in TOKENS.items():
            count = getattr(usage, attribute)
            if count is not None:
                note(f"cache.saved_{name}", count)
                tokens[name] += count

    def miss(self, exchange: Exchange, reason: str) -> None:
        """Account for a miss: ``cache.status`` is "miss", ``cache.miss_reason`` says why."""
        exchange.annotate("cache.status", "miss")
        exchange.annotate("cache.miss_reason", reason)
        self.misses += 1

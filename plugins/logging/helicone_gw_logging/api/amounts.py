"""Amounts: what requests come to, as the REST API shows sums: money in dollars, times in milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from helicone_gw_logging.api.rows import dollars
from helicone_gw_logging.measures import known_sum
from helicone_gw_logging.query.sums import Sums
from helicone_gw_logging.totals import SUMS, TOKENS

_NOTHING: Final = dict.fromkeys(SUMS, 0)


class Amounts(Struct, frozen=True, kw_only=True):
    """What requests come to.

    ``cost`` and tokens are what is known of them, cost in dollars, and null where there are requests and nothing is
    known; ``unknown_costs`` and ``unknown_tokens`` say of how many requests it is not known, ``estimated_tokens`` of
    how many it was estimated. Tokens are the providers' totals: cached and audio input is part of ``prompt_tokens``,
    reasoning of ``completion_tokens``. ``latency`` and ``time_to_first_token`` are averages in milliseconds. ``errors``
    ended otherwise than well, ``rate_limited`` were refused by a limit of the gateway. ``saved...`` is what caches
    spared.
    """

    requests: int
    errors: int
    error_rate: float | None
    cost: float | None
    unknown_costs: int
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    reasoning_tokens: int | None
    prompt_cache_read_tokens: int | None
    prompt_cache_write_tokens: int | None
    prompt_audio_tokens: int | None
    completion_audio_tokens: int | None
    unknown_tokens: int
    estimated_tokens: int
    latency: float | None
    time_to_first_token: float | None
    cache_hits: int
    cache_hit_rate: float | None
    saved: float
    saved_ms: int
    saved_prompt_tokens: int
    saved_completion_tokens: int
    threats: int
    rate_limited: int


_SHOWN: Final = frozenset(Amounts.__struct_fields__)
_TOKENS: Final = tuple(name for name in TOKENS if name in _SHOWN)
SHOWN: Final = (
    "requests",
    "errors",
    *_TOKENS,
    *(name for name in SUMS[SUMS.index("unknown_tokens") :]),
)
"""The sums that `Amounts` are made of."""


def amounts(sums: Mapping[str, int] | None) -> dict[str, int | float | None]:
    """The fields of `Amounts`; ``None``: there were no requests."""
    known: Sums = {**_NOTHING, **(sums or {})}
    requests = known["requests"]
    made: dict[str, int | float | None] = {name: known[name] for name in SUMS if name in _SHOWN}
    made |= {name: known_sum(known[name], known["unknown_tokens"], requests) for name in _TOKENS}
    return made | {
        "error_rate": _part(known["errors"], requests),
        "cost": dollars(known_sum(known["cost_nano_usd"], known["unknown_costs"], requests)),
        "latency": _part(known["latency_sum"], known["latency_count"]),
        "time_to_first_token": _part(known["first_token_sum"], known["first_token_count"]),
        "cache_hit_rate": _part(known["cache_hits"], requests),
        "saved": dollars(known["saved_nano_usd"]),
        "rate_limited": known["ratelimited"],
    }


def _part(number: int, of: int) -> float | None:
    return number / of if of else None

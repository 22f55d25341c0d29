"""Arithmetic: how the cost of an attempt comes about, unit by unit, at the price that holds now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from helicone_gw import Prices, Usage

NANO: Final = 1_000_000_000

_TOKENS: Final[Mapping[str, str]] = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "cache_read_tokens": "prompt_cache_read_tokens",
    "cache_write_tokens": "prompt_cache_write_tokens",
    "cache_write_1h_tokens": "prompt_cache_write_1h_tokens",
    "reasoning_tokens": "reasoning_tokens",
    "input_audio_tokens": "prompt_audio_tokens",
    "output_audio_tokens": "completion_audio_tokens",
    "cache_audio_read_tokens": "prompt_cache_audio_tokens",
    "input_image_tokens": "prompt_image_tokens",
    "output_image_tokens": "completion_image_tokens",
    "web_searches": "web_searches",
}
"""The fields of `Usage`, and the log's columns for them."""

_UNITS: Final[Mapping[str, str]] = {
    "input": "input",
    "cache_read": "input from the provider's cache",
    "cache_audio_read": "audio from the provider's cache",
    "cache_write": "input written to the provider's cache",
    "cache_write_1h": "input written to its cache for an hour",
    "input_audio": "audio input",
    "input_image": "image input",
    "output": "output",
    "reasoning": "reasoning",
    "output_audio": "audio output",
    "output_image": "image output",
    "web_searches": "web searches",
    "requests": "fee for the request",
}


class Line(NamedTuple):
    """So many of a unit, at so many dollars each million, come to so many dollars."""

    unit: str
    quantity: int
    per_million: float
    dollars: float


class Sum(NamedTuple):
    """The lines of one attempt. ``same``: they come to what was logged; otherwise prices have changed since."""

    lines: list[Line]
    dollars: float
    same: bool


def arithmetic(prices: Prices, attempt: Mapping[str, Any]) -> Sum | None:
    """The sum for an attempt as the log has it (``request_attempt``), ``None`` where today's prices do not tell."""
    counted: dict[str, Any] = {field: attempt.get(column) for field, column in _TOKENS.items()}
    usage = Usage(**counted)
    found = prices.find(
        attempt["provider"], attempt["model"], attempt.get("service_tier"), asked=attempt["request_model"]
    )
    cost = None if found is None else found.cost(usage)
    if cost is None:
        return None
    lines = [
        Line(_UNITS.get(unit, unit), quantity, nano / quantity * 1e6 / NANO if quantity else 0.0, nano / NANO)
        for unit, quantity, nano in cost.parts
    ]
    return Sum(lines, cost.nano_usd / NANO, cost.nano_usd == attempt["cost_nano_usd"])

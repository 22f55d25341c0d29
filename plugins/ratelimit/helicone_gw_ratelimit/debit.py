"""Debit: what a stream costs while it goes by, before any provider has said so.

A provider tells the tokens of a stream in its last event, which a long answer, or one whose budget ends, is far from.
Until then the text itself is counted: four bytes are taken for a token, one at least for every event that carries text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from helicone_gw import UNITS

if TYPE_CHECKING:
    from helicone_gw import CompiledPrice, Request

BYTES_PER_TOKEN: Final = 4

_OUTPUT: Final = UNITS.index("output")

_STRING: Final = rb'":\s?"([^"\\]*(?:\\.[^"\\]*)*)"'

_FIELDS: Final = rb'"(?:content|text|arguments|partial_json|thinking|reasoning|reasoning_content|refusal|response)'
_TEXT: Final = re.compile(_FIELDS + _STRING, re.DOTALL)
"""Where events of most dialects carry what was generated, as JSON has it."""

_DELTA: Final = re.compile(rb'"delta' + _STRING, re.DOTALL)
"""The same of OpenAI's responses, whose later events repeat all that went before under the other names."""


class Meter:
    """Counts the tokens of one stream's text, event by event. ``tokens`` is the estimate so far."""

    __slots__ = ("_find", "tokens")

    def __init__(self, request: Request) -> None:
        self._find = (_DELTA if request.operation == "responses" else _TEXT).findall
        self.tokens = 0

    def add(self, event: bytes) -> int:
        """Count one event; the estimate so far."""
        size = 0
        for text in self._find(event):
            size += len(text)
        if size:
            self.tokens += -(-size // BYTES_PER_TOKEN)
        return self.tokens


class Debit:
    """What one stream costs so far: ``base`` before its first token, and then its tokens' price.

    Amounts are nano-dollars; ``rate`` is that of a token of output times ``scale``.
    """

    __slots__ = ("_meter", "base", "rate", "scale", "used")

    def __init__(self, request: Request, base: int, price: CompiledPrice | None, input_tokens: int) -> None:
        self._meter = Meter(request)
        self.base = self.used = base
        self.rate, self.scale = (0, 1) if price is None else output_rate(price, input_tokens)

    @property
    def tokens(self) -> int:
        """Tokens of output so far."""
        return self._meter.tokens

    def add(self, event: bytes) -> int:
        """Count one event; what the stream costs so far, rounded up."""
        self.used = self.base - (-self._meter.add(event) * self.rate // self.scale)
        return self.used


def output_rate(price: CompiledPrice, input_tokens: int) -> tuple[int, int]:
    """What a token of output costs after a prompt of so many: nano-dollars times a scale, and the scale."""
    return price.rates(input_tokens)[_OUTPUT] or 0, price.scale

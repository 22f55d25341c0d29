"""CompiledPrice: one price, compiled so that usage becomes money with a few integer multiplications."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import compress
from typing import Final

from helicone_gw.model import Cost, Usage

UNITS: Final = (
    "input",
    "cache_read",
    "cache_audio_read",
    "cache_write",
    "cache_write_1h",
    "input_audio",
    "input_image",
    "output",
    "reasoning",
    "output_audio",
    "output_image",
    "web_searches",
    "requests",
)
"""What can have a price. Disjoint: ``input`` is text that was neither read from nor written to a cache, ``cache_write``
is kept for five minutes, ``output`` is text that is not reasoning. ``requests`` is a fee per call."""

_FALLS_TO: Final[Mapping[str, tuple[str, ...]]] = {
    "cache_read": ("input",),
    "cache_audio_read": ("input_audio", "cache_read", "input"),
    "cache_write": ("input",),
    "cache_write_1h": ("cache_write", "input"),
    "input_audio": ("input",),
    "input_image": ("input",),
    "reasoning": ("output",),
    "output_audio": ("output",),
    "output_image": ("output",),
}

Amount = Fraction | Decimal | int
Rates = tuple[int | None, ...]
_INPUT: Final = UNITS.index("input")
_OUTPUT: Final = UNITS.index("output")
_REQUESTS: Final = UNITS.index("requests")
_PLACES: Final = tuple(range(len(UNITS)))
_BUT_REQUESTS: Final = _PLACES[:_REQUESTS]
"""The same without the fee per call, which is the last."""


@dataclass(frozen=True, slots=True)
class Tiered:
    """A rate that depends on the size of the whole prompt: crossing a threshold changes the rate of every token.

    ``above`` lists (input tokens, rate): the rate of the highest threshold that the input exceeds applies.
    """

    base: Amount
    above: tuple[tuple[int, Amount], ...]


@dataclass(frozen=True, slots=True)
class CompiledPrice:
    """One price, ready to multiply. Build it with `of`.

    ``tiers`` lists (threshold, rates) upwards, the first at -1; a tier holds when input tokens exceed its threshold.
    Rates stand in the order of `UNITS`, in nano-dollars times ``scale`` per unit (a price may be a fraction of a
    nano-dollar, so ``scale`` is the common denominator); ``None`` is a unit without any price. The price may change at
    ``valid_until`` (epoch seconds).
    """

    scale: int
    tiers: tuple[tuple[int, Rates], ...]
    source: str
    version: str = ""
    valid_until: float | None = None

    @classmethod
    def of(
        cls,
        prices: Mapping[str, Amount | Tiered],
        *,
        source: str,
        version: str = "",
        valid_until: float | None = None,
    ) -> CompiledPrice:
        """Compile exact rates, in nano-dollars per unit, by name of `UNITS`.

        A class of tokens without a rate of its own costs what the class around it costs: cached, cache-written, audio
        and image input fall to ``input``, the one-hour cache to the five-minute one, reasoning, audio and image output
        to ``output``; cached audio is audio before it is cached, so that no discount is invented. Raises `ValueError`
        for no rates, for an unknown unit, and for a rate or threshold below zero.
        """
        if not prices:
            raise ValueError("a price needs at least one rate")
        if unknown := prices.keys() - set(UNITS):
            raise ValueError(f"unknown units: {', '.join(sorted(unknown))}")
        steps = {unit: _steps(unit, value) for unit, value in prices.items()}
        scale = math.lcm(*(rate.denominator for of_unit in steps.values() for rate in of_unit.values()))
        thresholds = sorted({threshold for of_unit in steps.values() for threshold in of_unit})
        tiers = []
        for threshold in thresholds:
            own = {
                unit: int(of_unit[max(start for start in of_unit if start <= threshold)] * scale)
                for unit, of_unit in steps.items()
            }
            tiers.append((threshold, _in_order(own)))
        return cls(scale, tuple(tiers), source, version, valid_until)

    def cost(self, usage: Usage) -> Cost | None:
        """What ``usage`` costs, rounded once, half up, to the nano-dollar; ``None`` where that cannot be known.

        Unknown: no token total at all, a total missing that has a price, or a quantity without any price (`lacks`).
        The amounts of the parts add up to the total: each is the difference of two rounded running sums.
        """
        rates = self.rates(usage.input_tokens or 0)
        if usage.total_tokens is None or (
            (usage.input_tokens is None and rates[_INPUT]) or (usage.output_tokens is None and rates[_OUTPUT])
        ):
            return None
        exact = rounded = 0
        parts = []
        amounts = quantities(usage)
        scale, twice = self.scale, 2 * self.scale
        for place in compress(_PLACES if rates[_REQUESTS] else _BUT_REQUESTS, amounts):
            rate, amount = rates[place], amounts[place]
            if rate is None:
                return None
            exact += amount * rate
            up_to = (2 * exact + scale) // twice
            parts.append((UNITS[place], amount, up_to - rounded))
            rounded = up_to
        return Cost(rounded, tuple(parts), self.source, self.version, usage.estimated)

    def lacks(self, usage: Usage) -> tuple[str, ...]:
        """The units that ``usage`` has some of and that this price says nothing about."""
        rates = self.rates(usage.input_tokens or 0)
        return tuple(unit for unit, n, rate in zip(UNITS, quantities(usage), rates, strict=True) if n and rate is None)

    def rates(self, input_tokens: int) -> Rates:
        """The rates that hold for a prompt of ``input_tokens``."""
        tiers = self.tiers
        if len(tiers) > 1:
            for threshold, rates in reversed(tiers):
                if input_tokens > threshold:
                    return rates
        return tiers[0][1]


def _steps(unit: str, value: Amount | Tiered) -> dict[int, Fraction]:
    tiered = value if isinstance(value, Tiered) else Tiered(value, ())
    steps = {-1: Fraction(tiered.base)}
    for threshold, rate in tiered.above:
        if threshold < 0:
            raise ValueError(f"{unit}: a threshold cannot be below zero")
        steps[threshold] = Fraction(rate)
    if min(steps.values()) < 0:
        raise ValueError(f"{unit}: a price cannot be below zero")
    return steps


def _in_order(own: Mapping[str, int]) -> Rates:
    def rate(unit: str) -> int | None:
        if unit == "requests":
            # A fee that nobody mentions is no fee; only what was used and has no price is unknown.
            return own.get(unit, 0)
        return next((own[name] for name in (unit, *_FALLS_TO.get(unit, ())) if name in own), None)

    return tuple(rate(unit) for unit in UNITS)


def quantities(usage: Usage) -> tuple[int, ...]:
    """``usage`` as disjoint quantities in the order of `UNITS`; those of input and output add up to the totals.

    Classes are taken out of their total one after the other (cached, cache-written, audio, image; audio, image,
    reasoning), each cut to what is left: tokens that a provider counts in two classes are paid for once, and nothing
    is ever negative. ``cache_write_tokens`` contains the one-hour part, ``input_audio_tokens`` the cached audio.
    A total that was not reported counts as none here.
    """
    if (
        usage.cache_write_tokens is usage.cache_write_1h_tokens is None
        and not usage.input_audio_tokens
        and not usage.output_audio_tokens
        and not usage.cache_audio_read_tokens
        and usage.input_image_tokens is usage.output_image_tokens is None
    ):
        return _of_plain_text(usage)
    text = max(usage.input_tokens or 0, 0)
    audio_read = usage.cache_audio_read_tokens
    read = _within(audio_read if usage.cache_read_tokens is None else usage.cache_read_tokens, text)
    text -= read
    audio_read = _within(audio_read, read)
    hour = usage.cache_write_1h_tokens
    write = _within(hour if usage.cache_write_tokens is None else usage.cache_write_tokens, text)
    text -= write
    hour = _within(hour, write)
    audio = _within((usage.input_audio_tokens or 0) - audio_read, text)
    text -= audio
    image = _within(usage.input_image_tokens, text)
    text -= image
    output = max(usage.output_tokens or 0, 0)
    output_audio = _within(usage.output_audio_tokens, output)
    output -= output_audio
    output_image = _within(usage.output_image_tokens, output)
    output -= output_image
    reasoning = _within(usage.reasoning_tokens, output)
    return (
        text,
        read - audio_read,
        audio_read,
        write - hour,
        hour,
        audio,
        image,
        output - reasoning,
        reasoning,
        output_audio,
        output_image,
        max(usage.web_searches or 0, 0),
        1,
    )


def _of_plain_text(usage: Usage) -> tuple[int, ...]:
    text, output, searches = usage.input_tokens or 0, usage.output_tokens or 0, usage.web_searches or 0
    if text < 0 or output < 0 or searches < 0:
        text, output, searches = max(text, 0), max(output, 0), max(searches, 0)
    read = _within(usage.cache_read_tokens, text) if usage.cache_read_tokens else 0
    reasoning = _within(usage.reasoning_tokens, output) if usage.reasoning_tokens else 0
    return (text - read, read, 0, 0, 0, 0, 0, output - reasoning, reasoning, 0, 0, searches, 1)


def _within(part: int | None, whole: int) -> int:
    return 0 if part is None or part < 0 else min(part, whole)

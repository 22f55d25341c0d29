"""Truth: how often hits were wrong, from a sample of them that was asked again, and what stops when that is too often.

Two answers are compared, the one that was served and a fresh one; whoever compares knows no more than their letters and
their vectors. What counts as wrong is an answer that says something else, be it that the model answers differently
each time: the rate is an upper bound of what the cache did wrong.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from helicone_gw_semantic_cache.facts import Facts, facts_of
from helicone_gw_semantic_cache.lexicon import known

if TYPE_CHECKING:
    from helicone_gw_semantic_cache.config import MeterConfig

Z = 1.959963984540054
"""The 97.5 % quantile of the normal distribution: intervals are of 95 %."""

MOST_TALLIES = 4_096
"""Scopes and models that are tallied; the one heard of longest ago is forgotten, its stop included."""

SHORT = 3
"""So few words are the answer itself."""

Verdict = Literal["same", "other", "unknown"]


def wilson(wrong: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a rate of which ``wrong`` in ``total`` were seen (E. B. Wilson, 1927).

    >>> [round(bound, 4) for bound in wilson(1, 100)]
    [0.0018, 0.0545]
    """
    if total == 0:
        return 0.0, 1.0
    rate, square = wrong / total, Z * Z / total
    middle = (rate + square / 2) / (1 + square)
    half = Z * math.sqrt(rate * (1 - rate) / total + square / (4 * total)) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


def compare(served: str, fresh: str, similarity: float | None, same_answer: float) -> Verdict:
    """Whether two answers say the same; ``similarity`` is the cosine of their vectors, ``None`` where there is none.

    The figures, quotations and code of one must all be in the other, which may say more, and so must its names; a yes
    is no no.
    """
    if served.split() == fresh.split():
        return "same"
    one, other = facts_of(served), facts_of(fresh)
    if one.cut or other.cut:
        return "unknown"
    if not (_contained(one, other) or _contained(other, one)) or _verdict_word(one) != _verdict_word(other):
        return "other"
    if similarity is None:
        return "unknown"
    return "same" if similarity >= same_answer else "other"


def _contained(one: Facts, other: Facts) -> bool:
    """Whether ``other`` has all that can be checked of ``one``; of a short answer, all that it says."""
    return (
        (len(one.meaning) > SHORT or set(one.meaning) <= set(other.meaning))
        and set(one.numbers) <= set(other.numbers)
        and set(one.quotes) <= set(other.quotes)
        and set(one.code) <= set(other.code)
        and one.names <= {*other.words, *other.names}
    )


def _verdict_word(facts: Facts) -> bool | None:
    """What an answer that begins with yes or no begins with."""
    first = facts.words[0] if facts.words else ""
    return True if first in known().yes else False if first in known().no else None


class Tally(Struct):
    """What the sampled hits of one scope, or one model, turned out to be. ``stopped_until`` is epoch seconds."""

    same: int = 0
    other: int = 0
    stopped_until: float = 0.0

    @property
    def total(self) -> int:
        """Samples with a verdict."""
        return self.same + self.other

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the rate of wrong hits."""
        return wilson(self.other, self.total)


class MeterCounts(Struct):
    """What became of the samples, and what followed."""

    sampled: int = 0
    same: int = 0
    other: int = 0
    unknown: int = 0
    """Asked again, and nobody can say: no complete answer, no vectors, too long."""
    skipped: int = 0
    """Not asked again: ``max_in_flight`` were, or too much runs in the background."""
    stops: int = 0
    forgotten: int = 0
    """Tallies beyond `MOST_TALLIES`."""


class Meter:
    """Tallies by scope and by model, all of one worker."""

    def __init__(self, config: MeterConfig) -> None:
        self._config = config
        self._tallies: OrderedDict[Hashable, Tally] = OrderedDict()
        self.counts = MeterCounts()
        self.all = Tally()
        """Every sample since the start."""

    def tally(self, key: Hashable) -> Tally | None:
        """The tally of a scope or a model."""
        return self._tallies.get(key)

    def stopped(self, key: Hashable, now: float) -> bool:
        """Whether nothing of ``key`` may be answered from the cache."""
        tally = self._tallies.get(key)
        if tally is None or not tally.stopped_until:
            return False
        if now < tally.stopped_until:
            return True
        del self._tallies[key]  # it gets another chance, and an empty tally
        return False

    def heard(self, key: Hashable, verdict: Verdict, now: float) -> bool:
        """Note a sample of ``key``; whether that stops it."""
        if verdict == "unknown":
            return False
        tally = self._tallies.setdefault(key, Tally())
        self._tallies.move_to_end(key)
        if len(self._tallies) > MOST_TALLIES:
            self._tallies.popitem(last=False)
            self.counts.forgotten += 1
        _add(tally, verdict)
        config = self._config
        if tally.stopped_until or tally.total < config.min_samples or tally.interval[0] <= config.max_wrong:
            return False
        tally.stopped_until = now + config.stop_for
        self.counts.stops += 1
        return True

    def count(self, verdict: Verdict) -> None:
        """Count a sample, whatever it is of."""
        setattr(self.counts, verdict, getattr(self.counts, verdict) + 1)
        if verdict != "unknown":
            _add(self.all, verdict)


def _add(tally: Tally, verdict: Verdict) -> None:
    if verdict == "same":
        tally.same += 1
    else:
        tally.other += 1

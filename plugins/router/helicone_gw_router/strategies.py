"""Strategies: in which order the targets of a route are tried."""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from helicone_gw import Health, Target

MAX_ROTATIONS = 10_000
"""Rotations remembered; the one used longest ago is forgotten, and its shares begin anew."""


BLEND = (3000, 1000)
"""Input and output tokens of the blend that prices are compared for: three to one."""

BLEND_PER_DOLLAR = 4_000_000
"""Nano-dollars for the blend that make one dollar per million tokens."""


LONGEST_LABELLED = 256
"""Characters of a model's name that are shown."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One target that a route may take, ``price`` in nano-dollars for the blend, ``None`` when unknown.

    ``lacks`` is what its model is known not to be able to do. ``stuck`` says why it cannot be called at all: it is a
    choice only where there is no other, for the core to refuse.
    """

    target: Target
    weight: float = 1.0
    priority: float = 4.0
    price: int | None = None
    lacks: frozenset[str] = frozenset()
    stuck: str = ""

    @property
    def label(self) -> str:
        """The target, with its price in US dollars per million tokens of the blend, for people."""
        model = self.target.model
        if model is not None and len(model) > LONGEST_LABELLED:
            return f"{self.target.provider}/{model[:LONGEST_LABELLED]}..."
        return _label(self.target, self.price)


@lru_cache(maxsize=4096)
def _label(target: Target, price: int | None) -> str:
    return str(target) if price is None else f"{target}={price / BLEND_PER_DOLLAR:g}"


class Rotation:
    """Shares traffic by weight, evenly over time: smooth weighted round robin, never wrong by more than one request."""

    def __init__(self) -> None:
        self._current: dict[Target, float] = {}

    def take(self, choices: Sequence[Choice]) -> Choice:
        """The next of ``choices``, of which some may be missing at times."""
        current = self._current
        if len(current) > 4 * len(choices) + 64:
            current.clear()
        total, best = 0.0, choices[0]
        for choice in choices:
            total += choice.weight
            current[choice.target] = current.get(choice.target, 0.0) + choice.weight
            if current[choice.target] > current.get(best.target, 0.0):
                best = choice
        current[best.target] -= total
        return best


class Rotations:
    """One `Rotation` for each route or model."""

    def __init__(self) -> None:
        self._rotations: OrderedDict[object, Rotation] = OrderedDict()

    def of(self, name: object) -> Rotation:
        """The rotation called ``name``."""
        rotation = self._rotations.get(name)
        if rotation is None:
            rotation = self._rotations[name] = Rotation()
            if len(self._rotations) > MAX_ROTATIONS:
                self._rotations.popitem(last=False)
        else:
            self._rotations.move_to_end(name)
        return rotation


def ordered(choices: Sequence[Choice], first: Choice) -> list[Choice]:
    """``first``, then the others, the weightiest first."""
    rest = [choice for choice in choices if choice is not first]
    return [first, *sorted(rest, key=lambda choice: -choice.weight)]


def weighted(choices: Sequence[Choice], rotation: Rotation) -> list[Choice]:
    """Shares by weight."""
    return ordered(choices, rotation.take(choices))


def by_rank(choices: Sequence[Choice], rotation: Rotation, rank: Callable[[Choice], object]) -> list[Choice]:
    """The lowest rank first; those of the same rank (keys of one provider) share by weight."""
    ranks: dict[object, list[Choice]] = {}
    for choice in choices:
        ranks.setdefault(rank(choice), []).append(choice)
    result: list[Choice] = []
    for key in sorted(ranks):  # type: ignore[type-var]
        same = ranks[key]
        result += weighted(same, rotation) if len(same) > 1 else same
    return result


def cheapest(choices: Sequence[Choice], rotation: Rotation) -> list[Choice]:
    """Priority, then price; what has no price is behind what has one."""
    return by_rank(choices, rotation, lambda choice: (choice.priority, choice.price is None, choice.price or 0))


def priority(choices: Sequence[Choice], rotation: Rotation) -> list[Choice]:
    """Priority alone."""
    return by_rank(choices, rotation, lambda choice: choice.priority)


def latency(choices: Sequence[Choice], health: Health, random: Callable[[], float]) -> list[Choice]:
    """Power of two choices over peak-sensitive latency times load: the better of two goes first.

    One that was never measured goes before any that was, so that it is.
    """

    def load(choice: Choice) -> float:
        state = health.of(choice.target)
        return 0.0 if state.latency is None else state.latency * (state.in_flight + 1)

    if len(choices) > 2:
        one = int(random() * len(choices)) % len(choices)
        other = (one + 1 + int(random() * (len(choices) - 1)) % (len(choices) - 1)) % len(choices)
        best = min((choices[one], choices[other]), key=load)
    else:
        best = min(choices, key=load)
    return [best, *sorted((choice for choice in choices if choice is not best), key=load)]


def least_busy(choices: Sequence[Choice], health: Health, rotation: Rotation) -> list[Choice]:
    """Fewest attempts in flight for its weight."""
    return by_rank(choices, rotation, lambda choice: health.of(choice.target).in_flight / choice.weight)


def usage(choices: Sequence[Choice], headroom: Callable[[Target], float], rotation: Rotation) -> list[Choice]:
    """Most left of its rate limits first, to the nearest twentieth; what never told counts as idle."""
    return by_rank(choices, rotation, lambda choice: -round(headroom(choice.target) * 20))


def hashed(choices: Sequence[Choice], key: str) -> list[Choice]:
    """The same order for the same ``key``: weighted rendezvous hashing, so that only what must move does."""

    def score(choice: Choice) -> float:
        text = f"{choice.target}\x00{key}".encode(errors="replace")
        drawn = (int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) + 1) / (2**64 + 1)
        return -choice.weight / math.log(drawn)

    return sorted(choices, key=score, reverse=True)

"""Doubts: what stands around a finding, in its sentence, and speaks against it: it is told of somebody, or quoted."""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct

from helicone_gw_moderation.detectors.folding import fold

BEFORE, AFTER = 120, 60
"""Characters around a finding that are looked at."""
DOUBTED = 0.45
"""What a finding in doubt keeps of its score."""
_END = re.compile(r"[.!?](?=\s)|[;。！？।\u061f\n]")


class Doubt(Struct, frozen=True):
    """Expressions for what stands before, inside and after; all that are given must be found. No ``labels``: any."""

    labels: frozenset[str]
    before: re.Pattern[str] | None
    inside: re.Pattern[str] | None
    after: re.Pattern[str] | None


def doubt(labels: Iterable[str], before: str, inside: str, after: str) -> Doubt:
    """A doubt of these expressions, which are folded as texts are. Raises `ValueError` for one that is none."""
    if not (before or inside or after):
        raise ValueError("a doubt needs before, inside or after")
    return Doubt(frozenset(labels), _compiled(before), _compiled(inside), _compiled(after))


class Doubts:
    """Several of them."""

    def __init__(self, doubts: Iterable[Doubt]) -> None:
        self._doubts = tuple(doubts)

    def __bool__(self) -> bool:
        return bool(self._doubts)

    def score(self, label: str, score: float, folded: str, start: int, end: int) -> float:
        """The score that is left to a finding at ``folded[start:end]``."""
        before = folded[max(0, start - BEFORE) : start]
        ends = list(_END.finditer(before))
        before = before[ends[-1].end() :] if ends else before
        after = folded[end : end + AFTER]
        found = _END.search(after)
        after = after if found is None else after[: found.start()]
        for each in self._doubts:
            if (
                (not each.labels or label in each.labels)
                and (each.before is None or each.before.search(before) is not None)
                and (each.inside is None or each.inside.search(folded, start, end) is not None)
                and (each.after is None or each.after.search(after) is not None)
            ):
                return round(score * DOUBTED, 2)
        return score


def _compiled(source: str) -> re.Pattern[str] | None:
    if not source:
        return None
    try:
        return re.compile("".join(char if char.isascii() else fold(char) for char in source))
    except re.error as problem:
        raise ValueError(f"a doubt is not a regular expression: {problem}") from None

"""Anchored rules: a literal that begins (or announces) a secret, and what must follow it there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ahocorasick_rs import AhoCorasick, MatchKind

from helicone_gw_moderation.detectors.base import Category, Finding


@dataclass(frozen=True, slots=True)
class Anchored:
    """One rule. ``follows`` is matched at the anchor's end, and is bounded: no match takes more than 1,000 characters.

    What it finds is the anchor with what follows, or the group ``value`` where the pattern has one. ``check`` is given
    that text. ``inside``: the anchor may stand within a word.
    """

    label: str
    category: Category
    score: float
    anchors: tuple[str, ...]
    follows: re.Pattern[str]
    check: Callable[[str], bool] | None = None
    inside: bool = False


class AnchoredRules:
    """Anchored rules behind one automaton: an expression runs only where its anchor stands."""

    def __init__(self, rules: Iterable[Anchored], detector: str) -> None:
        self._detector = detector
        by_anchor: dict[str, list[Anchored]] = {}
        for rule in rules:
            for anchor in rule.anchors:
                by_anchor.setdefault(anchor, []).append(rule)
        self._rules = list(by_anchor.values())
        self._anchors = AhoCorasick(list(by_anchor), matchkind=MatchKind.Standard) if by_anchor else None

    def find(self, text: str) -> list[Finding]:
        """Every rule that matches at one of its anchors."""
        if self._anchors is None:
            return []
        found: list[Finding] = []
        for index, start, end in self._anchors.find_matches_as_indexes(text, overlapping=True):
            for rule in self._rules[index]:
                if start and not rule.inside and _word(text[start - 1]):
                    continue
                match = rule.follows.match(text, end)
                if match is None:
                    continue
                first, last = (start, match.end()) if "value" not in rule.follows.groupindex else match.span("value")
                if rule.check is None or rule.check(text[first:last]):
                    found.append(Finding(first, last, self._detector, rule.category, rule.label, rule.score))
        return found


def _word(char: str) -> bool:
    # Of ASCII: scripts without spaces set a key right beside their words.
    return char.isascii() and (char.isalnum() or char in "_-")

"""Phrases: words of one group near words of the next, found by one pass over the words that stand in a text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from ahocorasick_rs import AhoCorasick, MatchKind

from helicone_gw_moderation.detectors.base import Category
from helicone_gw_moderation.detectors.folding import fold
from helicone_gw_moderation.detectors.views import LEET, rot13

_SENTENCE = re.compile(r"[.!?](?=\s)|[;。！？।\u061f]|\n\s*\n")
_REST_OF_WORD = 16
"""The most characters of a word that belong to a finding beside those that the rule names."""
_UNLESS_WITHIN = 4
"""Characters between a word that takes its force away and a phrase: "never mind, ignore" is no "never ignore"."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """One wording: a word of each of ``groups`` in their order, at most ``gap`` characters between two.

    A word ends in ``*`` when more letters may follow, and begins with it when more may precede. Phrases end at a
    sentence's end. None is found right behind a word of ``unless``. ``hidden``: it is looked for in other
    readings too.
    """

    label: str
    category: Category
    score: float
    groups: tuple[tuple[str, ...], ...]
    gap: int = 30
    unless: tuple[str, ...] = ()
    hidden: bool = False

    @property
    def span(self) -> int:
        """The most characters that it can take, before any encoding."""
        return sum(max(len(fold(word)) for word in group) for group in self.groups) + self.gap * (len(self.groups) - 1)


@dataclass(frozen=True, slots=True)
class _Use:
    """What a word is to a phrase: its group, or -1 for one of ``unless``."""

    phrase: int
    group: int
    left: bool
    right: bool


@dataclass(frozen=True, slots=True)
class Match:
    """One phrase found: where, in the text that was searched."""

    phrase: Phrase
    start: int
    end: int


class Phrases:
    """Phrases, compiled to automata over their words: linear in the text, whatever the phrases are.

    A first one knows only the words of each phrase's rarest group, as they are and as rot13 and writing backwards make
    them; most texts have none, and are done with.
    """

    def __init__(self, phrases: Iterable[Phrase]) -> None:
        self._phrases = tuple(phrases)
        self._plain = _Automaton(self._phrases, skeleton=False)
        self._skeleton = _Automaton(self._phrases, skeleton=True)
        self._hidden = frozenset(index for index, phrase in enumerate(self._phrases) if phrase.hidden)
        keys: dict[str, list[tuple[str, int]]] = {}
        for index, phrase in enumerate(self._phrases):
            for word in max(phrase.groups, key=lambda group: min(len(fold(word)) for word in group)):
                plain = fold(word.strip("*"))
                keys.setdefault(plain, []).append(("", index))
                for reading, written in (("rot13", rot13(plain)), ("reversed", plain[::-1])):
                    if phrase.hidden and written != plain:
                        keys.setdefault(written, []).append((reading, index))
        self._owners = list(keys.values())
        self._keys = AhoCorasick(list(keys), matchkind=MatchKind.Standard) if keys else None

    def __bool__(self) -> bool:
        return bool(self._phrases)

    def readings(self, text: str) -> dict[str, set[int]]:
        """Which phrases ``text`` (folded) may have: as it is (under ""), as "rot13", and "reversed"."""
        found: dict[str, set[int]] = {}
        if self._keys is not None:
            for index in {hit[0] for hit in self._keys.find_matches_as_indexes(text, overlapping=True)}:
                for reading, phrase in self._owners[index]:
                    found.setdefault(reading, set()).add(phrase)
        return found

    def find(self, text: str, among: AbstractSet[int] | None) -> list[Match]:
        """The phrases ``among`` those (``None``: all) in ``text``, which is folded.

        Of one that can be found in several ways at one end, the last.
        """
        return self._plain.find(text, among, edges=True)

    def find_hidden(self, text: str, *, edges: bool = True, skeleton: bool = False) -> list[Match]:
        """The phrases that are worth hiding in ``text``, a folded view of another."""
        if skeleton:
            return self._skeleton.find(text, self._hidden, edges=edges)
        among = self.readings(text).get("", set()) & self._hidden
        return self._plain.find(text, among, edges=edges) if among else []


class _Automaton:
    def __init__(self, phrases: Sequence[Phrase], skeleton: bool) -> None:
        self._phrases = phrases
        uses: dict[str, list[_Use]] = {}
        for index, phrase in enumerate(phrases):
            for group, words in [*enumerate(phrase.groups), (-1, phrase.unless)]:
                for word in words:
                    folded = fold(word.strip("*"))
                    folded = folded.translate(LEET) if skeleton else folded
                    use = _Use(index, group, not word.startswith("*"), not word.endswith("*"))
                    uses.setdefault(folded, []).append(use)
        # The last group first, so that one word is not two words of a phrase.
        self._uses = [sorted(each, key=lambda use: -use.group) for each in uses.values()]
        self._words = AhoCorasick(list(uses), matchkind=MatchKind.Standard) if uses else None

    def find(self, text: str, among: AbstractSet[int] | None, *, edges: bool) -> list[Match]:
        if self._words is None:
            return []
        hits = self._words.find_matches_as_indexes(text, overlapping=True)
        found: list[Match] = []
        open_: dict[tuple[int, int], tuple[int, int]] = {}
        wanted: dict[int, list[_Use]] = {}
        for index, start, end in hits:
            uses = wanted.get(index)
            if uses is None:
                uses = self._uses[index]
                if among is not None:
                    uses = [use for use in uses if use.phrase in among]
                wanted[index] = uses
            if not uses:
                continue
            left = not edges or start == 0 or not _joined(text[start - 1], text[start])
            right = not edges or end == len(text) or not _joined(text[end - 1], text[end])
            for use in uses:
                phrase = self._phrases[use.phrase]
                if not (left or not use.left) or not (right or not use.right):
                    continue
                begin = start
                if use.group > 0:
                    before = open_.get((use.phrase, use.group - 1))
                    if before is None or not _near(text, before[1], start, phrase.gap):
                        continue
                    begin = before[0]
                elif use.group == 0 and phrase.unless:
                    veto = open_.get((use.phrase, -1))
                    if veto is not None and _near(text, veto[1], start, _UNLESS_WITHIN):
                        continue
                if use.group == len(phrase.groups) - 1:
                    found.append(Match(phrase, begin, end if right else _word_end(text, end)))
                else:
                    open_[use.phrase, use.group] = (begin, end)
        return found


def _word_end(text: str, end: int) -> int:
    """Where the word ends that goes on at ``end``."""
    last = min(len(text), end + _REST_OF_WORD)
    while end < last and _joined(text[end - 1], text[end]):
        end += 1
    return end


def _near(text: str, end: int, start: int, gap: int) -> bool:
    return 0 <= start - end <= gap and _SENTENCE.search(text, end, start) is None


def _joined(one: str, other: str) -> bool:
    """Whether two characters belong to one word: both letters or digits, of a script that sets words apart."""
    return _spaces(one) and _spaces(other)


def _spaces(char: str) -> bool:
    if char.isascii():
        return char.isalnum()
    # Chinese, Japanese, Thai, Lao, Khmer and Burmese set no spaces; Hangul is folded to its letters.
    return char.isalnum() and not (
        "\u2e80" <= char <= "\u9fff"
        or "\u0e00" <= char <= "\u0eff"
        or "\u1000" <= char <= "\u109f"
        or char >= "\U00020000"
    )

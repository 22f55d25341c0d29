"""Detectors made of rule packs: one pass over the text for each way of reading it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

from helicone_gw import ConfigError
from helicone_gw_moderation.detectors import addresses, invisible, national, secrets
from helicone_gw_moderation.detectors.anchored import Anchored, AnchoredRules
from helicone_gw_moderation.detectors.base import Category, Detector, Finding
from helicone_gw_moderation.detectors.doubts import Doubt, Doubts, doubt
from helicone_gw_moderation.detectors.folding import fold, origins
from helicone_gw_moderation.detectors.patterns import Pattern, compile_pattern, find_patterns
from helicone_gw_moderation.detectors.phrases import Match, Phrase, Phrases
from helicone_gw_moderation.detectors.rules import BUILT_IN, Pack, Rule, built_in, context_pattern
from helicone_gw_moderation.detectors.shapes import MAX_LENGTH, Shape, Shapes
from helicone_gw_moderation.detectors.views import Span, views

OVERLAP = 640
"""The overlap of a detector with long secrets, hidden phrases or users' expressions."""

SHORT_OVERLAP = 384
"""The overlap of any other: no address and no number is longer than 320 characters, with what stands around it."""

_AROUND = 128
"""Of the overlap, what is for looking around: the longest phrase, in whatever encoding, is so much shorter."""

MAX_SPAN = SHORT_OVERLAP - _AROUND
"""The most characters that a phrase's words and gaps may take."""

_SURROGATES = re.compile("[\ud800-\udfff]")
"""Halves of characters, which JSON can have and UTF-8 cannot."""

_FINDERS: Mapping[str, Callable[[str], Iterator[secrets.Place]]] = {
    **secrets.FINDERS,
    **addresses.FINDERS,
    **invisible.FINDERS,
}
_NATIONAL = ("card", "us_ssn", "us_itin", "uk_nino", "uk_nhs", "de_steuer_id", "fr_nir", "es_dni", "it_codice_fiscale",
             "pl_pesel", "br_cpf", "nl_bsn", "in_aadhaar", "in_pan", "se_personnummer", "be_national", "ch_ahv",
             "tr_kimlik", "cn_resident", "kr_rrn", "ca_sin", "au_tfn", "nanp_phone", "national_phone")  # fmt: skip
CHECKS: Mapping[str, Callable[[str], bool]] = {
    **secrets.CHECKS,
    **{name: getattr(national, name) for name in _NATIONAL},
}
"""What a rule's ``check`` may name."""


_LABELS = {"crypto_address": ("bitcoin_address", "ethereum_address")}
"""What a finder's findings are labelled, where that is not its rule's label."""


class RulesDetector:
    """A `Detector` of the rules of some packs; it has the first one's name.

    ``finds`` are the categories and labels that its findings may have. Raises `ConfigError` for a rule that cannot be
    used, with its place in its file.
    """

    def __init__(self, packs: Sequence[Pack]) -> None:
        self.name = packs[0].content.detector
        self.finds = frozenset(name for pack in packs for name in _names(pack))
        compiled: dict[str, list[Any]] = {kind: [] for kind in ("words", "anchors", "shapes", "regex", "finder")}
        problems: list[str] = []
        doubts: list[Doubt] = []
        for pack in packs:
            for place, rule in zip(pack.places, pack.content.rules, strict=True):
                try:
                    for kind, made in _compile(rule, rule.category or pack.content.category):
                        compiled[kind].append(made)
                except (ValueError, KeyError) as problem:
                    problems.append(f"{place}: {rule.label}: {_reason(problem)}")
            try:
                doubts += (doubt(each.labels, each.before, each.inside, each.after) for each in pack.content.doubts)
            except ValueError as problem:
                problems.append(f"{pack.file}: doubts: {problem}")
        if problems:
            raise ConfigError(problems)
        self._doubts = Doubts(doubts)
        self._anchored = AnchoredRules(compiled["anchors"], self.name)
        self._shapes = Shapes(compiled["shapes"], self.name)
        self._phrases = Phrases(compiled["words"])
        long = compiled["anchors"] or compiled["regex"] or any(phrase.hidden for phrase in compiled["words"])
        self.overlap = OVERLAP if long else SHORT_OVERLAP
        self._hidden = any(phrase.hidden for phrase in compiled["words"])
        self._patterns: list[Pattern] = compiled["regex"]
        self._finders: list[tuple[str, Rule, Category]] = compiled["finder"]
        for finder, _, _ in self._finders:
            list(_FINDERS[finder]("+A1"))  # has its tables read before the first request

    def find(self, text: str) -> list[Finding]:
        """Everything that the rules find, by start; what one label finds within what it found is left out."""
        if not text.isascii():
            text = _SURROGATES.sub("\ufffd", text)
        found = self._anchored.find(text)
        found += self._shapes.find(text)
        for finder, rule, category in self._finders:
            for start, end, label in _FINDERS[finder](text):
                found.append(Finding(start, end, self.name, category, label, rule.score))
        if self._patterns:
            found.extend(find_patterns(self._patterns, text, self.name))
        if self._phrases:
            self._read(text, found)
        return _outermost(found) if len(found) > 1 else found

    def _read(self, text: str, found: list[Finding]) -> None:
        folded = fold(text)
        origin = _Origin(text)
        readings = self._phrases.readings(folded)
        if "" in readings:
            self._add(found, self._phrases.find(folded, readings[""]), origin, folded)
        if not self._hidden:
            return
        for view in views(text, folded, origin, readings):
            plain, span = (view.text, view.span) if view.folded else (fold(view.text), _Origin(view.text, view.span))
            hidden = self._phrases.find_hidden(plain, edges=view.edges, skeleton=view.skeleton)
            self._add(found, hidden, span)

    def _add(self, found: list[Finding], matches: Iterable[Match], span: Span, folded: str = "") -> None:
        """Add what was found; in ``folded``, whose words stand as they were written, something may speak against it."""
        for match in matches:
            start, end = span(match.start, match.end)
            if end - start <= self.overlap - _AROUND:
                phrase, score = match.phrase, match.phrase.score
                if folded and self._doubts:
                    score = self._doubts.score(phrase.label, score, folded, match.start, match.end)
                found.append(Finding(start, end, self.name, phrase.category, phrase.label, score))


class _Origin:
    """The way from a folded text back; worked out when something was found."""

    def __init__(self, text: str, span: Span | None = None) -> None:
        self._text = text
        self._span = span
        self._places: list[int] | None = None

    def __call__(self, start: int, end: int) -> tuple[int, int]:
        if not self._text.isascii():
            if self._places is None:
                self._places = origins(self._text) or []
            start, end = self._places[start], self._places[end - 1] + 1
        return (start, end) if self._span is None else self._span(start, end)


def _names(pack: Pack) -> Iterator[str]:
    for rule in pack.content.rules:
        if rule.enabled:
            yield rule.category or pack.content.category
            yield from _LABELS.get(rule.finder or "", (rule.label,))


def _compile(rule: Rule, category: Category) -> Iterator[tuple[str, Any]]:
    if not rule.enabled:
        return
    check = None if rule.check is None else CHECKS[rule.check]
    if rule.kind == "words":
        # One word written backwards or in rot13 is often another word; several near one another are not.
        hidden = len(rule.words) > 1 if rule.views is None else rule.views
        phrase = Phrase(rule.label, category, rule.score, rule.words, rule.gap, rule.unless, hidden)
        if phrase.span > MAX_SPAN:
            raise ValueError(f"its words and gaps can take {phrase.span} characters, more than {MAX_SPAN}")
        yield "words", phrase
    elif rule.kind == "anchors":
        follows = _expression(rule.follows)
        yield "anchors", Anchored(rule.label, category, rule.score, rule.anchors, follows, check, rule.inside)
    elif rule.kind == "shapes":
        if max(map(len, rule.shapes)) > MAX_LENGTH:
            raise ValueError(f"a shape has at most {MAX_LENGTH} characters")
        context = context_pattern([fold(word) for word in rule.context]) if rule.context else None
        yield "shapes", Shape(rule.label, category, rule.score, rule.shapes, check, context)
    elif rule.kind == "regex":
        yield "regex", Pattern(rule.label, category, rule.score, compile_pattern(rule.regex))
    else:
        if rule.finder not in _FINDERS:
            raise ValueError(f"finder is one of {', '.join(_FINDERS)}")
        yield "finder", (rule.finder, rule, category)


def _expression(source: str) -> re.Pattern[str]:
    try:
        return re.compile(source)
    except re.error as problem:
        raise ValueError(f"follows is not a regular expression: {problem}") from None


def _reason(problem: Exception) -> str:
    return f"check is one of {', '.join(CHECKS)}" if isinstance(problem, KeyError) else str(problem)


def _outermost(found: Iterable[Finding]) -> list[Finding]:
    ends: dict[str, int] = {}
    kept: list[Finding] = []
    for finding in sorted(found, key=lambda one: (one.start, -one.end)):
        if finding.end > ends.get(finding.label, -1):
            ends[finding.label] = finding.end
            kept.append(finding)
    return sorted(kept, key=attrgetter("start"))


def build_detectors(
    names: Iterable[str] = BUILT_IN, *, packs: Sequence[Pack] = (), off: Sequence[str] = (), on: Sequence[str] = ()
) -> tuple[Detector, ...]:
    """The detectors called ``names``, with the users' ``packs``: rules of one name join that detector, others are new.

    ``off`` switches rules off by their label, shell-style; ``on`` switches on those that a pack ships disabled. Raises
    `ConfigError` for a rule that cannot be used.
    """
    by_name: dict[str, list[Pack]] = {name: [built_in(name)] for name in names}
    for pack in packs:
        by_name.setdefault(pack.content.detector, []).append(pack)
    return tuple(RulesDetector([pack.choose(on, off) for pack in each]) for each in by_name.values())

"""Shapes: numbers written in one of the forms that a country uses, found token by token and then checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from helicone_gw_moderation.detectors.base import Category, Finding
from helicone_gw_moderation.detectors.folding import fold

CONTEXT = 64
"""Characters before a number, and half as many after it, in which a word may say what it is."""

MAX_LENGTH = 34
"""The longest form, in characters."""

_DIGITS = re.compile(r"\d(?:[^\d\n]{0,3}\d){3,}+")
_TOKEN = re.compile(r"(?<![0-9A-Za-z])(?:[A-Z]{1,6}(?=[ \-]\d)|[A-Z](?![0-9A-Za-z])|[A-Za-z]{0,6}\d[0-9A-Za-z]*+)")
_SEPARATORS = frozenset((" ", "-", ".", "/", ") ", ")", ")-", "\u00a0"))
_MASK = str.maketrans(
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz\u00a0", "9" * 10 + "A" * 26 + "a" * 26 + " "
)


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of number. In a form, ``9`` is a digit, ``A`` and ``a`` a letter, ``_`` nothing, or a space, or a dash.

    With ``context``, one of its words must stand near: the form and the sum are too common to speak for themselves.
    """

    label: str
    category: Category
    score: float
    forms: tuple[str, ...]
    check: Callable[[str], bool] | None = None
    context: re.Pattern[str] | None = None

    def masks(self) -> Iterator[str]:
        """Every form, with its ``_`` written out."""
        for form in self.forms:
            yield from {form.replace("_", separator) for separator in ("", " ", "-")}


class Shapes:
    """Shapes behind one table of their forms: linear, since from a token only so many characters are looked at."""

    def __init__(self, shapes: Iterable[Shape], detector: str) -> None:
        self._detector = detector
        self._by_mask: dict[str, list[Shape]] = {}
        for shape in shapes:
            for mask in shape.masks():
                self._by_mask.setdefault(mask, []).append(shape)
        self._longest = max(map(len, self._by_mask), default=0)

    def find(self, text: str) -> list[Finding]:
        """Every token, or row of tokens, that has one of the forms and passes its check."""
        if not self._by_mask:
            return []
        tokens = list(_tokens(text))
        found: list[Finding] = []
        for first, (start, end) in enumerate(tokens):
            if start and (text[start - 1] == "_" or _continues(text, start - 1, start - 2)):
                continue
            following = first
            while end - start <= self._longest:
                for shape in self._by_mask.get(text[start:end].translate(_MASK), ()):
                    if self._stands(shape, text, start, end):
                        score = shape.score
                        found.append(Finding(start, end, self._detector, shape.category, shape.label, score))
                following += 1
                if following == len(tokens) or text[end : tokens[following][0]] not in _SEPARATORS:
                    break
                end = tokens[following][1]
        return found

    def _stands(self, shape: Shape, text: str, start: int, end: int) -> bool:
        if end < len(text) and (text[end] == "_" or _continues(text, end, end + 1)):
            return False
        if shape.check is not None and not shape.check(text[start:end]):
            return False
        if shape.context is None:
            return True
        near = text[max(0, start - CONTEXT) : start] + " \n " + text[end : end + CONTEXT // 2]
        return shape.context.search(fold(near)) is not None


def _tokens(text: str) -> Iterator[tuple[int, int]]:
    """What may be a part of a number, wherever there are digits enough."""
    done = 0
    for place in _DIGITS.finditer(text):
        # A token that goes on beyond is longer than any form, and so is what of it is seen.
        last = place.end() + 2
        for token in _TOKEN.finditer(text, max(done, place.start() - 7), last + MAX_LENGTH):
            if token.start() > last:
                break
            yield token.span()
            done = token.end()


def _continues(text: str, separator: int, beyond: int) -> bool:
    """Whether a number goes on over a point, dash or slash; a decimal, a version, a path or an identifier then."""
    return text[separator] in ".-/" and 0 <= beyond < len(text) and _alnum(text[beyond])


def _alnum(char: str) -> bool:
    return char.isascii() and char.isalnum()

"""Folding: what a text looks like, one character at a time, so that a place in it is a place in the original."""

from __future__ import annotations

import unicodedata
from functools import cache

from helicone_gw_moderation.detectors.tables import table

_TAGS = 0xE0000
"""Unicode's tag characters: invisible, and each stands for the ASCII character at this distance."""

_LIGATURE_LIMIT = 8
"""The most characters that one folds into; a few Arabic ones would become whole sentences."""


class _Table(dict[int, str]):
    """Code point to what it folds to, filled as characters are met: at most one entry per code point of Unicode."""

    def __missing__(self, code: int) -> str:
        self[code] = folded = _fold(code)
        return folded


def _fold(code: int) -> str:
    if _TAGS + 0x20 <= code < _TAGS + 0x7F:
        return chr(code - _TAGS).lower()
    parts: list[str] = []
    for char in unicodedata.normalize("NFKD", chr(code))[:_LIGATURE_LIMIT]:
        category = unicodedata.category(char)
        if category in ("Mn", "Me", "Cf"):
            continue  # combining, enclosing, invisible
        folded = " " if category == "Zs" else char.casefold()
        parts.extend(_look_alikes().get(lower, lower) for lower in folded)
    return "".join(parts)


@cache
def _look_alikes() -> dict[str, str]:
    return {char: latin for latin, chars in table("confusables").items() for char in chars}


_TABLE = _Table()


def fold(text: str) -> str:
    """``text`` as it looks: compatibility forms (UAX 15), case, accents, invisible characters and look-alikes folded.

    Every character folds alone, so ``fold(a + b) == fold(a) + fold(b)``.
    """
    return text.lower() if text.isascii() else text.translate(_TABLE)


def origins(text: str) -> list[int] | None:
    """For every character of ``fold(text)`` the index in ``text`` that it came from; ``None``: the same index."""
    if text.isascii():
        return None
    found: list[int] = []
    for index, char in enumerate(text):
        width = len(_TABLE[ord(char)])
        if width == 1:
            found.append(index)
        else:
            found.extend([index] * width)
    return found

"""Passages: what counts in a text letter for letter: quotations and identifiers. Found in linear time."""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import Final

_CLOSING: Final = {
    '"': '"',
    "“": "”",
    "„": "“”",
    "«": "»",
    "»": "«",
    "‘": "’",
    "‹": "›",
    "「": "」",
    "『": "』",
    "'": "'",
}
_OPENING = re.compile(r"[\"“„«»‘‹「『]|(?<!\w)'")
_LAST_APOSTROPHE = re.compile(r"'(?!\w)")

_CHUNK = re.compile(r"\S+")
_AROUND: Final = ".,;:!?…()[]{}<>\"'“”„«»‘’‹›¿¡、。，；：！？「」『』（）"
_DOTTED = re.compile(r"\w\.[^\W\d]")
_VERSION = re.compile(r"v?\d+(?:\.\d+){2,}\w*")
_THOUSANDS = re.compile(r"\d{1,3}(?:\.\d{3})+")
_HUMP = re.compile(r"[a-z][A-Z]")
_MARKED = re.compile(r"[/\\_]|::|\w\(|\w@\w|[^\W\d]\d|\w=\w")


def quotations(text: str) -> list[str]:
    """What ``text`` quotes, in order; a quotation inside another is part of that one."""
    found: list[str] = []
    last_apostrophes: list[int] | None = None
    unclosed: set[str] = set()
    at = 0
    while (opening := _OPENING.search(text, at)) is not None:
        mark, start = opening.group(), opening.end()
        at = start
        if mark in unclosed:
            continue
        if mark == "'":
            if last_apostrophes is None:
                last_apostrophes = [each.start() for each in _LAST_APOSTROPHE.finditer(text)]
            place = bisect_left(last_apostrophes, start)
            end = last_apostrophes[place] if place < len(last_apostrophes) else -1
        else:
            ends = [end for closing in _CLOSING[mark] if (end := text.find(closing, start)) >= 0]
            end = min(ends, default=-1)
        if end < 0:
            unclosed.add(mark)
        elif end > start:
            found.append(text[start:end])
            at = end + 1
    return found


def without_identifiers(text: str) -> tuple[str, list[str]]:
    """``text`` without what no sentence contains, and that: addresses, paths, options, names of programs, versions."""
    kept: list[str] = []
    identifiers: list[str] = []
    at = 0
    for chunk in _CHUNK.finditer(text):
        core = chunk.group().strip(_AROUND)
        if not _is_identifier(core, chunk.group()):
            continue
        identifiers.append(core)
        kept.append(text[at : chunk.start()])
        at = chunk.end()
    if not identifiers:
        return text, identifiers
    kept.append(text[at:])
    return " \u00b7 ".join(kept), identifiers


def _is_identifier(core: str, chunk: str) -> bool:
    if core.isalpha():
        if chunk[-2:] == "()" or chunk[-3:-1] == "()":
            return True
        return core[0].islower() and not core.islower() and _HUMP.search(core) is not None
    if len(core) < 2:
        return False
    first, second = core[0], core[1]
    if first in "@#-" and (second == "-" or second.isalpha()):
        return True
    if core[-1] in "+#" and first.isalpha():
        return True
    if "." in core and (_DOTTED.search(core) or (_VERSION.fullmatch(core) and not _THOUSANDS.fullmatch(core))):
        return True
    return _MARKED.search(core) is not None

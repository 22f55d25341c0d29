"""Lexicon: the word lists of ``words.json``, in the form in which `facts` looks words up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from msgspec import Struct


class Entry(Struct):
    """What is known of one word, in all languages together. What stands first counts before what follows.

    ``poles`` are its scales and its place on each: words of one scale and different places contradict each other
    ("before", "after"). ``degree``: it makes another question of "how" ("how many"). ``function``: it says little by
    itself.
    """

    negation: bool = False
    degree: bool = False
    question: str | None = None
    number: str | None = None
    poles: tuple[tuple[int, int], ...] = ()
    unit: str | None = None
    function: bool = False


class Lexicon(Struct, frozen=True):
    """All words, in lower case."""

    words: Mapping[str, Entry]
    negation_characters: tuple[str, ...]
    """Negations in scripts that do not part words, and endings: counted wherever they occur."""
    signs: Mapping[str, str]
    """Units that are signs."""
    elided: frozenset[str]
    """What stands before an apostrophe as a word of its own."""
    enclitic: frozenset[str]
    """What stands behind one, and says nothing."""
    yes: frozenset[str]
    no: frozenset[str]


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    function: dict[str, str]
    negations: str
    negation_characters: str
    numbers: dict[str, str]
    units: dict[str, str]
    poles: list[list[str]]
    questions: dict[str, str]
    degrees: str
    elided: str
    enclitic: str
    yes: str
    no: str


@cache
def known() -> Lexicon:
    """The lists, read at the first call."""
    read = msgspec.json.decode(files(__package__).joinpath("words.json").read_bytes(), type=_File)
    words: dict[str, Entry] = {}
    for name, word, value in _entries(read):
        entry = words.setdefault(word, Entry())
        if name == "poles":
            entry.poles = (*entry.poles, value)
        elif not getattr(entry, name):
            setattr(entry, name, value)
    return Lexicon(
        words=words,
        negation_characters=tuple(read.negation_characters.split()),
        signs={word: entry.unit for word, entry in words.items() if entry.unit is not None},
        elided=frozenset(read.elided.split()),
        enclitic=frozenset(read.enclitic.split()),
        yes=frozenset(read.yes.split()),
        no=frozenset(read.no.split()),
    )


def _entries(read: _File) -> Iterator[tuple[str, str, Any]]:
    """Field of `Entry`, word and value, for every word of every list."""
    for language, words in read.function.items():
        yield from (("function", word, True) for word in (words if language == "characters" else words.split()))
    yield from (("negation", word, True) for word in read.negations.split())
    yield from (("degree", word, True) for word in read.degrees.split())
    yield from _by_meaning("number", read.numbers)
    yield from _by_meaning("unit", read.units)
    yield from _by_meaning("question", read.questions)
    for scale, places in enumerate(read.poles):
        for place, words in enumerate(places):
            yield from (("poles", word, (scale, place)) for word in dict.fromkeys(words.split()))


def _by_meaning(name: str, lists: Mapping[str, str]) -> Sequence[tuple[str, str, Any]]:
    return [(name, word, meaning) for meaning, words in lists.items() for word in words.split()]

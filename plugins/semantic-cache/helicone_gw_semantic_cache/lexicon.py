"""Lexicon: the word lists of ``words.json``, in the form in which `facts` looks words up."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import msgspec
from msgspec import Struct


class Lexicon(Struct, frozen=True):
    """What is known of single words, in lower case, of all languages together.

    ``poles`` maps a word to its class and its place there: words of one class and different places contradict each
    other ("before", "after"). ``degrees`` are words that make another question of "how" ("how many").
    """

    function: frozenset[str]
    """Words and characters that say little by themselves."""
    negations: frozenset[str]
    negation_characters: tuple[str, ...]
    """The same in scripts that do not part words, and endings: counted wherever they occur."""
    numbers: Mapping[str, str]
    units: Mapping[str, str]
    poles: Mapping[str, tuple[int, int]]
    questions: Mapping[str, str]
    degrees: frozenset[str]
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
    lists = {**read.function, "characters": " ".join(read.function["characters"])}
    return Lexicon(
        function=frozenset(word for words in lists.values() for word in words.split()),
        negations=frozenset(read.negations.split()),
        negation_characters=tuple(read.negation_characters.split()),
        numbers=_inverted(read.numbers),
        units=_inverted(read.units),
        poles={
            word: (place, side)
            for place, sides in enumerate(read.poles)
            for side, words in enumerate(sides)
            for word in words.split()
        },
        questions=_inverted(read.questions),
        degrees=frozenset(read.degrees.split()),
        elided=frozenset(read.elided.split()),
        enclitic=frozenset(read.enclitic.split()),
        yes=frozenset(read.yes.split()),
        no=frozenset(read.no.split()),
    )


def _inverted(lists: Mapping[str, str]) -> dict[str, str]:
    return {word: meaning for meaning, words in lists.items() for word in words.split()}

"""Facts: what can be seen in the letters of a text: numbers, names, negations, quotations, code, units, words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from helicone_gw_semantic_cache.lexicon import Lexicon, known
from helicone_gw_semantic_cache.passages import quotations, without_identifiers

MOST: Final = 4_000
"""Characters of a text that are read; a longer one is ``cut``."""

_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
# Scripts that do not part words: kana, Han, Thai, Lao, Burmese, Khmer. One character is one word there.
_UNPARTED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# Vowel signs and other marks that belong to a word and are no letters to `re`.
_MARKS = r"\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670\u0900-\u0963\u0970-\u0dff\u200c\u200d"
_LETTER = rf"(?:(?![{_UNPARTED}])[^\W\d_]|[{_MARKS}])"
_TOKEN = re.compile(
    rf"(?P<figure>\d+(?:[.,'’_\u00a0\u202f]\d+)*)|(?P<character>[{_UNPARTED}])|(?P<word>{_LETTER}+(?:['’]{_LETTER}+)*)"
)
_SIGN = re.compile(r"[^\w\s.,;:!?'\"()\[\]{}…¿¡-]|(?<=\d)\s?[-−–]\s?(?=\d)|(?<![^\s(])[-−](?=\d)")
_ENDS = frozenset(".!?:;…。！？\n•")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_DOTTED_THOUSANDS = re.compile(r"\d{1,3}(?:\.\d{3}){2,}(?:,\d+)?")


class Facts(Struct, frozen=True):
    """What is seen in a text. Sequences are in the text's order, words in lower case."""

    numbers: tuple[str, ...]
    """Figures and words for them, written alike."""
    units: tuple[str, ...]
    """Signs (operators, currencies, pictures) first, then units of measure, each by one name."""
    negations: int
    quotes: tuple[str, ...]
    code: tuple[str, ...]
    poles: tuple[tuple[int, int], ...]
    questions: frozenset[str]
    meaning: tuple[str, ...]
    """Words that say something by themselves; synonyms of a pole or a unit by one name."""
    words: tuple[str, ...]
    """All words."""
    names: frozenset[str]
    """Capitalised words that do not begin a sentence; in scripts without capitals every word that means something."""
    cut: bool


def facts_of(text: str) -> Facts:
    """Read ``text``."""
    cut, text = len(text) > MOST, unicodedata.normalize("NFC", text[:MOST])
    code = [piece.strip("`") for piece in _CODE.findall(text)]
    if code:
        text = _CODE.sub(" ", text)
    quotes = quotations(text)
    text, identifiers = without_identifiers(unicodedata.normalize("NFKC", text))
    reader = _Reader(known())
    reader.read(text)
    return Facts(
        numbers=tuple(reader.numbers),
        units=(*_signs(text), *reader.units),
        negations=reader.negations,
        quotes=tuple(quotes),
        code=(*code, *identifiers),
        poles=tuple(reader.poles),
        questions=frozenset(reader.questions),
        meaning=tuple(reader.meaning),
        words=tuple(reader.words),
        names=frozenset(reader.names),
        cut=cut,
    )


class _Reader:
    """Reads words and figures, one after the other."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self.numbers: list[str] = []
        self.units: list[str] = []
        self.negations = 0
        self.poles: list[tuple[int, int]] = []
        self.questions: set[str] = set()
        self.meaning: list[str] = []
        self.words: list[str] = []
        self.names: set[str] = set()
        self._before = ""
        """The word before; "0" for a figure."""

    def read(self, text: str) -> None:
        """Read all of ``text``."""
        end, begins = 0, True
        for found in _TOKEN.finditer(text):
            start = found.start()
            if not begins and start - end > 1:
                begins = not _ENDS.isdisjoint(text[end:start])
            elif not begins and start > end:
                begins = text[end] in _ENDS
            end = found.end()
            token = found.group()
            kind = found.lastgroup
            if kind == "figure":
                self.numbers.append(_number(token))
                self._before = "0"
            elif kind == "character":
                self._word(token, named=True)
            elif "'" in token or "’" in token:
                for piece, spelled in _pieces(token, self._lexicon):
                    self._word(piece, named=_is_name(spelled, piece, begins))
                    begins = False
            else:
                lower = token.lower()
                self._word(lower, named=_is_name(token, lower, begins))
            begins = False
        if not text.isascii():
            self.negations += sum(text.count(piece) for piece in self._lexicon.negation_characters)

    def _word(self, word: str, *, named: bool) -> None:
        before, self._before = self._before, word
        self.words.append(word)
        entry = self._lexicon.words.get(word)
        if entry is None:
            self.meaning.append(word)
            if named:
                self.names.add(word)
            return
        if entry.negation:
            self.negations += 1
        elif entry.degree and before == "how":
            self.questions.discard("how")
            self.questions.add(f"how {word}")
        elif entry.question is not None:
            self.questions.add(entry.question)
        elif entry.number is not None:
            self.numbers.append(entry.number)
        else:
            self.poles += entry.poles
            # Short names of units are words as well ("min", "mi", "m"): they are units behind a figure only.
            unit = entry.unit if len(word) > 2 or before == "0" else None
            if unit is not None and not entry.poles:
                self.units.append(unit)
            if not entry.function:
                self.meaning.append("{}/{}".format(*entry.poles[0]) if entry.poles else unit or word)
                if named:
                    self.names.add(word)


def _pieces(word: str, lexicon: Lexicon) -> list[tuple[str, str]]:
    """A word without its enclitics, an elision apart: each piece in lower case, and as it was spelled."""
    first, _, rest = word.replace("’", "'").partition("'")
    lower = first.lower()
    if lower[-1:] == "n" and rest.lower() == "t":
        return [("not", "not")]
    if lower in lexicon.elided:
        return [(f"{lower}'", lower), (rest.lower(), rest)]
    if rest.lower() in lexicon.enclitic:
        return [(lower, first)]
    return [(word.lower(), word)]


def _is_name(word: str, lower: str, begins: bool) -> bool:
    if word == lower:
        # Without capitals, for want of them in the script, or by choice.
        return not word.isascii() and lower == word.upper()
    return word[0].isupper() and (not begins or (len(word) > 1 and word.isupper()))


def _number(figure: str) -> str:
    """A figure, written in one way: as far as that can be told without knowing its writer's country."""
    plain = "".join(str(unicodedata.decimal(each)) if each.isdecimal() else each for each in figure)
    plain = re.sub(r"['’_\u00a0\u202f]", "", plain)
    if _THOUSANDS.fullmatch(plain):
        plain = plain.replace(",", "")
    elif _DOTTED_THOUSANDS.fullmatch(plain):
        plain = plain.replace(".", "").replace(",", ".")
    plain = plain.replace(",", ".")
    whole, point, part = plain.partition(".")
    if not point:
        return whole.lstrip("0") or whole[:1]
    # "1.000" is one in one country and a thousand in another: it stays what it is.
    return plain if len(part) == 3 or "." in part else f"{whole}.{part.rstrip('0')}".rstrip(".")


def _signs(text: str) -> Iterator[str]:
    for found in _SIGN.findall(text):
        sign = found.strip()
        if sign in "%&*/§-−–" or unicodedata.category(sign)[0] == "S":
            yield known().signs.get(sign, sign)

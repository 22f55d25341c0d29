"""Facts: what can be seen in the letters of a text: numbers, names, negations, quotations, code, units, words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final, NamedTuple

from msgspec import Struct

from helicone_gw_semantic_cache.lexicon import Lexicon, known

MOST: Final = 4_000
"""Characters of a text that are read; a longer one is ``cut``."""

_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
_QUOTED = re.compile(
    r"\"([^\"]+)\"|“([^”]+)”|„([^“”]+)[“”]|«([^»]+)»|»([^«]+)«|‘([^’]+)’|「([^」]+)」|『([^』]+)』|(?<!\w)'([^']+)'(?!\w)"
)
# What no sentence contains: addresses, mail, options, paths and dotted names, snake_case, camelCase, calls, mentions,
# versions, C++ and C#.
_IDENTIFIER = re.compile(
    r"(?:https?://|www\.)\S+|[\w.+-]+@[\w-]+\.[\w.-]+|(?<!\w)--?[A-Za-z][\w-]*"
    r"|(?<!\w)[/\\~]?\w+(?:(?:[/\\]|::|\.(?=[A-Za-z_]))\w+)+|\w+_\w+|\b[a-z]+[A-Z]\w*|\w+\(\)|[@#]\w+"
    r"|\d+(?:\.\d+){2,}|\b[A-Za-z]\w*(?:\+\+|#)",
)
# Scripts that do not part words: kana, Han, Thai, Lao, Burmese, Khmer. One character is one word there.
_UNPARTED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# Vowel signs and other marks that belong to a word and are no letters to `re`.
_MARKS = r"\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670\u0900-\u0963\u0970-\u0dff\u200c\u200d"
_LETTER = rf"(?:(?![{_UNPARTED}])[^\W\d_]|[{_MARKS}])"
_TOKEN = re.compile(rf"(\d+(?:[.,'’_\u00a0\u202f]\d+)*)|([{_UNPARTED}])|({_LETTER}+(?:['’]{_LETTER}+)*)")
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
    lexicon = known()
    cut, text = len(text) > MOST, unicodedata.normalize("NFC", text[:MOST])
    code = [piece.strip("`") for piece in _CODE.findall(text)]
    text = _CODE.sub(" ", text)
    quotes = [next(filter(None, found)) for found in _QUOTED.findall(text)]
    text = unicodedata.normalize("NFKC", text)
    code += [found.rstrip(".,:;?!-") for found in _IDENTIFIER.findall(text)]
    text = _IDENTIFIER.sub(" ", text)
    seen = _Seen()
    for token in _tokens(text):
        _note(token, seen, lexicon)
    return Facts(
        numbers=tuple(seen.numbers),
        units=(*_signs(text), *seen.units),
        negations=seen.negations + sum(text.count(piece) for piece in lexicon.negation_characters),
        quotes=tuple(quotes),
        code=tuple(code),
        poles=tuple(seen.poles),
        questions=frozenset(seen.questions),
        meaning=tuple(seen.meaning),
        words=tuple(seen.words),
        names=frozenset(seen.names),
        cut=cut,
    )


class _Token(NamedTuple):
    """A word or a figure. ``named``: it is written like a name. ``before``: the word before it, "0" for a figure."""

    text: str
    figure: bool
    named: bool
    before: str


class _Seen:
    """What is seen so far."""

    def __init__(self) -> None:
        self.numbers: list[str] = []
        self.units: list[str] = []
        self.negations = 0
        self.poles: list[tuple[int, int]] = []
        self.questions: set[str] = set()
        self.meaning: list[str] = []
        self.words: list[str] = []
        self.names: set[str] = set()


def _note(token: _Token, seen: _Seen, lexicon: Lexicon) -> None:
    word = token.text
    if token.figure:
        seen.numbers.append(_number(word))
        return
    seen.words.append(word)
    meaning = word
    if word in lexicon.negations:
        seen.negations += 1
        return
    if token.before == "how" and word in lexicon.degrees:
        seen.questions.discard("how")
        seen.questions.add(f"how {word}")
        return
    if (kind := lexicon.questions.get(word)) is not None:
        seen.questions.add(kind)
        return
    if (number := lexicon.numbers.get(word)) is not None:
        seen.numbers.append(number)
        return
    if (pole := lexicon.poles.get(word)) is not None:
        seen.poles.append(pole)
        meaning = f"{pole[0]}/{pole[1]}"
    # Short names of units are words as well ("min", "mi", "m"): they are units behind a figure only.
    elif (len(word) > 2 or token.before == "0") and (unit := lexicon.units.get(word)) is not None:
        seen.units.append(unit)
        meaning = unit
    elif word in lexicon.function:
        return
    seen.meaning.append(meaning)
    if token.named:
        seen.names.add(word)


def _tokens(text: str) -> Iterator[_Token]:
    begins, end, before = True, 0, ""
    for found in _TOKEN.finditer(text):
        begins = begins or any(character in _ENDS for character in text[end : found.start()])
        end = found.end()
        figure, character, word = found.groups()
        if figure is not None:
            yield _Token(figure, True, False, before)
            before = "0"
        elif character is not None:
            yield _Token(character, False, True, before)
            before = character
        else:
            for piece, spelled in _pieces(word):
                yield _Token(piece, False, _is_name(spelled, begins), before)
                before = piece
        begins = False


def _pieces(word: str) -> list[tuple[str, str]]:
    """A word without its enclitics, an elision apart: each piece in lower case, and as it was spelled."""
    first, apostrophe, rest = word.replace("’", "'").partition("'")
    lower = first.lower()
    if not apostrophe:
        return [(lower, first)]
    if lower[-1:] == "n" and rest.lower() == "t":
        return [("not", "not")]
    if lower in known().elided:
        return [(f"{lower}'", lower), (rest.lower(), rest)]
    if rest.lower() in known().enclitic:
        return [(lower, first)]
    return [(word.lower(), word)]


def _is_name(word: str, begins: bool) -> bool:
    lower, upper = word.lower(), word.upper()
    if lower == upper:
        return True  # a script without capitals
    if word[:1].islower():
        return False
    return not begins or (len(word) > 1 and word == upper)


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
            yield known().units.get(sign, sign)

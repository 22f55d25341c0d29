"""Templates: the tags in a prompt's texts, and what texts become when their variables are given.

``{{hc:name:type}}`` is a variable, ``{{hcp:prompt:index:environment}}`` the content of a message of another prompt;
blanks may stand around each token, and the environment may be left out. Everything here works on decoded values: what
is put in is text, or a JSON value in a value's place, and is not looked at for tags again.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

NAME = r"[A-Za-z_-][A-Za-z0-9_-]*"
ID = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
_VARIABLE = rf"\{{\{{\s*hc\s*:\s*(?P<name>{NAME})\s*:\s*(?P<type>{NAME})\s*\}}\}}"
_PARTIAL = (
    rf"\{{\{{\s*hcp\s*:\s*(?P<prompt>{ID})\s*:\s*(?P<index>\d{{1,4}})\s*(?::\s*(?P<environment>{NAME})\s*)?\}}\}}"
)
_TAG = re.compile(f"{_VARIABLE}|{_PARTIAL}", re.ASCII)
_BEGIN = re.compile(r"\{\{\s*(hcp?)\s*:", re.ASCII)
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_YES, _NO = frozenset({"true", "yes"}), frozenset({"false", "no"})
_FORMS = {"hc": "{{hc:name:type}}", "hcp": "{{hcp:prompt:index}} or {{hcp:prompt:index:environment}}"}


class Variable(Struct, frozen=True):
    """A variable's tag; ``raw`` is how it is written."""

    name: str
    type: str
    raw: str


class Partial(Struct, frozen=True):
    """The tag of another prompt's message; ``environment`` is ``None`` where it names none."""

    prompt: str
    index: int
    environment: str | None
    raw: str


Piece = str | Variable | Partial

MOST_PROBLEMS = 20
"""Most inputs that one refusal tells of."""


class TemplateError(ValueError):
    """A tag that is none. ``line`` and ``column`` (from 1) are where it begins, ``nth`` how many tags begin before."""

    def __init__(self, message: str, line: int, column: int, nth: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column
        self.nth = nth


class Problem(Struct, frozen=True):
    """An input that does not fit, or is not there (``value`` is then `MISSING`)."""

    variable: str
    expected: str
    value: Any

    def __str__(self) -> str:
        if self.value is MISSING:
            return f"{self.variable}: expected {self.expected}, and none was given"
        shown = text_of(self.value)
        return f"{self.variable}: expected {self.expected}, given {shown[:100]}{'...' if len(shown) > 100 else ''}"


MISSING: Any = msgspec.UNSET
"""What stands for an input that was not given."""


class TooLarge(ValueError):
    """What the inputs would make of a template is larger than there is room for."""


class Inputs:
    """The values of a request's variables. ``null`` counts as not given.

    ``keep_falsy``: so do 0, ``false`` and empty texts, as at Helicone. ``room`` is how many characters they may come to
    in all, each time that they are put in: a short template that repeats a long input is stopped before it is made.
    """

    def __init__(self, values: Mapping[str, Any], *, keep_falsy: bool = False, room: int = sys.maxsize) -> None:
        self._values = values
        self._keep_falsy = keep_falsy
        self._room = room
        self._texts: dict[str, str] = {}

    def get(self, name: str) -> Any:
        """The value, or `MISSING`."""
        value = self._values.get(name)
        return MISSING if value is None or (self._keep_falsy and not value) else value

    def put(self, name: str) -> str:
        """The text of an input that is given, and is put in once more. Raises `TooLarge`."""
        text = self._texts.get(name)
        if text is None:
            text = self._texts[name] = text_of(self._values[name])
        self._room -= len(text)
        if self._room < 0:
            raise TooLarge
        return text


def parse(text: str) -> list[Piece]:
    """``text`` as plain text and tags, in order; no text between is empty. Raises `TemplateError`."""
    if "{{" not in text:
        return [text] if text else []
    pieces: list[Piece] = []
    at = tags = 0
    for match in _TAG.finditer(text):
        _without_tags(text, at, match.start(), tags)
        if match.start() > at:
            pieces.append(text[at : match.start()])
        pieces.append(_tag(match))
        at, tags = match.end(), tags + 1
    _without_tags(text, at, len(text), tags)
    if at < len(text):
        pieces.append(text[at:])
    return pieces


def written(pieces: Sequence[Piece]) -> str:
    """The text that `parse` made ``pieces`` of."""
    return "".join(piece if isinstance(piece, str) else piece.raw for piece in pieces)


def tags(text: str) -> Iterator[Variable | Partial]:
    """The tags in ``text``; what only looks like one is passed over."""
    if "{{" in text:
        yield from map(_tag, _TAG.finditer(text))


def openings(text: str) -> list[int]:
    """Where tags begin in ``text``, those among them that are broken."""
    return [match.start() for match in _BEGIN.finditer(text)]


def fill(text: str, inputs: Inputs, problems: list[Problem], *, demanded: bool = False) -> str:
    """``text`` with its variables' values. A variable that was not given stays as it is written.

    ``demanded``: it is a problem instead. Partials and broken tags stay as they are.
    """
    return _replaced(
        text, lambda tag: _value_text(tag, inputs, problems, demanded) if isinstance(tag, Variable) else None
    )


def fill_json(value: Any, inputs: Inputs, problems: list[Problem]) -> Any:
    """A JSON value with the variables in its texts and keys filled in; each must be given.

    A text that is one tag and nothing else becomes the input itself, whatever it is; a key that is must become a text.
    """
    if isinstance(value, str):
        whole = _TAG.fullmatch(value.strip()) if "{{" in value else None
        if whole is None or whole["name"] is None:
            return fill(value, inputs, problems, demanded=True)
        found = _checked(Variable(whole["name"], whole["type"], value), inputs, problems, demanded=True)
        if found is MISSING:
            return value
        inputs.put(whole["name"])
        return found
    if isinstance(value, list):
        return [fill_json(item, inputs, problems) for item in value]
    if isinstance(value, dict):
        return {_key(key, inputs, problems): fill_json(item, inputs, problems) for key, item in value.items()}
    return value


def put_in(text: str, contents: Mapping[str, str]) -> str:
    """``text`` with the partials' contents, by how their tags are written."""
    return _replaced(text, lambda tag: contents.get(tag.raw) if isinstance(tag, Partial) else None)


def fits(value: Any, expected: str) -> bool:
    """Whether ``value`` may be given for a variable of that type. Types other than number and boolean take anything."""
    if expected == "number":
        if isinstance(value, str):
            return _NUMBER.fullmatch(value) is not None
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if expected == "boolean":
        return isinstance(value, bool) or (isinstance(value, str) and value.lower() in _YES | _NO)
    return True


def text_of(value: Any) -> str:
    """A JSON value as it stands in a text: a text as it is, all else as JSON, whole numbers without a point."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        value = int(value)
    return msgspec.json.encode(value).decode()


def _tag(match: re.Match[str]) -> Variable | Partial:
    if match["name"] is not None:
        return Variable(match["name"], match["type"], match[0])
    return Partial(match["prompt"], int(match["index"]), match["environment"], match[0])


def _replaced(text: str, value: Callable[[Variable | Partial], str | None]) -> str:
    if "{{" not in text:
        return text

    def replacement(match: re.Match[str]) -> str:
        found = value(_tag(match))
        return match[0] if found is None else found

    return _TAG.sub(replacement, text)


def _key(key: str, inputs: Inputs, problems: list[Problem]) -> str:
    whole = _TAG.fullmatch(key.strip()) if "{{" in key else None
    if whole is not None and whole["name"] is not None:
        found = _checked(Variable(whole["name"], "string", key), inputs, problems, demanded=True)
        if found is MISSING:
            return key
        if not isinstance(found, str):
            _add(problems, Problem(whole["name"], "string", found))
            return key
        return inputs.put(whole["name"])
    return fill(key, inputs, problems, demanded=True)


def _value_text(tag: Variable, inputs: Inputs, problems: list[Problem], demanded: bool) -> str | None:
    found = _checked(tag, inputs, problems, demanded)
    if found is MISSING:
        return None
    if tag.type == "boolean" and isinstance(found, str):
        return "true" if found.lower() in _YES else "false"
    return inputs.put(tag.name)


def _checked(tag: Variable, inputs: Inputs, problems: list[Problem], demanded: bool) -> Any:
    """The input for a tag; `MISSING` where there is none that fits."""
    found = inputs.get(tag.name)
    if found is MISSING and not demanded:
        return MISSING
    if found is MISSING or not fits(found, tag.type):
        _add(problems, Problem(tag.name, tag.type, found))
        return MISSING
    return found


def _add(problems: list[Problem], problem: Problem) -> None:
    if len(problems) < MOST_PROBLEMS and problem not in problems:
        problems.append(problem)


def _without_tags(text: str, start: int, end: int, before: int) -> None:
    """Raise `TemplateError` for what begins like a tag between ``start`` and ``end``."""
    broken = _BEGIN.search(text, start, end)
    if broken is None:
        return
    line = text.count("\n", 0, broken.start()) + 1
    column = broken.start() - (text.rfind("\n", 0, broken.start()) + 1) + 1
    shown = text[broken.start() : broken.start() + 30].split("\n")[0]
    raise TemplateError(f"the tag {shown!r} is not {_FORMS[broken[1]]}", line, column, before)

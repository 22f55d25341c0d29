"""Patterns and lists: what databases disagree about in SQL, LIKE and its relatives, made to say the same everywhere."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from sqlalchemy import Boolean, ColumnElement, String, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from helicone_gw_logging.texts import TEXT_BYTES, text


def contains(expression: ColumnElement[Any], said: str) -> ColumnElement[bool]:
    """Whether a text contains another one, in any case."""
    return AnyCase(expression, f"%{_escaped(text(said, TEXT_BYTES) or '')}%")


def like(expression: ColumnElement[Any], said: str) -> ColumnElement[bool]:
    """Whether a text matches a pattern with ``%`` and ``_``, upper and lower case being different."""
    return Like(expression, said)


def ilike(expression: ColumnElement[Any], said: str) -> ColumnElement[bool]:
    """The same in any case."""
    return AnyCase(expression, _pattern(said))


def matches(said: str, whole: str) -> bool:
    """Whether the text ``whole`` matches the pattern as `like` has it."""
    return _matcher(_glob(said))(whole) is not None


@lru_cache(maxsize=16)
def _matcher(glob: str) -> Callable[[str], re.Match[str] | None]:
    return re.compile(fnmatch.translate(glob)).match


class AnyCase(FunctionElement[bool]):
    """SQL's LIKE that tells no upper from lower case, with ``\\`` as its escape.

    SQLAlchemy's own asks SQLite for ``lower()`` of both sides, which knows ASCII alone, as SQLite's LIKE does anyhow,
    and takes twice the time.
    """

    inherit_cache = True
    name = "any_case"
    type = Boolean()

    def __init__(self, expression: ColumnElement[Any], pattern: str) -> None:
        super().__init__(expression, literal(pattern, String))


@compiles(AnyCase)
def _any_case(element: AnyCase, compiler: SQLCompiler, **options: Any) -> str:
    expression, pattern = element.clauses
    return f"({compiler.process(expression, **options)} ILIKE {compiler.process(pattern, **options)} ESCAPE '\\')"


@compiles(AnyCase, "sqlite")
def _sqlite_any_case(element: AnyCase, compiler: SQLCompiler, **options: Any) -> str:
    expression, pattern = element.clauses
    return f"({compiler.process(expression, **options)} LIKE {compiler.process(pattern, **options)} ESCAPE '\\')"


class Like(FunctionElement[bool]):
    """SQL's LIKE that tells upper from lower case everywhere, with ``\\`` as its escape."""

    inherit_cache = True
    name = "like"

    def __init__(self, expression: ColumnElement[Any], pattern: str) -> None:
        super().__init__(expression, literal(_pattern(pattern), String), literal(_glob(pattern), String))


@compiles(Like)
def _like(element: Like, compiler: SQLCompiler, **options: Any) -> str:
    expression, pattern, _ = element.clauses
    return f"({compiler.process(expression, **options)} LIKE {compiler.process(pattern, **options)} ESCAPE '\\')"


@compiles(Like, "sqlite")
def _sqlite_like(element: Like, compiler: SQLCompiler, **options: Any) -> str:
    # SQLite's own LIKE has no case; its GLOB has.
    expression, _, pattern = element.clauses
    return f"({compiler.process(expression, **options)} GLOB {compiler.process(pattern, **options)})"


class Listed(FunctionElement[str]):
    """All numbers of a group as one text, with commas between; NULL where there are none."""

    inherit_cache = True
    name = "listed"
    type = String()

    def __init__(self, expression: ColumnElement[Any]) -> None:
        super().__init__(expression)


@compiles(Listed)
def _listed(element: Listed, compiler: SQLCompiler, **options: Any) -> str:
    (expression,) = element.clauses
    return f"string_agg(CAST({compiler.process(expression, **options)} AS TEXT), ',')"


@compiles(Listed, "sqlite")
def _sqlite_listed(element: Listed, compiler: SQLCompiler, **options: Any) -> str:
    (expression,) = element.clauses
    return f"group_concat({compiler.process(expression, **options)})"


def _escaped(said: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", said)


def _pattern(said: str) -> str:
    """A pattern whose last backslash escapes something: databases disagree on one that does not."""
    return re.sub(r"\\(.?)", lambda found: "\\" + (found[1] or "\\"), said, flags=re.DOTALL)


def _glob(said: str) -> str:
    pieces = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}
    glob = []
    for found in re.finditer(r"\\(.)|(.)", _pattern(said), re.DOTALL):
        escaped, plain = found.groups()
        if escaped is None:
            glob.append(pieces.get(plain, plain))
        else:
            glob.append(f"[{escaped}]" if escaped in "*?[" else escaped)
    return "".join(glob)

"""Guard: what a statement may be, told from its tokens before any database sees it.

SQLite's own authorizer decides there what may be read. PostgreSQL has none, so that for it every name and every
function is looked at here: nothing that is not known to be harmless goes through.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from importlib.resources import files
from typing import Final, NamedTuple

LONGEST: Final = 65_536
"""Characters of a statement."""

DEEPEST: Final = 100
"""Parentheses in one another."""

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*|/\*(?:(?!/\*)[^*]|\*(?!/))*\*/)
    |(?P<text>'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
    |(?P<word>[^\W\d]\w*)
    |(?P<number>\d[\w.]*|\.\d[\w.]*)
    |(?P<sign>[-+*/<>=~!%&|^,.();:?@\#])
    """,
    re.VERBOSE,
)
_functions: dict[str, list[str]] = json.loads(files(__package__).joinpath("functions.json").read_text("utf-8"))
FUNCTIONS: Final = {name: frozenset([*_functions["both"], *_functions[name]]) for name in ("sqlite", "postgresql")}
"""Functions that a statement may call, by dialect."""

_BEFORE_PARENTHESIS = frozenset(_functions["words"])
_TELLING = frozenset({"current_user", "session_user", "current_role", "current_catalog", "current_schema"})


class SqlError(Exception):
    """A statement that is not run, or did not end well. ``code`` says why in a word, the message in a sentence."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"[{code}] {message}")
        self.code = code
        self.status = status


class Token(NamedTuple):
    """A piece of a statement: ``kind`` is "text", "quoted", "word", "number" or "sign"."""

    kind: str
    value: str

    @property
    def name(self) -> str | None:
        """The identifier that this is, or ``None``."""
        if self.kind == "word":
            return self.value.lower()
        return self.value[1:-1].replace('""', '"') if self.kind == "quoted" else None


def statement(sql: str) -> str:
    """The one SELECT in ``sql``, without what ends it. Raises `SqlError` for anything else."""
    if len(sql) > LONGEST:
        raise SqlError("STATEMENT_TOO_LONG", f"A statement may have {LONGEST:,} characters.")
    if "\0" in sql:
        raise SqlError("SYNTAX_ERROR", "A statement has no NUL character.")
    text = sql.strip()
    found = tokens(text)
    while found and found[-1].value == ";":
        text = text[: text.rindex(";")].rstrip()
        found = tokens(text)
    if not found:
        raise SqlError("INVALID_STATEMENT", "There is no statement.")
    if found[0].kind != "word" or found[0].value.lower() not in ("select", "with"):
        raise SqlError("INVALID_STATEMENT", "Only SELECT (or WITH ... SELECT) may be asked.")
    if any(token.value == ";" for token in found):
        raise SqlError("INVALID_STATEMENT", "One statement at a time.")
    depth = 0
    for at, token in enumerate(found):
        depth += (token.value == "(") - (token.value == ")")
        if not 0 <= depth <= DEEPEST:
            break
        if token.name == "for" and at + 1 < len(found) and found[at + 1].name in ("update", "share", "no", "key"):
            raise SqlError("INVALID_STATEMENT", "Rows are read, and not locked.")
    if depth:
        raise SqlError("SYNTAX_ERROR", f"Parentheses do not match, or are more than {DEEPEST} deep.")
    return text


def tokens(sql: str) -> list[Token]:
    """The tokens of ``sql``. Raises `SqlError` for what is none, such as a string without its end."""
    return list(_tokens(sql))


def _tokens(sql: str) -> Iterator[Token]:
    at = 0
    while at < len(sql):
        match = _TOKEN.match(sql, at)
        if match is None:
            raise SqlError("SYNTAX_ERROR", f"Something cannot be read at character {at + 1}.")
        kind = match.lastgroup or ""
        if kind != "space":
            yield Token(kind, match[0])
        if match[0] == "/" and sql.startswith("/*", at):
            # One inside another, or without an end: databases do not agree on where such a one ends.
            raise SqlError("SYNTAX_ERROR", f"The comment at character {at + 1} cannot be read.")
        following = sql[match.end() : match.end() + 1]
        if kind in ("word", "number") and following in ("'", '"', "&", "$"):
            # E'...', U&"...", $tag$: spellings in which a name could look like something else.
            raise SqlError("SYNTAX_ERROR", f"Strings and names are written without a prefix (character {at + 1}).")
        at = match.end()


def check_names(sql: str, forbidden: Collection[str]) -> None:
    """Refuse names and functions that PostgreSQL would let through. ``forbidden`` are tables and schemas.

    Raises `SqlError`.
    """
    found = tokens(sql)
    for at, token in enumerate(found):
        if token.kind == "quoted" and token.value[0] != '"':
            # To PostgreSQL these are no names: what is in them would be read as anything else is.
            raise SqlError("SYNTAX_ERROR", "There are no arrays here, and names are written in double quotes.")
        name = token.name
        if name is None:
            continue
        lower = name.lower()
        if lower.startswith("pg_") or lower in forbidden or lower in _TELLING:
            raise SqlError("FORBIDDEN", f"{lower[:64]!r} may not be used.")
        called = at + 1 < len(found) and found[at + 1].value == "("
        if called and at > 0 and found[at - 1].name in ("with", "recursive"):
            continue  # a common table with names for its columns
        if called and lower not in FUNCTIONS["postgresql"] and lower not in _BEFORE_PARENTHESIS:
            raise SqlError("FORBIDDEN", f"There is no function {lower[:64]!r} here.")

"""Unending: what PostgreSQL would go on with when time is up, told from a statement's tokens.

It looks at the clock between rows, not inside a function, nor while it writes out common tables of common tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from helicone_gw_logging.sql.guard import SqlError, Token, tokens

LONGEST: Final = 100
"""Characters of a text that is looked for in another one."""

_SECOND = frozenset({"replace", "strpos", "split_part", "trim", "ltrim", "rtrim"})
"""Functions whose second argument is looked for in the first."""
_WHERE = {"position": "in", "trim": "from"}
"""Functions in which this word stands behind what is looked for."""
_PATTERNS = frozenset({"like", "ilike"})
_SIDES = frozenset({"both", "leading", "trailing"})


def check_ends(sql: str) -> None:
    """Refuse a statement that cannot be ended before it ends by itself. Raises `SqlError`.

    A text that is looked for has to be written down, and short: one that is made can be as long as the other, and
    every place of that is then compared with all of it.
    """
    found = tokens(sql)
    for at, token in enumerate(found[:-1]):
        name = (token.name or "").lower()
        if name == "not" and (found[at + 1].name or "").lower() == "materialized":
            raise SqlError("FORBIDDEN", "NOT MATERIALIZED may not be used.")
        if token.value == "~" == found[at + 1].value:
            raise SqlError("FORBIDDEN", "Write LIKE for ~~.")
        long: bool = False
        if name in _PATTERNS:
            after = found[at + 2] if at + 2 < len(found) else None
            long = not _is_short(found[at + 1 : at + 2]) or (after is not None and not _ends(after))
        elif found[at + 1].value == "(" and (name in _SECOND or name in _WHERE):
            long = not all(map(_is_short, _sought(name, _arguments(found[at + 2 :], _WHERE.get(name)))))
        if long:
            message = f"What {name} looks for is written down as one text of at most {LONGEST} characters."
            raise SqlError("FORBIDDEN", message)


def _is_short(sought: Sequence[Token]) -> bool:
    return len(sought) == 1 and sought[0].kind == "text" and len(sought[0].value) <= LONGEST + 2


def _ends(after: Token) -> bool:
    """Whether what stands before it is all of an operand."""
    return after.kind == "word" or after.value in (")", ",")


def _sought(name: str, arguments: Sequence[Sequence[Token]]) -> Iterator[Sequence[Token]]:
    """The arguments that are looked for."""
    if name in _WHERE and arguments[0][-1:] and arguments[0][-1].name == _WHERE[name]:
        first = [token for token in arguments[0][:-1] if (token.name or "").lower() not in _SIDES]
        if first or name != "trim":
            yield first
        arguments = arguments[1:]
    if name in _SECOND:
        yield from arguments[1:2]


def _arguments(following: Sequence[Token], word: str | None) -> list[list[Token]]:
    """What stands between commas up to the parenthesis that ends a call; ``word`` ends the first argument, too."""
    arguments: list[list[Token]] = [[]]
    depth = 0
    for token in following:
        depth += (token.value in ("(", "[")) - (token.value in (")", "]"))
        if depth < 0:
            break
        if depth == 0 and token.value == ",":
            arguments.append([])
            continue
        arguments[-1].append(token)
        if depth == 0 and word is not None and len(arguments) == 1 and token.name == word:
            arguments.append([])
    return arguments

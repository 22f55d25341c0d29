"""What is wrong with a configuration file: collected with positions, told all at once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import NamedTuple, NoReturn

from helicone_gw.errors import ConfigError

MAX_PROBLEMS = 200
"""How many problems are told; of more, the rest is counted."""

Path = tuple[str | int, ...]
"""Keys and indexes that lead to a value: ``("plugins", 2, "security")``."""


class Position(NamedTuple):
    """Where in the file, both counted from 1."""

    line: int
    column: int


START = Position(1, 1)


class Problems:
    """Collects problems of the file that is shown as ``file``."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._found: dict[tuple[Position, str, str], None] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, position: Position, path: Sequence[str | int], message: str) -> None:
        """Note a problem; the same one twice counts once."""
        self._found[position, dotted(path), message] = None

    def lines(self) -> list[str]:
        """One line per problem, in the file's order: ``file:line:column: path: message``."""
        found = sorted(self._found, key=lambda problem: problem[0])
        lines = [
            f"{self.file}:{position.line}:{position.column}: {f'{path}: ' if path else ''}{_one_line(message)}"
            for position, path, message in found[:MAX_PROBLEMS]
        ]
        if len(found) > MAX_PROBLEMS:
            line, column = found[MAX_PROBLEMS][0]
            lines.append(f"{self.file}:{line}:{column}: and {len(found) - MAX_PROBLEMS} more problems from here on")
        return lines

    def fail(self) -> NoReturn:
        """Raise `ConfigError` with everything found so far."""
        raise ConfigError(self.lines()) from None


def dotted(path: Sequence[str | int]) -> str:
    """A path for people: ``plugins.2.security``."""
    return ".".join(str(step) if isinstance(step, int) else printable(step) for step in path)


def printable(text: str, limit: int = 80) -> str:
    """``text`` as it can be printed on one line: escaped and cut where needed."""
    shown = text if text and text.isprintable() else json.dumps(text)
    return shown if len(shown) <= limit else f"{shown[:limit]}..."


def _one_line(message: str) -> str:
    return " ".join(message.split())


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` (did you mean 'port'?)`` for a word that resembles a known one, else nothing."""
    if len(word) > 64:
        return ""
    lowered = {name.lower(): name for name in known}
    close = get_close_matches(word.lower(), lowered, n=1, cutoff=0.7)
    return f"; did you mean {lowered[close[0]]!r}?" if close else ""

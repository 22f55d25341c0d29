"""Labels: what is told apart, and what is counted together because there would be too much of it."""

from __future__ import annotations

from typing import Final

OTHER: Final = "(other)"
"""The value that stands for all that have no place of their own."""

LABEL_CHARACTERS: Final = 128
"""Longest value; a longer one has no place of its own, for it is what a client made up."""


class Label:
    """The values of one label, of which there may be ``bound``; models, for one, are what clients and providers say."""

    __slots__ = ("_bound", "_values", "name", "overflowed")

    def __init__(self, name: str, bound: int) -> None:
        self.name = name
        self._bound = bound
        self._values: set[str] = set()
        self.overflowed = 0
        """How often a value had no place."""

    def of(self, value: str) -> str:
        """``value``, or `OTHER` where there is no place for it."""
        if not value or value in self._values:
            return value
        if len(self._values) >= self._bound or len(value) > LABEL_CHARACTERS:
            self.overflowed += 1
            return OTHER
        # A lone surrogate cannot be written as UTF-8, and such a page could not be served at all.
        if not value.isascii() and value != value.encode("utf-8", "replace").decode():
            self.overflowed += 1
            return OTHER
        self._values.add(value)
        return value

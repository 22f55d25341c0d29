"""Vault: what was redacted in one exchange, under placeholders, so that the answer can have it again."""

from __future__ import annotations

import re
from collections.abc import Iterable

from helicone_gw_moderation.plan import placeholder_name

PLACEHOLDER = re.compile(r"\[[A-Z0-9_]{1,40}_\d{1,6}\]")


class Vault:
    """Placeholders and what they stand for, ``limit`` of them; lives and dies with its exchange, and is never shown.

    What looks like a placeholder in a text already is kept off (`keep_off`).
    """

    __slots__ = ("_by_value", "_limit", "_numbers", "_taken", "full", "values")

    def __init__(self, limit: int) -> None:
        self.values: dict[str, str] = {}
        """What each placeholder stands for."""
        self.full = 0
        """How often there was no room: what was redacted then cannot be had again."""
        self._by_value: dict[tuple[str, str], str] = {}
        self._numbers: dict[str, int] = {}
        self._limit = limit
        self._taken: set[str] = set()

    def __repr__(self) -> str:
        return f"Vault({len(self.values)} values)"

    def keep_off(self, taken: Iterable[str]) -> None:
        """Make no new placeholder of these names: they stand in the texts as they came."""
        self._taken.update(taken)

    def placeholder(self, label: str, value: str) -> str:
        """The placeholder of ``value``: the same one each time."""
        name = placeholder_name(label)
        known = self._by_value.get((name, value))
        if known is not None:
            return known
        if len(self.values) >= self._limit:
            self.full += 1
            return mask(label)
        number = self._numbers.get(name, 0) + 1
        while (made := f"[{name}_{number}]") in self._taken:
            number += 1
        self._numbers[name] = number
        self.values[made] = value
        self._by_value[name, value] = made
        return made


def mask(label: str) -> str:
    """What stands in place of something that nobody is to have again."""
    return f"[{placeholder_name(label)}]"


def placeholders(text: str) -> set[str]:
    """What looks like a placeholder in ``text``."""
    return set(PLACEHOLDER.findall(text)) if "[" in text else set()

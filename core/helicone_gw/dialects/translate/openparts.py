"""OpenParts: which parts of a choice are under way, for streams that do not say where a part begins or ends."""

from __future__ import annotations

from collections.abc import Hashable

import msgspec

from helicone_gw.dialects.translate.reply import (
    PartEnded,
    PartKind,
    PartStarted,
    StreamEvent,
    ToolArgumentsDelta,
)

MOST_ARGUMENTS = 1 << 20
"""Characters of a call's arguments that are looked at; a longer call ends when its choice stops."""


class OpenParts:
    """The parts of one choice of one stream.

    A part ends when another one begins. Only tool calls may go on meanwhile: one whose arguments are not complete JSON
    yet stays open until they are, or until the choice stops.

    With ``filled``, a call of which no arguments came gets an empty object: what its dialect leaves out is nowhere else
    left out.
    """

    __slots__ = ("_arguments", "_choice", "_current", "_filled", "_indexes", "_next", "_open", "_sizes")

    def __init__(self, choice: int = 0, *, filled: bool = False) -> None:
        self._choice = choice
        self._filled = filled
        self._next = 0
        self._current: Hashable = None
        self._indexes: dict[Hashable, int] = {}
        self._open: dict[Hashable, None] = {}
        self._arguments: dict[Hashable, list[str]] = {}
        self._sizes: dict[Hashable, int] = {}

    def known(self, key: Hashable) -> bool:
        """Whether the part named ``key`` has begun, and is still open or may be gone on with."""
        return key in self._indexes

    def is_open(self, key: Hashable) -> bool:
        """Whether the part named ``key`` is under way."""
        return key in self._open

    def enter(
        self,
        key: Hashable,
        kind: PartKind,
        events: list[StreamEvent],
        *,
        id: str | None = None,
        name: str | None = None,
        custom: bool = False,
        signature: str | None = None,
    ) -> int:
        """The index of the part named ``key``, which begins here if it is new; ``events`` gets what ends and begins."""
        if key == self._current:
            return self._indexes[key]
        if not (kind == "tool_call" and key in self._indexes):
            self._end_complete(events)
            index = self._next
            self._next += 1
            self._indexes[key] = index
            self._open[key] = None
            if kind == "tool_call":
                self._arguments[key] = []
            events.append(PartStarted(index, kind, id, name, custom, signature, self._choice))
        self._current = key
        return self._indexes[key]

    def arguments(self, key: Hashable, text: str) -> bool:
        """Note a piece of a tool call's arguments; whether it belongs to a call that is still open."""
        pieces = self._arguments.get(key)
        if pieces is None:
            return False
        size = self._sizes[key] = self._sizes.get(key, 0) + len(text)
        if size <= MOST_ARGUMENTS:
            pieces.append(text)
        return True

    def end(self, key: Hashable, events: list[StreamEvent]) -> None:
        """The dialect says that this part is complete."""
        if key in self._open:
            del self._open[key]
            pieces = self._arguments.pop(key, None)
            self._sizes.pop(key, None)
            if self._filled and pieces == []:
                events.append(ToolArgumentsDelta(self._indexes[key], "{}", self._choice))
            events.append(PartEnded(self._indexes[key], self._choice))
        if key == self._current:
            self._current = None

    def end_all(self, events: list[StreamEvent]) -> None:
        """The choice stops: what is open ends."""
        for key in list(self._open):
            self.end(key, events)

    @property
    def started(self) -> int:
        """How many parts have begun."""
        return self._next

    def _end_complete(self, events: list[StreamEvent]) -> None:
        for key in list(self._open):
            pieces = self._arguments.get(key)
            if pieces is None or (self._sizes.get(key, 0) <= MOST_ARGUMENTS and _is_json("".join(pieces))):
                self.end(key, events)


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except ValueError:
        return False
    return True

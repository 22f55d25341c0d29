"""Rewriting: strings found with their places in a JSON value, and others put there, every other byte as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from helicone_gw.dialects.splice import elements, last, members, name_end


class NameOf(str):
    """The last step of a path to the name of a member, and not to its value: another place, so it equals no name."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NameOf) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash((NameOf, str(self)))


Path = tuple[str | int, ...]
"""From the top of a JSON value to something in it: names of members, numbers of elements."""


def places(value: Any, keys: frozenset[str], whole: frozenset[str], at: Path = ()) -> Iterator[tuple[Path, str]]:
    """The strings that `_json.texts` finds in ``value``, each with its place; ``value`` itself is at ``at``."""
    # A stack of our own: nesting is up to whoever wrote the body.
    stack: list[tuple[Path, Any, bool]] = [(at, value, False)]
    while stack:
        path, current, every = stack.pop()
        if isinstance(current, str):
            if current:
                yield path, current
        elif isinstance(current, list):
            stack.extend(((*path, number), current[number], every) for number in reversed(range(len(current))))
        elif isinstance(current, dict):
            plain = current.get("type") == "text"
            stack.extend(
                ((*path, key), item, every or (key in whole and not isinstance(item, str)))
                for key, item in reversed(current.items())
                if every or key in keys or key in whole or (plain and key == "data")
            )


def changed(body: bytes, found: Iterator[tuple[Path, str]], change: Callable[[str], str]) -> bytes:
    """``body`` with every string of ``found`` as ``change`` makes it. Raises `MalformedBody` where it is not JSON."""
    changes = {path: after for path, before in found if (after := change(before)) != before}
    return with_strings(body, changes) if changes else body


def with_strings(body: bytes, changes: Mapping[Path, str]) -> bytes:
    """``body`` with strings put at these places, which exist, every other byte as it was."""
    known: dict[int, Any] = {}
    spans = sorted((*_span(body, path, known), text) for path, text in changes.items())
    pieces: list[bytes] = []
    end = 0
    for start, stop, text in spans:
        pieces += (body[end:start], msgspec.json.encode(text))
        end = stop
    return b"".join((*pieces, body[end:]))


def _span(body: bytes, path: Path, known: dict[int, Any]) -> tuple[int, int]:
    """Where the value at ``path`` begins and ends; ``known`` remembers what containers hold, by where they begin."""
    start, end = 0, len(body)
    for step in path:
        if start not in known:
            known[start] = members(body, start) if isinstance(step, str) else elements(body, start)
        if isinstance(step, str):
            member = last(known[start], str(step))
            assert member is not None, "the place was found in this body"
            start, end = member.value, member.end
            if isinstance(step, NameOf):
                start, end = member.start, name_end(body, member)
        else:
            start, end = known[start][step]
    return start, end

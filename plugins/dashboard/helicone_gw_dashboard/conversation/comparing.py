"""Comparing: what of a request's turns is as in the request before, what changed, what is new, what was left out."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple

from helicone_gw_dashboard.conversation.turns import Turn

MOST_TURNS: Final = 500
"""Turns that are compared; of longer conversations only the common beginning is known."""
MOST_LINES: Final = 400
"""Lines of a turn that are compared."""
AROUND: Final = 2
"""Lines around a change that are shown."""


class Stretch(NamedTuple):
    """Turns in a row: the ``same`` as before, one that ``changed``, or ``new`` ones. ``left_out``: turns of the request
    before that are here no more. ``lines`` are what changed: kind ("added", "removed", "gap" or "") and line."""

    kind: Literal["same", "changed", "new", "left_out"]
    turns: tuple[Turn, ...]
    lines: tuple[tuple[str, str], ...] = ()


def compared(asked: Sequence[Turn], before: Sequence[Turn]) -> tuple[Stretch, ...]:
    """``asked`` in stretches, beside the turns of the request ``before``; all of it is new where there is none."""
    if not asked or not before:
        return (Stretch("new", tuple(asked)),) if asked else ()
    if max(len(asked), len(before)) > MOST_TURNS:
        return tuple(_beginning(asked, before))
    return tuple(_stretches(asked, before))


def _beginning(asked: Sequence[Turn], before: Sequence[Turn]) -> Iterator[Stretch]:
    same = 0
    while same < min(len(asked), len(before)) and asked[same] == before[same]:
        same += 1
    if same:
        yield Stretch("same", tuple(asked[:same]))
    if asked[same:]:
        yield Stretch("new", tuple(asked[same:]))


def _stretches(asked: Sequence[Turn], before: Sequence[Turn]) -> Iterator[Stretch]:
    matcher = difflib.SequenceMatcher(None, before, asked, autojunk=False)
    for tag, start, end, begin, stop in matcher.get_opcodes():
        if tag == "equal":
            yield Stretch("same", tuple(asked[begin:stop]))
            continue
        pairs = min(end - start, stop - begin)
        for one, other in zip(before[start : start + pairs], asked[begin : begin + pairs], strict=True):
            lines = _lines(one, other) if one.role == other.role else ()
            yield Stretch("changed" if lines else "new", (other,), lines)
        if begin + pairs < stop:
            yield Stretch("new", tuple(asked[begin + pairs : stop]))
        if start + pairs < end:
            yield Stretch("left_out", tuple(before[start + pairs : end]))


def _lines(before: Turn, after: Turn) -> tuple[tuple[str, str], ...]:
    """What changed in a turn, line by line; nothing where that says less than the turn itself."""
    one, other = _text(before), _text(after)
    if not one or not other or max(len(one), len(other)) > MOST_LINES:
        return ()
    matcher = difflib.SequenceMatcher(None, one, other)
    if len(one) + len(other) > 2 and matcher.ratio() < 0.3:
        return ()
    found: list[tuple[str, str]] = []
    for number, group in enumerate(matcher.get_grouped_opcodes(AROUND)):
        if number:
            found.append(("gap", "⋯"))
        for tag, start, end, begin, stop in group:
            if tag == "equal":
                found += [("", line) for line in one[start:end]]
                continue
            found += [("removed", line) for line in one[start:end]]
            found += [("added", line) for line in other[begin:stop]]
    return tuple(found)


def _text(turn: Turn) -> list[str]:
    return [
        line for part in turn.parts for line in (f"[{part.name}]" if part.name else "", *part.text.splitlines()) if line
    ]

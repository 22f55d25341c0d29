"""Layers: what each plugin took of a request's time, by the phases of its way, where its hooks were timed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from helicone_gw_dashboard.explaining import noted

NOTE: Final = "pipeline.hooks"
"""What the gateway notes: ``[plugin, hook, start, took, calls]``, microseconds after the request was received."""

MOST: Final = 256
"""Hooks that are shown."""

LEAST: Final = 0.005
"""The shortest bar, as a part of the whole: so much of what took no time can still be seen."""

PHASES: Final[Mapping[str, tuple[str, ...]]] = {
    "Inwards": ("pre_request",),
    "Routing": ("route_model",),
    "Attempts": ("on_attempt", "on_error"),
    "Outwards": ("before_stream", "on_stream_chunk", "on_response", "before_end"),
    "Afterwards": ("on_finish",),
}
"""The phases of a request's way, and the hooks that are called in them."""


class Took(NamedTuple):
    """What one hook of a plugin took: ``start`` and ``took`` in ms, of all ``calls``; ``left``, ``width`` in %."""

    plugin: str
    hook: str
    start: float
    took: float
    calls: int
    left: float
    width: float


class Phase(NamedTuple):
    """A phase, what its hooks took together (ms), and each of them in the order in which they began."""

    title: str
    took: float
    steps: Sequence[Took]


def layers(row: Mapping[str, Any]) -> list[Phase]:
    """The phases of a request whose hooks were timed; none for one whose were not."""
    received, ended = row.get("received_at"), row.get("ended_at")
    if received is None or ended is None:
        return []
    whole = max(ended - received, 1)
    known = sorted(_read(noted(row).get(NOTE)), key=lambda each: each[2])
    found = []
    for title, hooks in PHASES.items():
        steps = [
            Took(plugin, hook, start / 1000, took / 1000, calls, *_place(start / 1000, took / 1000, whole))
            for plugin, hook, start, took, calls in known
            if hook in hooks
        ]
        if steps:
            found.append(Phase(title, sum(step.took for step in steps), steps))
    return found


def _place(start: float, took: float, whole: float) -> tuple[float, float]:
    left = min(max(start / whole, 0), 1 - LEAST)
    return left * 100, max(min(took / whole, 1 - left), LEAST) * 100


def _read(note: object) -> Iterator[tuple[str, str, float, float, int]]:
    """The entries of the note that are such entries; rows that were told of may say anything."""
    for each in note[:MOST] if isinstance(note, list) else ():
        if isinstance(each, list) and len(each) == 5 and all(isinstance(name, str) for name in each[:2]):
            plugin, hook, *numbers = each
            if all(isinstance(one, int) and 0 <= one < 1 << 48 for one in numbers):
                start, took, calls = numbers
                yield plugin, hook, start, took, calls

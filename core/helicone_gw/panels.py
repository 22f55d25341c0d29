"""Panels: what a plugin shows in a dashboard, as data; whichever plugin is the dashboard draws it in its own look.

A page or a card is offered with ``gateway.pages.offer`` when the plugin starts. It is never HTML: what a plugin knows
of its users is shown as text, so that no plugin can open the dashboard to what somebody typed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from helicone_gw.access import GatewayKey, Role

Cell = str | int | float | None
"""A value that is shown; ``None`` is unknown, and is shown as that."""

Unit = Literal["text", "count", "money", "duration", "percent", "time"]
"""How a value is written: ``money`` is dollars, ``duration`` milliseconds, ``percent`` a share of one, ``time`` epoch
milliseconds; ``text`` stands as it is."""


@dataclass(frozen=True, slots=True)
class ShownText:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class ShownFigure:
    """A number under a label; ``note`` is a few words below it."""

    label: str
    value: Cell
    unit: Unit = "count"
    note: str = ""


@dataclass(frozen=True, slots=True)
class ShownTable:
    """Rows under ``columns``, each a heading and how its values are written. Of rows, the first thousand are shown."""

    columns: Sequence[tuple[str, Unit]]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True, slots=True)
class ShownChart:
    """Values over time: ``times`` are epoch milliseconds, the beginnings of buckets that are ``bucket`` milliseconds
    long, and each of ``lines`` has a value, or ``None``, for each of them. At most four lines."""

    times: Sequence[int]
    bucket: int
    lines: Mapping[str, Sequence[float | None]]
    unit: Literal["count", "money", "duration"] = "count"


Shown = ShownText | ShownFigure | ShownTable | ShownChart
"""What a page or a card is made of; figures that follow each other stand side by side."""


@dataclass(frozen=True, slots=True)
class PanelQuery:
    """What somebody wants to see: who (``None``: everybody on an open gateway), which time (epoch milliseconds, the end
    exclusive), and the other parameters of the page's address, which anybody may have written."""

    caller: GatewayKey | None
    start: int
    end: int
    params: Mapping[str, str] = field(default_factory=dict)


Show = Callable[[PanelQuery], Awaitable[Sequence[Shown]]]
"""Makes what is shown. What it raises is logged, and stands as a sentence in its place; a `GatewayError` speaks."""


@dataclass(frozen=True, slots=True)
class DashboardPage:
    """A page of its own. ``name`` is its place in addresses: lower-case letters, digits and dashes."""

    name: str
    title: str
    show: Show
    role: Role = "viewer"


@dataclass(frozen=True, slots=True)
class DashboardCard:
    """A card on the overview. ``name`` tells the cards of one plugin apart."""

    name: str
    title: str
    show: Show
    role: Role = "viewer"

"""The configuration of a budget: `BudgetConfig`."""

from __future__ import annotations

from datetime import tzinfo
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from helicone_gw_ratelimit.for_config import Count, ForConfig, no_switch
from helicone_gw_ratelimit.periods import (
    LONGEST,
    SHORTEST,
    Calendar,
    Every,
    Period,
    Rolling,
    Total,
    WeekStart,
    parse_duration,
    zone,
)

NANO = 1_000_000_000
"""Nano-dollars of a dollar."""

MAX_DOLLARS = 2_000_000
"""Largest budget: every sum stays far below 2^53 nano-dollars, up to which Lua's arithmetic is exact."""

MAX_THRESHOLDS = 15


def _zone(name: str) -> str:
    zone(name)
    return name


def _window(value: object) -> float:
    seconds = parse_duration(value)
    if not SHORTEST <= seconds <= LONGEST:
        raise ValueError("a window is a minute to 366 days long")
    return seconds


Dollars = Annotated[
    Decimal,
    Field(gt=0, le=MAX_DOLLARS, allow_inf_nan=False, decimal_places=9),
    BeforeValidator(no_switch),
]
Percent = Annotated[int, Field(ge=1, le=1000), BeforeValidator(no_switch)]
SegmentName = Annotated[str, Field(pattern=r"^(?i:property:)?[A-Za-z0-9_-]{1,128}$"), AfterValidator(str.lower)]


class BudgetConfig(ForConfig):
    """One budget: so many dollars in a period, for everybody, or for each user, key, model, ... apart."""

    limit: Dollars = Field(description="US dollars.")
    period: Every | None = Field(default=None, description="Calendar period in which they may be spent; or `window`.")
    window: Annotated[float, BeforeValidator(_window, json_schema_input_type=float | str)] | None = Field(
        default=None, description="A window that rolls on instead of a period: seconds, or 12h, 30d, ..."
    )
    timezone: Annotated[str, AfterValidator(_zone)] = Field(
        default="UTC", description="Whose midnights begin and end a period: an IANA name."
    )
    week_starts: WeekStart = Field(default="monday", description="First day of a week.")
    segment: SegmentName = Field(
        default="global",
        description="Who has a budget of their own: global (all share one), user, key, owner (of the key), model, "
        "route, provider, or the name of a property (property:model, where it is one of those words).",
    )
    mode: Literal["hard", "soft"] = Field(
        default="hard", description="Refuse with 402 what exceeds it, or only tell of it."
    )
    alerts: tuple[Percent, ...] = Field(
        default=(50, 80, 100), max_length=MAX_THRESHOLDS, description="Percent of the limit that are told, once each."
    )
    unknown_price: Literal["deny", "allow"] | Dollars | None = Field(
        default=None,
        description="A request whose price nobody knows: deny (default of hard budgets), allow (of soft ones), or "
        "dollars to count for it.",
    )
    reserve: Literal["estimate", "largest"] = Field(
        default="estimate",
        description="What is held for a request under way: what it may cost as far as one can tell, or always "
        "`largest_request`, which nothing then exceeds.",
    )
    largest_request: Dollars | None = Field(
        default=None, description="Dollars that one request may cost at most; estimates above it are refused."
    )
    in_flight: Count | None = Field(default=None, description="Requests under way at once, of one segment.")
    cut: bool = Field(default=False, description="End a stream cleanly where the budget ends.")
    slice: Dollars = Field(
        default=Decimal("0.01"), description="Dollars by which a stream extends what is held for it."
    )

    @field_validator("alerts")
    @classmethod
    def _ascending(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(set(value)))

    @model_validator(mode="after")
    def _consistent(self) -> BudgetConfig:
        if (self.period is None) == (self.window is None):
            raise ValueError("a budget has either a period (day, week, month, total) or a window")
        if self.window is not None and self.timezone != "UTC":
            raise ValueError("a window has no time zone: it rolls on")
        if self.reserve == "largest" and self.largest_request is None:
            raise ValueError("reserve: largest needs largest_request")
        if self.largest_request is not None and self.largest_request > self.limit:
            raise ValueError("largest_request is more than the whole budget")
        if self.mode == "soft" and (self.cut or self.in_flight is not None or self.unknown_price == "deny"):
            raise ValueError("a soft budget refuses nothing: cut, in_flight and unknown_price: deny are for hard ones")
        return self

    @property
    def zone(self) -> tzinfo:
        """The time zone itself."""
        return zone(self.timezone)

    def when(self) -> Period:
        """When it begins anew."""
        if self.window is not None:
            return Rolling(self.window)
        if self.period is None or self.period == "total":
            return Total()
        return Calendar(self.period, self.zone, self.week_starts)

    @property
    def hard(self) -> bool:
        """Whether it refuses."""
        return self.mode == "hard"

    @property
    def nano(self) -> int:
        """The limit in nano-dollars."""
        return nano(self.limit)

    @property
    def thresholds(self) -> tuple[int, ...]:
        """What `alerts` are in nano-dollars."""
        return tuple(self.nano * percent // 100 for percent in self.alerts)

    @property
    def unknown(self) -> int | None:
        """Nano-dollars to count for a request of unknown price; ``None``: it is denied."""
        if self.unknown_price == "deny" or (self.unknown_price is None and self.hard):
            return None
        return 0 if self.unknown_price in (None, "allow") else nano(Decimal(self.unknown_price))


def nano(dollars: Decimal) -> int:
    """Nano-dollars of an amount that has no finer decimals.

    >>> nano(Decimal("1.5"))
    1500000000
    """
    return int(dollars * NANO)


def dollars(amount: int) -> str:
    """Nano-dollars for people: at least two decimals, and as many as it needs.

    >>> dollars(1_500_000_000), dollars(-250_001_000), dollars(0)
    ('$1.50', '-$0.250001', '$0.00')
    """
    whole, rest = divmod(abs(amount), NANO)
    decimals = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{'-' if amount < 0 else ''}${whole:,}.{decimals}"


def plain(amount: int) -> str:
    """Nano-dollars as an exact decimal number of dollars, for programs.

    >>> plain(1_234_500_000_000)
    '1234.50'
    """
    return dollars(amount).replace("$", "").replace(",", "")

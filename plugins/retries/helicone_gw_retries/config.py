"""The plugin's configuration: `RetriesConfig`, with `PolicyConfig` for single routes and `BudgetConfig`."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from helicone_gw import PluginConfig, PositiveSeconds, Seconds

Transport = Literal["connect", "timeout", "broken"]
"""Failures without a status: no connection, no answer in time, an answer that is cut short or no answer at all."""

TRANSPORT: tuple[Transport, ...] = ("connect", "timeout", "broken")


def _no_switch(value: object) -> object:
    # pydantic takes true for 1, which in a file of this kind is a slip of the pen.
    if isinstance(value, bool):
        raise ValueError("should be a number, not true or false")
    return value


def _status_range(text: str) -> str:
    """Check ``"500-599"`` or ``"5xx"``."""
    status_range(text)
    return text


def status_range(entry: int | str) -> tuple[int, int]:
    """First and last status that ``entry`` means. Raises `ValueError`.

    >>> status_range("5xx"), status_range("500-504"), status_range(429)
    ((500, 599), (500, 504), (429, 429))
    """
    text = str(entry)
    if len(text) == 3 and text[0] in "45" and text[1:].lower() == "xx":
        return int(text[0]) * 100, int(text[0]) * 100 + 99
    first, dash, last = text.partition("-")
    if not (first.isdecimal() and (last.isdecimal() or not dash)):
        raise ValueError('should be a status (429), a class of them ("5xx") or a range ("500-504")')
    bounds = int(first), int(last or first)
    if not 400 <= bounds[0] <= bounds[1] <= 599:
        raise ValueError("a status that is an error lies between 400 and 599")
    return bounds


Statuses = Annotated[
    tuple[
        Annotated[int, Field(ge=400, le=599), BeforeValidator(_no_switch)]
        | Annotated[str, AfterValidator(_status_range)],
        ...,
    ],
    Field(description='Statuses that are retried: 429, "5xx", "500-504".'),
]
Retries = Annotated[int, Field(ge=0, le=100), BeforeValidator(_no_switch)]
Factor = Annotated[float, Field(ge=1, le=100, allow_inf_nan=False), BeforeValidator(_no_switch)]


class PolicyConfig(PluginConfig):
    """How one route retries; what is left out is as for all."""

    enabled: bool | None = Field(default=None, description="Whether it retries without being asked to.")
    num: Retries | None = Field(default=None, description="Retries after the first attempt, per target.")
    factor: Factor | None = Field(default=None, description="By how much the longest wait grows with each retry.")
    min_timeout: Seconds | None = Field(default=None, description="Longest first wait, in seconds.")
    max_timeout: PositiveSeconds | None = Field(default=None, description="Longest wait of all, in seconds.")
    statuses: Statuses | None = None
    transport: tuple[Transport, ...] | None = Field(
        default=None, description="Failures without a status that are retried."
    )


class BudgetConfig(PluginConfig):
    """What retries may add to the traffic of one worker, in any minute."""

    share: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), BeforeValidator(_no_switch)] = Field(
        default=0.2, description="Retries, as a share of the requests of the last minute."
    )
    floor: Annotated[int, Field(ge=0), BeforeValidator(_no_switch)] = Field(
        default=10, description="Retries that are allowed in any minute, however few requests there are."
    )
    usd: Annotated[Decimal, Field(ge=0, allow_inf_nan=False, max_digits=18, decimal_places=9)] | None = Field(
        default=None, description="US dollars that retries may have cost in the last minute; default: no bound."
    )


class RetriesConfig(PluginConfig):
    """Configuration of ``retries``."""

    enabled: bool = Field(
        default=False, description="Retry requests that do not ask for it (Helicone-Retry-Enabled: true), too."
    )
    num: Retries = Field(default=5, description="Retries after the first attempt, per target.")
    factor: Factor = Field(default=2.0, description="By how much the longest wait grows with each retry.")
    min_timeout: Seconds = Field(default=1.0, description="Longest first wait, in seconds; each wait is jittered.")
    max_timeout: PositiveSeconds = Field(
        default=10.0, description="Longest wait of all; a provider that wants a longer one is not retried."
    )
    statuses: Statuses = (429, "5xx")
    transport: tuple[Transport, ...] = Field(
        default=TRANSPORT, description="Failures without a status that are retried: connect, timeout, broken."
    )
    routes: dict[Annotated[str, Field(min_length=1)], PolicyConfig] = Field(
        default_factory=dict,
        description="Policies of named routes and of models (shell-style patterns) of their own; the first that fits.",
    )
    budget: BudgetConfig = Field(default_factory=BudgetConfig, description="What retries may add to the traffic.")

    @model_validator(mode="after")
    def _waits_grow(self) -> RetriesConfig:
        for name, low, high in (
            ("", self.min_timeout, self.max_timeout),
            *(
                (
                    f"routes.{route}: ",
                    self.min_timeout if each.min_timeout is None else each.min_timeout,
                    each.max_timeout or self.max_timeout,
                )
                for route, each in self.routes.items()
            ),
        ):
            if low > high:
                raise ValueError(f"{name}min_timeout ({low:g}) is longer than max_timeout ({high:g})")
        return self

"""What rules of the configuration have in common: `ForConfig`, which says what a rule is for, and kinds of value."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from helicone_gw import PluginConfig


def no_switch(value: object) -> object:
    """``value``; raises `ValueError` for true and false, which pydantic would take for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("should be a number, not true or false")
    return value


def _some(patterns: tuple[str, ...]) -> tuple[str, ...]:
    if not patterns:
        raise ValueError("an empty list fits nothing; leave it out instead")
    return patterns


Count = Annotated[int, Field(ge=1, le=1_000_000_000), BeforeValidator(no_switch)]
RuleName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,100}$")]
Patterns = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], AfterValidator(_some)]
"""Shell-style patterns; one of them has to fit."""


class ForConfig(PluginConfig):
    """What a rule is for: all that is given has to fit; a list fits where one of its patterns does."""

    keys: Patterns | None = Field(default=None, description="Names of gateway keys.")
    users: Patterns | None = Field(default=None, description="User ids.")
    models: Patterns | None = Field(default=None, description="Models, as they are asked for.")
    routes: Patterns | None = Field(default=None, description="Named routes, asked for by address or as the model.")
    properties: dict[Annotated[str, Field(min_length=1)], Patterns] = Field(
        default_factory=dict, description="Properties of the request, and what their values look like."
    )

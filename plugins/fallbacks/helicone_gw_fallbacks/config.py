"""The plugin's configuration: `FallbacksConfig`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from helicone_gw import PluginConfig
from helicone_gw_fallbacks.classes import CLASSES, ErrorClass

Name = Annotated[str, Field(min_length=1)]


def _some(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("a chain without any model; leave it out instead")
    return names


Names = Annotated[tuple[Name, ...], AfterValidator(_some)]
"""Model strings, in the order in which they are tried."""

ChainByClass = dict[ErrorClass | Literal["default"], Names]

DEFAULT_CLASSES: tuple[ErrorClass, ...] = tuple(name for name in CLASSES if name != "invalid")


class FallbacksConfig(PluginConfig):
    """Configuration of ``fallbacks``."""

    on: tuple[ErrorClass, ...] = Field(
        default=DEFAULT_CLASSES,
        description=(
            "Kinds of failure that move on to another target. A list that the client sent moves on with every kind."
        ),
    )
    chains: dict[Name, Names | ChainByClass] = Field(
        default_factory=dict,
        description=(
            "Models to try after the asked one (a shell-style pattern, or a named route), in order; or such lists by "
            "kind of failure, with default for the others. The first pattern that fits."
        ),
    )

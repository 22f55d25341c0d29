"""The configuration of a queue at a limit: `QueueConfig`."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from helicone_gw import PluginConfig, PositiveSeconds
from helicone_gw_ratelimit.for_config import Count

Level = Annotated[int, Field(ge=-100, le=100, strict=True)]
Name = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(str.lower)]


class PriorityConfig(PluginConfig):
    """Who comes first in a queue: higher numbers. What is said first here goes first, and without any it is 0."""

    keys: dict[Annotated[str, Field(min_length=1)], Level] = Field(
        default_factory=dict, description="By the name of the gateway key: patterns, the first that fits."
    )
    header: Name | None = Field(
        default=None, description="By a header of the request: a number, or one of `levels`. Clients may say anything."
    )
    property: Name | None = Field(
        default=None, description="By a property of the request: a number, or one of `levels`."
    )
    levels: dict[Name, Level] = Field(default_factory=dict, description="What words in header and property mean.")

    @model_validator(mode="after")
    def _something(self) -> PriorityConfig:
        if not self.keys and self.header is None and self.property is None:
            raise ValueError("a priority goes by keys, a header or a property")
        if self.header is not None and self.header.startswith("helicone-"):
            raise ValueError("headers that begin with Helicone- are the gateway's own; use a property")
        return self


class QueueConfig(PluginConfig):
    """Wait at a limit instead of being refused, up to a number of requests and for a while."""

    max_waiting: Count = Field(default=100, description="Requests that may wait at this limit, of all segments.")
    max_wait: PositiveSeconds = Field(
        default=30.0, description="Seconds that each may wait; one that would have to wait longer is refused at once."
    )
    fair: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,128}$"), AfterValidator(str.lower)] = Field(
        default="key",
        description="Between whom turns go round, within a priority: global (nobody: first come, first served), user, "
        "key, or the name of a property.",
    )
    priority: PriorityConfig | None = Field(default=None, description="Who comes first.")

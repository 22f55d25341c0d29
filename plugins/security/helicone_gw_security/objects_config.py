"""The configuration of how organisations are kept from one another's objects at a provider whose key they share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints


class ObjectsConfig(BaseModel):
    """Whose objects at providers are.

    ``isolate``: "auto" is from the moment on that keys of a second organisation exist. ``unknown``: what becomes of ids
    that were made outside this gateway; ``unknown_of`` is the organisation that they belong to all the same.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    isolate: Literal["auto"] | bool = "auto"
    unknown: Literal["refuse", "allow"] = "refuse"
    unknown_of: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None

    def may_use_unknown(self, organization: str) -> bool:
        """Whether ``organization`` may use what was made outside."""
        return self.unknown == "allow" or self.unknown_of == organization

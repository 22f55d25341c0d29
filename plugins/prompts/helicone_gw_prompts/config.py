"""The configuration of ``prompts``."""

from __future__ import annotations

from typing import Annotated

from pydantic import ByteSize, Field

from helicone_gw import PluginConfig, PositiveSeconds, Seconds, Size
from helicone_gw_prompts.editing import Bounds

Count = Annotated[int, Field(ge=1, le=1_000_000)]


class PromptsConfig(PluginConfig):
    """Where prompts come from beside the database, and bounds."""

    dir: str | None = Field(
        default=None, min_length=1, description="A folder of prompts as files, relative to the working directory."
    )
    watch: bool = Field(default=True, description="Take over a file of `dir` as soon as it changes.")
    organization: str = Field(
        default="default", min_length=1, max_length=128, description="Whose prompts the files of `dir` are."
    )
    stale_after: Seconds = Field(
        default=2.0, description="Seconds after which another worker's edit is seen at the latest; 0: at once."
    )
    keep_falsy: bool = Field(
        default=False,
        description="As at Helicone: inputs that are 0, false or empty leave the variable's tag where it is.",
    )
    max_size: Size = Field(default=ByteSize(256 * 1024), description="Largest body of a prompt.")
    max_expanded: Size = Field(default=ByteSize(64 << 20), description="Largest body that a request may become.")
    max_nesting: Annotated[int, Field(ge=0, le=32)] = Field(
        default=4, description="How deep partials may be in one another."
    )
    max_prompts: Count = Field(default=10_000, description="Prompts of an organization.")
    max_versions: Count = Field(default=1_000, description="Versions of a prompt.")
    max_cached: Count = Field(default=1_000, description="Versions that a worker keeps in memory.")
    url_lifetime: PositiveSeconds = Field(default=3600, description="Seconds for which the URL of a body is valid.")
    deadline: PositiveSeconds = Field(default=5.0, description="Seconds that a request waits for the database.")

    def bounds(self) -> Bounds:
        """How much there may be."""
        return Bounds(int(self.max_size), self.max_prompts, self.max_versions)

"""The configuration of ``dashboard``."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from helicone_gw import PluginConfig

_SEGMENT = r"/[A-Za-z0-9._~-]+"


def _prefix(value: str) -> str:
    path = "/" + value.strip("/") if value.strip("/") else ""
    if not re.fullmatch(f"({_SEGMENT})*", path):
        raise ValueError("a path of letters, digits, '.', '_', '~' and '-', such as /dashboard")
    return path


class DashboardConfig(PluginConfig):
    """Where the dashboard is, and how much of it at once."""

    prefix: Annotated[str, AfterValidator(_prefix)] = Field(
        "/dashboard", description="The path that all pages stand below."
    )
    root: bool = Field(True, description="Whether the overview is at / as well.")
    forwarded_prefix: bool = Field(
        False,
        description="Whether X-Forwarded-Prefix is believed: a proxy in front sets it and takes it off paths.",
    )
    live_streams: int = Field(32, ge=0, le=1000, description="Most pages that are told of new requests, per worker.")

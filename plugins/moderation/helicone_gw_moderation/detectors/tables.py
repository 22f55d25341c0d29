"""The plugin's tables, read once."""

from __future__ import annotations

from functools import cache
from typing import Any

from helicone_gw import read_table


@cache
def table(name: str) -> Any:
    """The content of ``rules/<name>.yaml``; shared, not to be changed."""
    return read_table("helicone_gw_moderation", f"rules/{name}.yaml")

"""The plugin's data files, read once."""

from __future__ import annotations

from functools import cache
from typing import Any

from helicone_gw import read_table


@cache
def table(name: str) -> Any:
    """The content of ``data/<name>.yaml``; shared, not to be changed."""
    return read_table(str(__package__), f"data/{name}.yaml")

"""The plugin's tables, read once."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from ruamel.yaml import YAML


@cache
def table(name: str) -> Any:
    """The content of ``rules/<name>.yaml``; shared, not to be changed."""
    text = files(__package__.rpartition(".")[0]).joinpath("rules", f"{name}.yaml").read_text("utf-8")
    return YAML(typ="safe", pure=True).load(text)

"""The plugin's data files, read once."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from ruamel.yaml import YAML


@cache
def table(name: str) -> Any:
    """The content of ``data/<name>.yaml``; shared, not to be changed."""
    return YAML(typ="safe", pure=True).load(files(__package__).joinpath("data", f"{name}.yaml").read_text("utf-8"))

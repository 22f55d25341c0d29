"""Families: what models can do, by the beginning of their names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from helicone_gw_router.names import canonical
from helicone_gw_router.tables import table

MODALITIES = {"images": "image", "audio": "audio", "video": "video", "documents": "document"}
"""What a model may take beside text, and the word for it in ``data/families.yaml`` and Helicone's registry."""

_FLAGS = {"tools": "tools", "structured_output": "json", "reasoning": "reasoning"}


def capabilities(facts: Mapping[str, Any]) -> dict[str, bool]:
    """What models of a family can (``True``) and cannot do; what is not known stands there neither way."""
    inputs = facts.get("input", ())
    able = {name: True for name, word in MODALITIES.items() if word in inputs}
    able |= {name: True for name, word in _FLAGS.items() if facts.get(word)}
    return able | dict.fromkeys(facts.get("lacks", ()), False)


@lru_cache(maxsize=4096)
def family(name: str) -> Mapping[str, Any]:
    """What models of this kind can do, as ``data/families.yaml`` says it."""
    key, _ = canonical(name)
    rows: list[dict[str, Any]] = table("families")
    return next((row for row in rows if any(key.startswith(start) for start in row["match"])), {})

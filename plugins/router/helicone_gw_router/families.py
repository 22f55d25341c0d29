"""Families: what models can do, by the beginning of their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from helicone_gw_router.names import canonical
from helicone_gw_router.tables import table


def family(name: str) -> Mapping[str, Any]:
    """What models of this kind can do, as ``data/families.yaml`` says it."""
    key, _ = canonical(name)
    rows: list[dict[str, Any]] = table("families")
    return next((row for row in rows if any(key.startswith(start) for start in row["match"])), {})

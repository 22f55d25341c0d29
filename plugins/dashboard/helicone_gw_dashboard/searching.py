"""Searching: whether a list is one for which every request has to be looked at, so that it is searched for in time."""

from __future__ import annotations

from typing import Any, Final

from helicone_gw_dashboard.lens import Lens, asks

WITHIN: Final = 60
"""Milliseconds for which a part of a text is searched for, before what was found is shown; the last piece may take as
long again."""
PARTS: Final = ("contains", "not-contains", "like", "ilike")
"""Operators that say something of a part of a text."""
LEADING: Final = ("request_id", "user_id", "session_id", "properties", "scores")
"""Columns of whose values few requests have one, and an index leads to these."""


def searches(lens: Lens) -> bool:
    """Whether a part of a text is searched for, and no index leads to few requests in which it may be.

    >>> searches(Lens("1h", 0, 1, ({"request_response_rmt": {"path": {"contains": "chat"}}},)))
    True
    """
    led = any(asked and asked[0] in LEADING and asked[2] in ("equals", "is") for asked in map(asks, lens.filters))
    return not led and any(map(_has_parts, lens.filters))


def _has_parts(node: Any) -> bool:
    if isinstance(node, list):
        return any(map(_has_parts, node))
    if not isinstance(node, dict):
        return False
    named = node.get("operator")  # of an expression
    return named in PARTS or any(key in PARTS or _has_parts(value) for key, value in node.items())

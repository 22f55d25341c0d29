"""Audit: what was changed in the organization, by whom, when, from where; newest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from quart import Response

from helicone_gw_dashboard.formatting import moment
from helicone_gw_dashboard.forms import absent
from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.view import View

PAGES = Pages("audit")

LIMIT: Final = 50
"""Entries of one part of the list."""
NAMES: Final = ("actor", "action", "subject")
"""What the list is narrowed by."""
LONGEST: Final = 400
"""Characters of a value that are shown."""

SAYS: Final = "It keeps a log of every change to keys, members, prompts, alerts and limits."
YAML: Final = """plugins:
  - security: {}
  - dashboard"""


@PAGES.get("/audit", "Audit", role="admin")
async def audit(view: View) -> Response:
    """The list, or with ``cursor`` a further part of it."""
    missing = absent(view, "security", SAYS, YAML)
    if missing is not None:
        return missing
    chosen = {name: value for name in NAMES if (value := view.args.get(name, "").strip()[:512])}
    params = {**chosen, "limit": str(LIMIT)}
    if cursor := view.args.get("cursor", ""):
        params["cursor"] = cursor
    found = await view.ask("GET", "/v1/audit", params=params)
    values = {
        "rows": [{**entry, "changes": list(_changes(entry["before"], entry["after"]))} for entry in found["entries"]],
        "more": {**chosen, "cursor": found["next"]} if found["next"] else None,
        "chosen": chosen,
    }
    return view.render("_audit.html" if view.partial else "audit.html", **values)


def _changes(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Iterator[tuple[str, str, str]]:
    """Name, value before, value after, of all that was not the same; what was nothing and is nothing is left out."""
    one, other = before or {}, after or {}
    for name in dict.fromkeys([*one, *other]):
        shown = _short(name, one.get(name)), _short(name, other.get(name))
        if shown[0] != shown[1]:
            yield name, *shown


def _short(name: str, value: Any) -> str:
    if value is None or value == []:
        return ""
    if name.endswith(("_at", "_until")) and isinstance(value, (int, float)):
        return moment(value * 1000)
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= LONGEST else text[:LONGEST] + " …"

"""Forms: what people typed, as the REST API takes it; and the page that stands in for a plugin that is not there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from quart import Response

from helicone_gw_dashboard.view import Trouble

if TYPE_CHECKING:
    from helicone_gw_dashboard.view import View


def text(form: Mapping[str, str], name: str, most: int = 10_000) -> str:
    """A field without the blanks around it. Raises `Trouble` (400) where it has more than ``most`` characters."""
    value = form.get(name, "").strip()
    if len(value) > most:
        raise Trouble(400, f"{name}: at most {most} characters.")
    return value


def entries(form: Mapping[str, str], name: str) -> list[str]:
    """A field of several entries, each on a line of its own or after a comma."""
    return [entry for each in re.split(r"[,\n]", text(form, name)) if (entry := each.strip())]


def number(form: Mapping[str, str], name: str) -> float | None:
    """A number; ``None`` where nothing was typed. Raises `Trouble` (400) for what is none."""
    typed = text(form, name, 100)
    try:
        return float(typed) if typed else None
    except ValueError:
        raise Trouble(400, f"{name}: {typed!r} is not a number.") from None


def segment(name: str) -> str:
    """``name`` as one segment of a path. Raises `Trouble` (404) for what can be none."""
    if not name or "/" in name or name in (".", ".."):
        raise Trouble(404, "There is nothing of that name.")
    return quote(name, safe="")


def typed_moment(seconds: float | None) -> str:
    """Epoch seconds as one would type them: a date alone where it is midnight UTC."""
    if seconds is None:
        return ""
    at = datetime.fromtimestamp(seconds, UTC)
    return at.strftime("%Y-%m-%d" if (at.hour, at.minute, at.second) == (0, 0, 0) else "%Y-%m-%dT%H:%M:%SZ")


def absent(view: View, plugin: str, says: str, yaml: str) -> Response | None:
    """The page that says how to add ``plugin``, or ``None`` where it is in the chain."""
    if view.instances(plugin):
        return None
    return view.render("absent.html", plugin=plugin, says=says, yaml=yaml)

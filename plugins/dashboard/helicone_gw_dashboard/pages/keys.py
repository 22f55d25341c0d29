"""Keys: the gateway's own: who may call it, for what, within which limits; made, rotated and revoked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from quart import Response

from helicone_gw_dashboard.forms import absent, entries, number, segment, text, typed_moment
from helicone_gw_dashboard.lens import Lens
from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.view import Trouble, View

PAGES = Pages("keys")

SHOWN: Final = 500
"""Keys of the list; a search finds the others."""

LISTS: Final = ("models", "providers", "paths", "networks", "origins", "limits", "budgets")
"""What a key has lists of."""

SAYS: Final = "Gateway keys say who may call this gateway, for what, and within which limits."
YAML: Final = """plugins:
  - logging
  - security: {}   # outside everything that costs money
  - dashboard"""


@PAGES.get("/keys", "Keys", role="admin")
async def keys(view: View) -> Response:
    """The list, and a form for a new one."""
    return absent(view, "security", SAYS, YAML) or view.render("keys.html", **await _listed(view))


@PAGES.post("/keys", "Keys", role="admin")
async def create(view: View) -> Response:
    """Make a key: the one time that its secret is shown."""
    form = await view.form()
    wanted = {name: value for name, value in _changes(form).items() if value not in (None, [], "")}
    made = await view.ask("POST", "/v1/api-keys", json=wanted)
    return view.render("_keys.html", **await _listed(view, made))


@PAGES.get("/keys/<id>", "Key", role="admin")
async def key(view: View, id: str) -> Response:
    """One key: what it may do, and forms to change that."""
    return view.render("_key.html" if view.partial else "key.html", **await _one(view, id))


@PAGES.post("/keys/<id>", "Key", role="admin")
async def change(view: View, id: str) -> Response:
    """Change what a key may do; an empty list is no limit."""
    form = await view.form()
    changes = _changes(form)
    before = (await _one(view, id))["key"]
    # What nobody touched stays as it is: the form shows times without fractions, and lists joined by commas.
    if text(form, "expires") == typed_moment(before["expires_at"]):
        del changes["expires"]
    if changes.get("provider_key") == before["provider_key"]:
        changes.pop("provider_key", None)
    for name in LISTS:
        if text(form, name) == ", ".join(before[name] or ()):
            del changes[name]
    await view.ask("PATCH", f"/v1/api-keys/{segment(id)}", json=changes)
    return view.render("_key.html", **await _one(view, id, done="Changed. It holds within seconds, in every worker."))


@PAGES.post("/keys/<id>/rotate", "Key", role="admin")
async def rotate(view: View, id: str) -> Response:
    """Give a key a new secret; the old one works on for so many hours."""
    hours = number(await view.form(), "grace_hours")
    wanted = {} if hours is None else {"grace_hours": hours}
    made = await view.ask("POST", f"/v1/api-keys/{segment(id)}/rotate", json=wanted)
    return view.render("_key.html", **await _one(view, id, made=made))


@PAGES.post("/keys/<id>/revoke", "Key", role="admin")
async def revoke(view: View, id: str) -> Response:
    """Refuse a key from now on."""
    await view.ask("DELETE", f"/v1/api-keys/{segment(id)}")
    return view.render("_key.html", **await _one(view, id, done="Revoked. It is refused everywhere within seconds."))


def _changes(form: Mapping[str, str]) -> dict[str, Any]:
    lists = {name: entries(form, name) or None for name in LISTS}
    changes = {
        "name": text(form, "name"),
        "owner": text(form, "owner") or None,
        "role": text(form, "role") or "member",
        "scope": text(form, "scope") or "all",
        **lists,
        "expires": text(form, "expires") or None,
    }
    if "provider_key" in form:
        changes["provider_key"] = text(form, "provider_key") or None
    return changes


async def _listed(view: View, made: Mapping[str, Any] | None = None) -> dict[str, Any]:
    rows = await view.ask("GET", "/v1/api-keys")
    words = view.args.get("words", "").strip()[:200]
    revoked = view.args.get("revoked") == "yes"
    found = [row for row in rows if _matches(row, words) and (revoked or words or row["state"] != "revoked")]
    order = {"active": 0, "expired": 1}
    found.sort(key=lambda row: (order.get(row["state"], 2), row["name"].lower()))
    hidden = sum(row["state"] == "revoked" for row in rows) if not revoked and not words else 0
    return {
        "rows": [_told(view, row) for row in found[:SHOWN]],
        "left": max(len(found) - SHOWN, 0),
        "hidden": hidden,
        "words": words,
        "made": made,
        "provider_keys": await _provider_keys(view),
    }


async def _one(view: View, id: str, *, made: Any = None, done: str = "") -> dict[str, Any]:
    rows = await view.ask("GET", "/v1/api-keys")
    found = next((row for row in rows if row["id"] == id), None)
    if found is None:
        raise Trouble(404, "There is no key of that id.")
    view.title = found["name"]
    provider_keys = await _provider_keys(view)
    own = found["provider_key"]
    if own and own not in dict(provider_keys):
        # Who saves the form must not set such a key free by the way: it is refused as long as it stands for this one.
        provider_keys.append((own, f"{own} (removed)"))
    return {
        "key": _told(view, found),
        "made": made,
        "done": done,
        "lists": LISTS,
        "expires": typed_moment(found["expires_at"]),
        "provider_keys": provider_keys,
    }


async def _provider_keys(view: View) -> list[tuple[str, str]]:
    rows = await view.ask("GET", "/v1/api-keys/provider-keys")
    return [(row["id"], f"{row['provider_key_name']} ({row['provider_name']})") for row in rows]


def _told(view: View, row: Mapping[str, Any]) -> dict[str, Any]:
    lens = Lens.read({"range": "30d"}, view.now, zone=view.zone)
    times = ("created_at", "expires_at", "revoked_at", "rotated_at", "last_used_at")
    return {
        **row,
        **{f"{name[:-3]}": None if row[name] is None else row[name] * 1000 for name in times},
        "requests": view.url("/requests", **lens.plus("key_name", "equals", row["name"])),
    }


def _matches(row: Mapping[str, Any], words: str) -> bool:
    wanted = words.lower()
    return not wanted or any(wanted in str(row[name] or "").lower() for name in ("name", "owner", "id", "prefix"))

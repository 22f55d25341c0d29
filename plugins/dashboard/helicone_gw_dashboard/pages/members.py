"""Members: the people of the organization, their roles, and what it is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from quart import Response

from helicone_gw_dashboard.forms import absent, segment, text
from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.view import View

PAGES = Pages("members")

API: Final = "/v1/admin/users"
SAYS: Final = "It knows people, by a password or an OpenID provider, and what each of them may do."
YAML: Final = """plugins:
  - security: {}
  - dashboard"""

SHOWN: Final = 500
"""Members of the list."""


@PAGES.get("/members", "Members", role="member")
async def members(view: View) -> Response:
    """The list; for administrators with all that changes it."""
    return absent(view, "security", SAYS, YAML) or view.render("members.html", **await _listed(view))


@PAGES.post("/members", "Members", role="admin")
async def add(view: View) -> Response:
    """Take somebody in: with a temporary password that is shown this once, or for an OpenID provider alone."""
    form = await view.form()
    wanted: dict[str, Any] = {
        "email": text(form, "email"),
        "role": text(form, "role") or "member",
        "generate_password": form.get("password") == "yes",
    }
    if name := text(form, "name"):
        wanted["name"] = name
    made = await view.ask("POST", API, json=wanted)
    email = made["user"]["email"]
    return view.render("_members.html", **await _listed(view, f"{email} is a member.", made["temporary_password"]))


@PAGES.post("/members/<id>/role", "Members", role="admin")
async def change(view: View, id: str) -> Response:
    """Give a member another role, which ends their sessions."""
    role = text(await view.form(), "role")
    row = await view.ask("PATCH", f"{API}/{segment(id)}", json={"role": role})
    return view.render("_members.html", **await _listed(view, f"{row['email']} is {row['role']} now."))


@PAGES.post("/members/<id>/remove", "Members", role="admin")
async def remove(view: View, id: str) -> Response:
    """Remove a member, and end their sessions."""
    row = await view.ask("DELETE", f"{API}/{segment(id)}")
    return view.render("_members.html", **await _listed(view, f"{row['email']} is removed."))


@PAGES.post("/members/organization", "Members", role="admin")
async def rename(view: View) -> Response:
    """Call the organization something else."""
    name = text(await view.form(), "name")
    own = await view.ask("GET", "/v1/organization")
    await view.ask("POST", f"/v1/organization/{segment(own[0]['id'])}/update", json={"name": name})
    return view.render("_members.html", **await _listed(view, f"The organization is called “{name}”."))


async def _listed(view: View, done: str = "", secret: str | None = None) -> Mapping[str, Any]:
    own = (await view.ask("GET", "/v1/organization"))[0]
    if view.may("admin"):
        rows = await view.ask("GET", API)
    else:
        found = await view.ask("GET", f"/v1/organization/{segment(own['id'])}/members")
        rows = [{**row, "role": row["org_role"], "name": "", "configured": None} for row in found]
    rows.sort(key=lambda row: row["email"])
    for row in rows:
        row["oneself"] = view.caller is not None and view.caller.id == f"user:{row['id']}"
    return {
        "own": own,
        "rows": rows[:SHOWN],
        "left": max(len(rows) - SHOWN, 0),
        "roles": ("viewer", "member", "admin"),
        "done": done,
        "secret": secret,
    }

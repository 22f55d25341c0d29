"""Organizations: which there are, who is in them, and making and naming them; for whoever runs the gateway."""

from __future__ import annotations

from typing import Any, Final

from quart import Response

from helicone_gw_dashboard.forms import absent, segment, text
from helicone_gw_dashboard.pages.plugins import operator
from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.trouble import Trouble
from helicone_gw_dashboard.view import View

PAGES = Pages("organizations")

API: Final = "/v1/admin/organizations"
SHOWN: Final = 500
"""Organizations of the list; a search finds the others."""

SAYS: Final = "Organizations have keys, people, logs, prompts and limits of their own, and see nothing of each other."
YAML: Final = """plugins:
  - security: {}
  - dashboard"""


@PAGES.get("/organizations", "Organizations", role="admin")
async def organizations(view: View) -> Response:
    """The list, and a form for a new one."""
    operator(view)
    return absent(view, "security", SAYS, YAML) or view.render("organizations.html", **await _listed(view))


@PAGES.post("/organizations", "Organizations", role="admin")
async def create(view: View) -> Response:
    """Make one, with whoever is to administer it."""
    operator(view)
    form = await view.form()
    wanted: dict[str, Any] = {
        "id": text(form, "id", 100),
        "name": text(form, "name", 200),
        "admin": {"email": text(form, "email", 254), "password": form.get("password", "")[:1000]},
    }
    made = await view.ask("POST", "/v1/organization/create", json=wanted)
    done = f"“{wanted['name'] or made}” is made; {wanted['admin']['email']} administers it."
    return view.render("_organizations.html", **await _listed(view, done))


@PAGES.get("/organizations/<id>", "Organization", role="admin")
async def organization(view: View, id: str) -> Response:
    """Who is in one, and a form to name it."""
    operator(view)
    return view.render("_organization.html" if view.partial else "organization.html", **await _one(view, id))


@PAGES.post("/organizations/<id>", "Organization", role="admin")
async def rename(view: View, id: str) -> Response:
    """Call one something else."""
    operator(view)
    name = text(await view.form(), "name", 200)
    await view.ask("POST", f"{API}/{segment(id)}/rename", json={"name": name})
    return view.render("_organization.html", **await _one(view, id, f"It is called “{name}”."))


async def _listed(view: View, done: str = "") -> dict[str, Any]:
    rows = await view.ask("GET", API)
    words = view.args.get("words", "").strip()[:200].lower()
    found = [row for row in rows if words in row["id"].lower() or words in row["name"].lower()]
    return {"rows": found[:SHOWN], "left": max(len(found) - SHOWN, 0), "words": words, "done": done}


async def _one(view: View, id: str, done: str = "") -> dict[str, Any]:
    found = [row for row in await view.ask("GET", API) if row["id"] == id]
    if not found:
        raise Trouble(404, "There is no such organization.")
    members = await view.ask("GET", f"{API}/{segment(id)}/members")
    view.title = found[0]["name"]
    members.sort(key=lambda row: (row["org_role"] != "admin", row["email"]))
    return {"one": found[0], "members": members[:SHOWN], "left": max(len(members) - SHOWN, 0), "done": done}

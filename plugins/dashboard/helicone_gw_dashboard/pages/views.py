"""Views: the list of requests under names, as a menu of its page shows them."""

from __future__ import annotations

from quart import Response

from helicone_gw_dashboard.api import VIEWS
from helicone_gw_dashboard.forms import segment, text
from helicone_gw_dashboard.saved import MAX_QUERY
from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.view import View

PAGES = Pages("requests")


@PAGES.get("/requests/views", "Views")
async def views(view: View) -> Response:
    """The views that the caller sees."""
    return await _listed(view)


@PAGES.post("/requests/views", "Views")
async def save(view: View) -> Response:
    """Keep the list as it is looked at, under a name."""
    form = await view.form()
    wanted = {
        "name": text(form, "name"),
        "query": text(form, "query", MAX_QUERY),
        "shared": form.get("shared") == "yes",
    }
    await view.ask("POST", VIEWS, json=wanted)
    return await _listed(view)


@PAGES.post("/requests/views/<id>/delete", "Views")
async def remove(view: View, id: str) -> Response:
    """Take a view away."""
    await view.ask("DELETE", f"{VIEWS}/{segment(id)}")
    return await _listed(view)


async def _listed(view: View) -> Response:
    return view.render("_views.html", rows=await view.ask("GET", VIEWS))

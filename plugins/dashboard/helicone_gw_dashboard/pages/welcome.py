"""Welcome: the first-run page, for whoever has a gateway and no request yet."""

from __future__ import annotations

from typing import Final

from quart import Response

from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.snippets import SDKS, snippet
from helicone_gw_dashboard.view import View

PAGES = Pages("overview")

DEMO: Final = "demo"
"""The provider, and the model, that answers by itself."""


@PAGES.get("/welcome", "Welcome")
async def welcome(view: View) -> Response:
    """What to swap in a program, and a request to try it with."""
    view.title = "Welcome"
    keyed = view.caller is not None
    snippets = [(name, title, snippet(name, view.origin, keyed=keyed)) for name, title in SDKS]
    return view.render("welcome.html", snippets=snippets, demo=DEMO in view.gateway.config.providers, lens=None)

"""Login: the page to which a browser goes that nobody knows yet."""

from __future__ import annotations

from typing import Final

from quart import Response

from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.view import View

PAGES = Pages("")

PATH: Final = "/login"

_ERRORS: Final = {
    "login_failed": "That is not right. Check what you typed.",
    "too_many_attempts": "Too many attempts. Wait a minute, and try again.",
    "login_required": "Log in first.",
}


@PAGES.get(PATH, "Log in", open=True)
async def login(view: View) -> Response:
    """A form for a password, one for a key, and links to other providers of identity, as far as each is offered."""
    session = await view.ask("GET", "/auth/session")
    methods = session["methods"]
    error = view.args.get("error", "")
    message = _ERRORS.get(error, f"That did not work ({error}).") if error else ""
    return view.render("login.html", methods=methods, message=message, next=view.args.get("next", view.site.home))

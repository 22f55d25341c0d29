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
    "password_change_required": "This password was given to you for one login. Choose one of your own.",
    "weak_password": "The new password will not do: ten characters at least, and another than the old one.",
}

_CHOOSING: Final = ("password_change_required", "weak_password")
"""What goes wrong where a new password is to be chosen."""


@PAGES.get(PATH, "Log in", open=True)
async def login(view: View) -> Response:
    """A form for a password, one for a key, and links to other providers of identity, as far as each is offered."""
    session = await view.ask("GET", "/auth/session")
    methods = session["methods"]
    error = view.args.get("error", "")
    message = _ERRORS.get(error, f"That did not work ({error}).") if error else ""
    next_ = view.args.get("next", view.site.home)
    return view.render("login.html", methods=methods, message=message, next=next_, change=error in _CHOOSING)

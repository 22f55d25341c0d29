"""Ask: what a page sends to a provider for whoever looks at it, as an exchange of theirs, without a key being typed."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from quart import Response, request

from helicone_gw import new_id
from helicone_gw_dashboard.rendering import HEADERS
from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.view import View

PAGES = Pages("playground")

_ADDRESS = re.compile(r"/[!-~]{1,2000}")
_KINDS: Final = ("application/json", "text/event-stream")
"""What an answer may be for the page to read it; all else is bytes."""
_HOW: Final = ("content-type", "accept", "origin")
_SHOWN: Final = ("helicone-", "server-timing", "retry-after", "ratelimit")


@PAGES.post("/ask", "Ask")
async def ask(view: View) -> Response:
    """Send the request's body to the address ``to`` for the caller, and its answer back as it comes.

    Only members may, and only a page of their own session's can, for whose token a change is asked. What the caller may
    use, its limits and its organization hold as for a key of its own; who asked is in the audit log.
    """
    to = view.args.get("to", "")
    if not _ADDRESS.fullmatch(to) or "#" in to:
        return _refused(400, "The address of the request is not one of a provider's.")
    headers = {name: value for name, value in _given().items() if _goes_on(name)}
    if view.caller is None:
        # Where there are no keys, it was for this page to be guarded against other sites; keys may be bound to origins.
        headers.pop("origin", None)
    id = headers["helicone-request-id"] = new_id()  # noqa: A001 - Helicone's name
    told: dict[str, Any] = {"path": to.partition("?")[0]}
    if of := headers.get("helicone-property-replay-of"):
        told["replay_of"] = of[:100]
    body: bytes = await request.get_data(as_text=False)  # type: ignore[assignment]
    await view.gateway.audit(view.caller, "provider.ask", f"request:{id}", after=told)
    called = await view.gateway.pages.call("POST", to, caller=view.caller, headers=headers, content=body)
    if not called.status:
        return _refused(502, "The gateway gave no answer; its own log says why.")
    answered = dict(called.headers)
    kind = answered.get("content-type", "")
    shown = {name: value for name, value in answered.items() if name.startswith(_SHOWN)}
    return Response(
        called.pieces(),
        called.status,
        {**HEADERS, **shown, "Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        content_type=kind if kind.partition(";")[0].strip() in _KINDS else "application/octet-stream",
    )


def _given() -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def _goes_on(name: str) -> bool:
    return name in _HOW or (name.startswith("helicone-") and name != "helicone-auth")


def _refused(status: int, message: str) -> Response:
    body = msgspec.json.encode({"error": {"message": message}})
    return Response(body, status, {**HEADERS, "Cache-Control": "no-store"}, content_type="application/json")

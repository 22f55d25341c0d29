"""Webhooks: who is told of requests, what they were sent, what could not be delivered and is to be sent again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from quart import Response

from helicone_gw_dashboard.forms import absent, number, segment, text
from helicone_gw_dashboard.listing import offset
from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.trouble import Trouble
from helicone_gw_dashboard.view import View

PAGES = Pages("webhooks")

API: Final = "/v1/webhooks"
LETTERS: Final = 50
"""Dead letters of one part of the list."""

SAYS: Final = "It tells receivers of every request, or of some, with a signature by which they know who tells."
YAML: Final = """plugins:
  - logging
  - alerts: {}
  - dashboard"""


@PAGES.get("/webhooks", "Webhooks")
async def webhooks(view: View) -> Response:
    """The list, a form for a new one, and what could not be delivered; with ``offset`` further ones of those."""
    if (missing := absent(view, "alerts", SAYS, YAML)) is not None:
        return missing
    if view.partial and "offset" in view.args:
        return view.render("_letters.html", **await _letters(view, offset(view)))
    return view.render("webhooks.html", **await _listed(view))


@PAGES.post("/webhooks", "Webhooks")
async def create(view: View) -> Response:
    """Make a webhook: the one time that its key is shown."""
    made = await view.ask("POST", API, json=_wanted(await view.form()))
    return view.render("_webhooks.html", **await _listed(view, "The webhook is made.", secret=made["hmac_key"]))


@PAGES.get("/webhooks/<id>", "Webhook")
async def webhook(view: View, id: str) -> Response:
    """One webhook: a form that changes it, and what it was sent."""
    return view.render("_webhook.html" if view.partial else "webhook.html", **await _one(view, id))


@PAGES.post("/webhooks/<id>", "Webhook")
async def change(view: View, id: str) -> Response:
    """Change where it goes, and what it is sent."""
    await view.ask("PATCH", f"{API}/{segment(id)}", json=_wanted(await view.form()))
    return view.render("_webhook.html", **await _one(view, id, "Changed. Its key is the same."))


@PAGES.post("/webhooks/<id>/test", "Webhook")
async def test(view: View, id: str) -> Response:
    """Send it a request that never was, now."""
    told = await view.ask("POST", f"{API}/{segment(id)}/test")
    done = "The receiver took it." if told["delivered"] else f"Not delivered: {told['error']}"
    return view.render("_webhook.html", **await _one(view, id, done, good=told["delivered"]))


@PAGES.post("/webhooks/<id>/replay", "Webhook")
async def replay_all(view: View, id: str) -> Response:
    """Send again all that this one could not be told."""
    done = await view.ask("POST", f"{API}/dead-letters/replay", json={"target": id})
    return view.render("_webhook.html", **await _one(view, id, _again(done["replayed"])))


@PAGES.post("/webhooks/<id>/delete", "Webhook")
async def delete(view: View, id: str) -> Response:
    """Delete one, with all that waits for it."""
    await view.ask("DELETE", f"{API}/{segment(id)}")
    return view.go(view.url("/webhooks"))


@PAGES.post("/webhooks/letters/replay", "Webhooks")
async def replay(view: View) -> Response:
    """Send a dead letter again, or without ``id`` all of them."""
    one = text(await view.form(), "id", 100)
    done = await view.ask("POST", f"{API}/dead-letters/replay", json={"ids": [one]} if one else {})
    return view.render("_webhooks.html", **await _listed(view, _again(done["replayed"])))


def _again(count: int) -> str:
    return f"{count:,} {'is' if count == 1 else 'are'} being sent again."


def _wanted(form: Mapping[str, str]) -> dict[str, Any]:
    rate = number(form, "rate")
    return {
        "destination": text(form, "destination", 2000),
        "config": {"sampleRate": 100 if rate is None else rate, "propertyFilters": _properties(form)},
        "includeData": form.get("facts") == "yes",
    }


def _properties(form: Mapping[str, str]) -> list[dict[str, str]]:
    """What a line each says: ``name: value``. Raises `Trouble` (400) for one that does not."""
    found = []
    for line in text(form, "properties").splitlines():
        name, colon, value = line.partition(":")
        if not line.strip():
            continue
        if not colon or not name.strip():
            raise Trouble(400, "A property is written as its name, a colon and its value.")
        found.append({"key": name.strip(), "value": value.strip()})
    return found


async def _listed(view: View, done: str = "", *, secret: str = "") -> dict[str, Any]:
    rows = await view.ask("GET", API)
    return {"rows": [_told(row) for row in rows], "done": done, "secret": secret, **await _letters(view, 0)}


async def _letters(view: View, begin: int) -> dict[str, Any]:
    asked = {"limit": str(LETTERS), "offset": str(begin)}
    letters = await view.ask("GET", f"{API}/dead-letters", params=asked)
    return {"letters": letters, "more": begin + LETTERS if len(letters) == LETTERS else None}


async def _one(view: View, id: str, done: str = "", *, good: bool = True) -> dict[str, Any]:
    found = [row for row in await view.ask("GET", API) if row["id"] == id]
    if not found:
        raise Trouble(404, "There is no such webhook.")
    deliveries = await view.ask("GET", f"{API}/{segment(id)}/deliveries")
    view.title = found[0]["destination"]
    return {"hook": _told(found[0]), "deliveries": deliveries, "done": done, "good": good}


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    """A webhook as it is shown: never with its key, which is in the one answer that makes it."""
    config = row["config"]
    filters = [f"{each['key']}: {each['value']}" for each in config["propertyFilters"]]
    return {
        **{name: row[name] for name in ("id", "destination", "created_at", "pending", "dead")},
        "rate": f"{config['sampleRate']:g}",
        "properties": filters,
        "facts": config["includeData"],
    }

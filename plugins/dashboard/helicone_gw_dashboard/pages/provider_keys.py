"""Provider keys: those that the gateway keeps, encrypted, for its organization; written, replaced, never shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from quart import Response

from helicone_gw_dashboard.forms import absent, segment, text
from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.view import View

PAGES = Pages("provider-keys")

SAYS: Final = "It keeps providers' keys encrypted in the database, so that no client and no configuration holds them."
YAML: Final = """plugins:
  - security:
      encryption_keys: ["${GATEWAY_ENCRYPTION_KEY}"]"""

API: Final = "/v1/api-keys/provider-key"


@PAGES.get("/provider-keys", "Provider keys", role="admin")
async def provider_keys(view: View) -> Response:
    """The list, and a form for a new one."""
    missing = absent(view, "security", SAYS, YAML)
    return missing or view.render("provider_keys.html", **await _listed(view))


@PAGES.post("/provider-keys", "Provider keys", role="admin")
async def add(view: View) -> Response:
    """Keep a key."""
    form = await view.form()
    wanted = {
        "providerName": text(form, "provider"),
        "providerKeyName": text(form, "name"),
        "providerKey": text(form, "secret"),
        "shared": form.get("shared") == "yes",
    }
    await view.ask("POST", API, json=wanted)
    return view.render("_provider_keys.html", **await _listed(view, f"“{wanted['providerKeyName']}” is kept."))


@PAGES.post("/provider-keys/<id>/replace", "Provider keys", role="admin")
async def replace(view: View, id: str) -> Response:
    """Put another secret in the place of the one that is kept."""
    secret = text(await view.form(), "secret")
    row = await view.ask("PATCH", f"{API}/{segment(id)}", json={"providerKey": secret})
    return view.render("_provider_keys.html", **await _listed(view, f"“{row['provider_key_name']}” is replaced."))


@PAGES.post("/provider-keys/<id>/remove", "Provider keys", role="admin")
async def remove(view: View, id: str) -> Response:
    """Forget a key."""
    row = await view.ask("DELETE", f"{API}/{segment(id)}")
    return view.render("_provider_keys.html", **await _listed(view, f"“{row['provider_key_name']}” is removed."))


async def _listed(view: View, done: str = "") -> Mapping[str, Any]:
    rows = await view.ask("GET", "/v1/api-keys/provider-keys")
    return {"rows": rows, "done": done, "providers": sorted(view.gateway.config.providers)}

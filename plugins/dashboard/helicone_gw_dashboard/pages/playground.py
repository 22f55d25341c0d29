"""Playground: a conversation with any model, streamed through the gateway as every client's requests are."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from quart import Response

from helicone_gw_dashboard.drafting import EMPTY, Draft, draft, translated, variables
from helicone_gw_dashboard.formatting import pretty
from helicone_gw_dashboard.forms import segment
from helicone_gw_dashboard.model_names import known_models
from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.view import Trouble, View

PAGES = Pages("playground")

PATH: Final = "/v1/chat/completions"
"""Where the playground asks; whatever dialect a provider speaks, the gateway translates."""
PROMPTS: Final = "/v2/prompt-2025/query"


@PAGES.get("/playground", "Playground")
async def playground(view: View) -> Response:
    """An empty draft, that of a logged ``request``, or that of a ``version`` of a ``prompt``."""
    found: Draft = EMPTY
    prompt: dict[str, Any] | None = None
    values: Mapping[str, Any] = {}
    source = view.args.get("request", "")
    if source:
        logged = await view.ask("GET", f"/v1/request/{segment(source)}", params={"includeBody": "true"})
        body = logged["request_body"]
        prompt = await _named(view, body)
        if prompt is None:
            found = await asyncio.to_thread(translated, body)
        elif isinstance(body.get("inputs"), Mapping):
            values = body["inputs"]
    elif named := view.args.get("version", ""):
        prompt = await view.ask("POST", f"{PROMPTS}/version", json={"promptVersionId": named})
    if prompt is not None:
        found = draft(prompt["prompt_body"])
    types = {} if prompt is None else variables(prompt["prompt_body"])
    return await view.render_aside(
        "playground.html",
        draft=found,
        prompt=prompt,
        inputs=[(name, kind, pretty(values.get(name, ""))) for name, kind in types.items()],
        source=source,
        path=PATH,
        models=await known_models(view),
    )


async def _named(view: View, body: Any) -> dict[str, Any] | None:
    """The version that a logged request named and said nothing beside; ``None`` where it named none that there is."""
    if not isinstance(body, Mapping) or body.get("messages") or not (body.get("prompt_id") or body.get("version_id")):
        return None
    if environment := body.get("environment"):
        kind, wanted = "environment-version", {"promptId": body.get("prompt_id"), "environment": environment}
    elif version := body.get("version_id"):
        kind, wanted = "version", {"promptVersionId": version}
    else:
        kind, wanted = "production-version", {"promptId": body["prompt_id"]}
    try:
        found: dict[str, Any] = await view.ask("POST", f"{PROMPTS}/{kind}", json=wanted)
    except Trouble:
        return None  # it is deleted, or was never there
    return found

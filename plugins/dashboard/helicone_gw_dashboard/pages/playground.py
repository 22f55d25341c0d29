"""Playground: a conversation with any model, streamed through the gateway as every client's requests are."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from quart import Response

from helicone_gw_dashboard.drafting import EMPTY, Draft, draft, translated, variables
from helicone_gw_dashboard.forms import segment
from helicone_gw_dashboard.model_names import known_models
from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.view import View

PAGES = Pages("playground")

PATH: Final = "/v1/chat/completions"
"""Where the playground asks; whatever dialect a provider speaks, the gateway translates."""


@PAGES.get("/playground", "Playground")
async def playground(view: View) -> Response:
    """An empty draft, that of a logged ``request``, or that of a ``version`` of a ``prompt``."""
    found: Draft = EMPTY
    prompt: dict[str, Any] | None = None
    inputs: dict[str, str] = {}
    source = view.args.get("request", "")
    if source:
        logged = await view.ask("GET", f"/v1/request/{segment(source)}", params={"includeBody": "true"})
        found = await asyncio.to_thread(translated, logged["request_body"])
    elif named := view.args.get("version", ""):
        prompt = await view.ask("POST", "/v2/prompt-2025/query/version", json={"promptVersionId": named})
        found, inputs = draft(prompt["prompt_body"]), variables(prompt["prompt_body"])
    return view.render(
        "playground.html",
        draft=found,
        prompt=prompt,
        inputs=inputs,
        source=source,
        path=PATH,
        keyed=view.caller is not None,
        models=await known_models(view),
    )

"""Prompts: kept, versioned, put into environments; edited, told apart, and compared by what the log says of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from quart import Response
from werkzeug.datastructures import MultiDict

from helicone_gw_dashboard.drafting import EMPTY, body_of, differences, draft, variables
from helicone_gw_dashboard.forms import absent, entries, segment, text
from helicone_gw_dashboard.lens import RANGES
from helicone_gw_dashboard.listing import offset
from helicone_gw_dashboard.model_names import known_models
from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.view import Trouble, View

PAGES = Pages("prompts")

API: Final = "/v1/prompt-2025"
WHOLE: Final = "/v2/prompt-2025"
"""Where a version comes with its body."""

LIMIT: Final = 50
"""Prompts of one part of the list."""
VERSIONS: Final = 200
"""Versions of a prompt that are shown, the newest."""

SAYS: Final = "It keeps prompts, with versions and environments, and fills them in for requests that name one."
YAML: Final = """plugins:
  - logging
  - security
  - prompts        # inside logging and security; outside cache and router
  - cache
  - router"""


@PAGES.get("/prompts", "Prompts")
async def prompts(view: View) -> Response:
    """The list, or with ``offset`` a further part of it; and a form for a new one."""
    if (missing := absent(view, "prompts", SAYS, YAML)) is not None:
        return missing
    words, tag, begin = view.args.get("words", "").strip()[:255], view.args.get("tag", "")[:100], offset(view)
    question = {"search": words, "tagsFilter": [tag] if tag else [], "page": begin // LIMIT, "pageSize": LIMIT}
    rows = await view.ask("POST", f"{API}/query", json=question)
    more = {"words": words, "tag": tag, "offset": begin + LIMIT} if len(rows) == LIMIT else None
    values = {"rows": rows, "more": more, "words": words, "tag": tag}
    if view.partial:
        return view.render("_prompts.html", **values)
    tags = await view.ask("GET", f"{API}/tags")
    return view.render("prompts.html", **values, tags=tags[:100], draft=EMPTY, models=await known_models(view))


@PAGES.post("/prompts", "Prompts")
async def create(view: View) -> Response:
    """Make a prompt; its first version is in production."""
    form = await _form(view)
    wanted = {"name": text(form, "name"), "tags": entries(form, "tags"), "promptBody": body_of(form)}
    made = await view.ask("POST", API, json=wanted)
    return view.go(view.url(f"/prompts/{made['id']}"))


@PAGES.get("/prompts/<id>", "Prompt")
async def prompt(view: View, id: str) -> Response:
    """One prompt: its versions and what they came to in a period."""
    if (missing := absent(view, "prompts", SAYS, YAML)) is not None:
        return missing
    lens = view.lens("30d")
    return view.render("prompt.html", **await _prompt(view, id), lens=lens, ranges=RANGES)


@PAGES.get("/prompts/<id>/compare", "Prompt")
async def compare(view: View, id: str) -> Response:
    """Requests, cost, latency and scores of each version: a part of the page for which the rest need not wait."""
    lens = view.lens("30d")
    question = {"promptId": id, "since": lens.start, "until": lens.end}
    rows = await view.ask("POST", f"{API}/query/compare", json=question)
    rows.sort(key=lambda row: (row["major_version"], row["minor_version"]), reverse=True)
    names = sorted({name for row in rows for name in row["scores"]})
    return view.render("_compared.html", rows=[row for row in rows if row["requests"]], names=names[:12], id=id)


@PAGES.get("/prompts/<id>/diff", "Prompt")
async def diff(view: View, id: str) -> Response:
    """What is different in the version ``to`` from the version ``from``."""
    before, after = await asyncio.gather(*(_version(view, id, view.args.get(name, "")) for name in ("from", "to")))
    found = await asyncio.to_thread(lambda: list(differences(before["prompt_body"], after["prompt_body"])))
    view.title = "What changed"
    template = "_diff.html" if view.partial else "diff.html"
    return await view.render_aside(template, id=id, before=before, after=after, lines=found)


@PAGES.get("/prompts/<id>/versions/<version>", "Version")
async def version(view: View, id: str, version: str) -> Response:
    """One version, in an editor: what is saved becomes a further version."""
    found = await _version(view, id, version)
    about = await view.ask("GET", f"{API}/id/{segment(id)}")
    view.title = about["name"]
    return await view.render_aside(
        "version.html",
        prompt=about,
        version=found,
        draft=draft(found["prompt_body"]),
        variables=variables(found["prompt_body"]),
        models=await known_models(view),
    )


@PAGES.post("/prompts/<id>/versions/<version>", "Version")
async def update(view: View, id: str, version: str) -> Response:
    """Save a further version that follows ``version``."""
    form = await _form(view)
    environment = text(form, "environment")
    wanted = {
        "promptId": id,
        "promptVersionId": version,
        "promptBody": body_of(form),
        "newMajorVersion": form.get("major") == "yes",
        "commitMessage": text(form, "message"),
        **({"environment": environment} if environment else {}),
    }
    await view.ask("POST", f"{API}/update", json=wanted)
    return view.go(view.url(f"/prompts/{id}"))


@PAGES.post("/prompts/<id>/environment", "Prompt")
async def place(view: View, id: str) -> Response:
    """Put a version into an environment, or with ``leave`` take it out."""
    form = await view.form()
    named = text(form, "environment")
    wanted = {"promptId": id, "promptVersionId": text(form, "version"), "environment": named}
    await view.ask("POST", f"{API}/{'remove' if form.get('leave') == 'yes' else 'update'}/environment", json=wanted)
    return view.render("_versions.html", **await _prompt(view, id))


@PAGES.post("/prompts/<id>/versions/<version>/delete", "Prompt")
async def delete_version(view: View, id: str, version: str) -> Response:
    """Delete a version that no environment is at."""
    await view.ask("DELETE", f"{API}/{segment(id)}/{segment(version)}")
    return view.render("_versions.html", **await _prompt(view, id))


@PAGES.post("/prompts/<id>/about", "Prompt")
async def about(view: View, id: str) -> Response:
    """Another name, other tags."""
    form = await view.form()
    await view.ask("PATCH", f"{API}/id/{segment(id)}/tags", json={"tags": entries(form, "tags")})
    await view.ask("POST", f"{API}/id/{segment(id)}/rename", json={"name": text(form, "name")})
    return view.go(view.url(f"/prompts/{id}"))


@PAGES.post("/prompts/<id>/delete", "Prompt")
async def delete(view: View, id: str) -> Response:
    """Delete a prompt with all of its versions."""
    await view.ask("DELETE", f"{API}/{segment(id)}")
    return view.go(view.url("/prompts"))


async def _form(view: View) -> MultiDict[str, str]:
    form = await view.form()
    assert isinstance(form, MultiDict)
    return form


async def _prompt(view: View, id: str) -> Mapping[str, Any]:
    about = await view.ask("GET", f"{API}/id/{segment(id)}")
    rows = await view.ask("POST", f"{API}/query/versions", json={"promptId": id})
    rows.sort(key=lambda row: (row["major_version"], row["minor_version"]), reverse=True)
    for row, before in zip(rows, [*rows[1:], None], strict=True):
        row["before"] = None if before is None else before["id"]
    environments = await view.ask("GET", f"{API}/environments")
    known = sorted({"production", "staging", "development", *environments})
    view.title = about["name"]
    return {"prompt": about, "versions": rows[:VERSIONS], "left": len(rows[VERSIONS:]), "environments": known}


async def _version(view: View, id: str, version: str) -> dict[str, Any]:
    found: dict[str, Any] = await view.ask("POST", f"{WHOLE}/query/version", json={"promptVersionId": version})
    if found["prompt_id"] != id:
        raise Trouble(404, "The prompt has no such version.")
    return found

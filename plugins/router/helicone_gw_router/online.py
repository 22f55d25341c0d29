"""Web search: ``:online`` after a model's name, and the plugin ``web`` in a body, in the words of each dialect."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from helicone_gw import MalformedBody

if TYPE_CHECKING:
    from helicone_gw import Request

PLUGIN = "web"

_TOOLS: dict[str, dict[str, Any]] = {
    "responses": {"type": "web_search"},
    "messages": {"type": "web_search_20250305", "name": "web_search"},
    "generate_content": {"google_search": {}},
    "stream_generate_content": {"google_search": {}},
}


def has_plugins(request: Request) -> bool:
    """Whether a chat may list plugins, as Helicone and OpenRouter have them and no other provider's API."""
    return request.operation == "chat" and b'"plugins"' in (request.body or b"")


def with_search(request: Request, *, as_plugin: bool, online: bool = True) -> Request:
    """``request`` with web search asked for, if its model is ``online`` or it lists the plugin, once.

    ``as_plugin``: the way of OpenRouter, a plugin in the body; otherwise the tool of the request's own dialect, and no
    plugins any more.
    """
    if not request.body:
        return request
    try:
        body = request.json()
    except MalformedBody:
        return request
    if not isinstance(body, dict):
        return request
    changed = dict(body)
    plugins = _objects(body.get("plugins"))
    listed = any(each.get("id") == PLUGIN for each in plugins)
    if as_plugin:
        if online and not listed:
            changed["plugins"] = [*plugins, {"id": PLUGIN}]
    else:
        # A field of OpenRouter's: others would refuse it.
        changed.pop("plugins", None)
        if not (online or listed):
            pass
        elif request.operation == "chat":
            changed.setdefault("web_search_options", {})
        elif (tool := _TOOLS.get(request.operation)) is not None:
            tools = _objects(body.get("tools"))
            if not any(_same(each, tool) for each in tools):
                changed["tools"] = [*tools, tool]
    if changed == body:
        return request
    return request.replace(body=json.dumps(changed, ensure_ascii=False, separators=(",", ":")).encode())


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _same(tool: dict[str, Any], wanted: dict[str, Any]) -> bool:
    kind = str(tool.get("type", ""))
    return tool.keys() & {"google_search"} != set() or (kind.startswith("web_search") and "type" in wanted)

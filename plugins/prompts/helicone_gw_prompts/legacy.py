"""Legacy templates: inputs that a client marked in its own request, taken out of what goes on and kept for the log.

``<helicone-prompt-input key="name">value</helicone-prompt-input>`` in any text of the body, as ``hpf`` of Helicone's
``@helicone/prompts`` writes it, and ``<helicone-prompt-static>...</helicone-prompt-static>``.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

MARK = b"helicone-prompt-"
"""What a body without any such tag does not hold, however its JSON is escaped."""

MAX_INPUTS = 1000
"""Most inputs of one request; the tags of further ones are removed, too."""

_OPENED = re.compile(r'<helicone-prompt-input\s*key="([^"]*)"\s*>')
_CLOSED = re.compile(r"</\s*helicone-prompt-input\s*>")
_STATIC_OPENED, _STATIC_CLOSED = "<helicone-prompt-static>", "</helicone-prompt-static>"
_LISTS = ("messages", "input", "contents")


class Marked(Struct, frozen=True):
    """A request that was marked.

    ``body`` is what goes on, ``template`` the same with its inputs' values blanked
    (``<helicone-prompt-input key="name" />``) and its messages without inputs replaced by
    ``<helicone-auto-prompt-input idx=0 />``, which are in ``auto_inputs``.
    """

    body: Any
    template: Any
    inputs: dict[str, str]
    auto_inputs: list[Any]


def read_marks(body: Any) -> Marked:
    """``body`` (decoded JSON), its tags removed, with what they said."""
    inputs: dict[str, str] = {}
    auto: list[Any] = []
    plain, template = _walked(body, inputs)
    if isinstance(body, dict) and isinstance(template, dict):
        for name in _LISTS:
            if isinstance(body.get(name), list):
                template[name] = [
                    _auto(was, auto) if is_ == was and isinstance(was, dict) else is_
                    for was, is_ in zip(body[name], template[name], strict=True)
                ]
    return Marked(plain, template, inputs, auto)


def _auto(message: dict[str, Any], auto: list[Any]) -> Any:
    """The mark of a message that nobody marked."""
    if _holds_static(message):
        return message
    auto.append(message)
    return f"<helicone-auto-prompt-input idx={len(auto) - 1} />"


def _holds_static(value: Any) -> bool:
    if isinstance(value, str):
        return _STATIC_OPENED in value
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_holds_static(item) for item in items)


def _walked(value: Any, inputs: dict[str, str]) -> tuple[Any, Any]:
    """``value`` without tags, and as a template."""
    if isinstance(value, str):
        if "<helicone-prompt-" not in value:
            return value, value
        return _taken_out(value, inputs)
    if isinstance(value, list):
        pairs = [_walked(item, inputs) for item in value]
        return [plain for plain, _ in pairs], [template for _, template in pairs]
    if isinstance(value, dict):
        both = {name: _walked(item, inputs) for name, item in value.items()}
        return {name: plain for name, (plain, _) in both.items()}, {name: made for name, (_, made) in both.items()}
    return value, value


def _taken_out(text: str, inputs: dict[str, str]) -> tuple[str, str]:
    """``text`` without tags, and as a template. An opening tag that nothing closes is text."""
    plain: list[str] = []
    template: list[str] = []
    at = 0
    # Each closing tag is looked for once, from where the opening one ends: a text of opening tags alone stays cheap.
    while (opened := _OPENED.search(text, at)) and (closed := _CLOSED.search(text, opened.end())):
        before, value = text[at : opened.start()], text[opened.end() : closed.start()]
        plain += (before, value)
        template += (before, f'<helicone-prompt-input key="{opened[1]}" />')
        if len(inputs) < MAX_INPUTS:
            inputs[opened[1]] = value.strip()
        at = closed.end()
    plain.append(text[at:])
    template.append(text[at:])
    return _without_static("".join(plain)), "".join(template)


def _without_static(text: str) -> str:
    pieces: list[str] = []
    at = 0
    while (start := text.find(_STATIC_OPENED, at)) >= 0:
        inside = start + len(_STATIC_OPENED)
        end = text.find(_STATIC_CLOSED, inside)
        if end < 0:
            break
        pieces += (text[at:start], text[inside:end])
        at = end + len(_STATIC_CLOSED)
    pieces.append(text[at:])
    return "".join(pieces)

"""Bodies: what a prompt may be (a chat completion's body), and where in it templates are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from helicone_gw_prompts.template import TemplateError, parse

SELECTING = ("prompt_id", "version_id", "environment", "inputs")
"""The fields of a request that choose a prompt and fill it in; none of them is a provider's."""

_DEEPEST = 64
_PREFIX = "helicone-"


class BodyError(ValueError):
    """Something in a prompt's body is not as it must be; ``path`` is the keys and indexes that lead there.

    ``template`` is set where it is a tag.
    """

    def __init__(self, path: Sequence[str | int], message: str, template: TemplateError | None = None) -> None:
        super().__init__(message)
        self.path = tuple(path)
        self.message = message
        self.template = template

    def __str__(self) -> str:
        place = dotted(self.path)
        if self.template is not None:
            place = f"{place}: line {self.template.line}, column {self.template.column}"
        return f"{place}: {self.message}"


def dotted(path: Sequence[str | int]) -> str:
    """A path for people.

    >>> dotted(("messages", 0, "content"))
    'messages[0].content'
    """
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text or "the prompt"


def check_body(body: Any, max_size: int) -> dict[str, Any]:
    """``body`` if it may be a prompt's. Raises `BodyError` for the first thing that is wrong.

    It is the body of a chat completion; ``messages`` may be left out, and so may ``model``.
    """
    if not isinstance(body, dict):
        raise BodyError((), "not an object: a prompt is the body of a chat completion")
    _check_depth(body, _DEEPEST, ())
    try:
        size = len(msgspec.json.encode(body))
    except (TypeError, RecursionError, ValueError):
        raise BodyError((), "holds something that JSON has not") from None
    if size > max_size:
        raise BodyError((), f"too large: {size:,} bytes, and at most {max_size:,} are kept")
    model = body.get("model")
    if model is not None and (not isinstance(model, str) or "\0" in model):
        raise BodyError(("model",), "not a text")
    for name, expected in (("messages", list), ("tools", list)):
        if body.get(name) is not None and not isinstance(body[name], expected):
            raise BodyError((name,), "not a list")
        for index, item in enumerate(body.get(name) or ()):
            if not isinstance(item, dict):
                raise BodyError((name, index), "not an object")
    for index, message in enumerate(body.get("messages") or ()):
        _check_message(message, index)
    metadata = body.get("metadata")
    if isinstance(metadata, dict):
        for name in metadata:
            if name.lower().startswith(_PREFIX):
                raise BodyError(("metadata", name), "Helicone's headers are a request's, not a prompt's")
    for path, text in texts(body):
        try:
            parse(text)
        except TemplateError as problem:
            raise BodyError(path, problem.message, problem) from None
    return body


def texts(body: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every text of ``body`` that is a template, with its path; of an object's keys, the path of what they hold."""
    for index, message in enumerate(body.get("messages") or ()):
        content = message.get("content")
        if isinstance(content, str):
            yield ("messages", index, "content"), content
        elif isinstance(content, list):
            for number, part in enumerate(content):
                if isinstance(part, dict) and isinstance(part.get("text"), str):
                    yield ("messages", index, "content", number, "text"), part["text"]
    for name in ("response_format", "tools"):
        yield from _json_texts(body.get(name), (name,))


def _json_texts(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _json_texts(item, (*path, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield (*path, key), key
            yield from _json_texts(item, (*path, key))


def _check_message(message: dict[str, Any], index: int) -> None:
    if not isinstance(message.get("role"), str) or not message["role"]:
        raise BodyError(("messages", index, "role"), "not a text such as system, user or assistant")
    content = message.get("content")
    if content is not None and not isinstance(content, (str, list)):
        raise BodyError(("messages", index, "content"), "neither a text nor a list of parts")
    for number, part in enumerate(content if isinstance(content, list) else ()):
        if not isinstance(part, dict):
            raise BodyError(("messages", index, "content", number), "not an object")


def _check_depth(value: Any, left: int, path: tuple[str | int, ...]) -> None:
    if isinstance(value, (dict, list)):
        if not left:
            raise BodyError(path[:4], f"nested more than {_DEEPEST} levels deep")
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            if not isinstance(key, (str, int)):
                raise BodyError(path, "has a key that is no text")
            _check_depth(item, left - 1, (*path, key))

"""Reading envelopes: typed decoding of the few members that routing needs, and words for what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from helicone_gw.dialects._json import count, describe, mapping, read_body
from helicone_gw.dialects.splice import elements, last, members, remove_members, set_member
from helicone_gw.errors import MalformedBody

T = TypeVar("T")

_TYPES: tuple[tuple[tuple[str, ...], type, str], ...] = (
    (("model",), str, "a string"),
    (("stream",), bool, "true or false"),
    (("user",), str, "a string"),
    (("metadata",), dict, "an object"),
    (("stream_options",), dict, "an object"),
    (("stream_options", "include_usage"), bool, "true or false"),
)


class ModelMember(msgspec.Struct):
    """The text of ``model``, empty when there is none."""

    model: msgspec.Raw = msgspec.Raw()


_MODEL = msgspec.json.Decoder(ModelMember)


def read_fields(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """The body as the decoder's struct. Raises `MalformedBody`, naming the field that is wrong and what was given."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError:
        raise _explained(read_body(body)) from None
    except (ValueError, RecursionError):
        # Perhaps only stricter than other parsers (a lone surrogate): then the body is the provider's to judge.
        value = read_body(body)
    try:
        return msgspec.convert(value, decoder.type)
    except msgspec.ValidationError:
        raise _explained(value) from None


def largest(*values: Any) -> int | None:
    """The largest whole number among ``values``; anything else is the provider's to complain about."""
    found: int | None = None
    for value in values:
        if value is not None and (number := count(value)) is not None and (found is None or number > found):
            found = number
    return found


def with_model(body: bytes, model: str) -> bytes:
    """The body with its top-level ``model`` set."""
    try:
        current: bytes | None = bytes(_MODEL.decode(body).model) or None
    except (ValueError, RecursionError):
        current = b""
    return set_member(body, "model", msgspec.json.encode(model), current)


def without_metadata(body: bytes, names: frozenset[str]) -> bytes:
    """The body without these keys of its top-level ``metadata``; see `WireFormat.without_metadata`."""
    fields = [member for member in members(body) if member.name == "metadata"]
    cleaned = body
    for member in reversed(fields):
        if body[member.value : member.value + 1] == b"{":
            cleaned = remove_members(cleaned, names, member.value)
    if len(cleaned) == len(body):
        return body
    remaining = last(members(cleaned), "metadata")
    if remaining is not None and cleaned[remaining.value : remaining.value + 1] == b"{":
        left = members(cleaned, remaining.value)
        if not left:
            return remove_members(cleaned, {"metadata"})
    return cleaned


def with_nested_models(body: bytes, model: str, path: tuple[str, ...]) -> bytes:
    """The body with every string ``model`` at ``path`` set, an array on the way meaning each of its elements.

    A prefix that the present name has (``models/``) is kept. A body without a model there stays as it is: the address
    names it.
    """
    edits: list[tuple[int, int, bytes]] = []
    _find_models(body, 0, path, model, edits)
    for start, end, value in sorted(edits, reverse=True):
        body = body[:start] + value + body[end:]
    return body


def _find_models(body: bytes, at: int, path: tuple[str, ...], model: str, edits: list[tuple[int, int, bytes]]) -> None:
    found = last(members(body, at), path[0])
    if found is None:
        return
    kind = body[found.value : found.value + 1]
    if len(path) == 1:
        if kind == b'"':
            prefix = "models/" if body.startswith(b'"models/', found.value) and not model.startswith("models/") else ""
            edits.append((found.value, found.end, msgspec.json.encode(prefix + model)))
    elif kind == b"{":
        _find_models(body, found.value, path[1:], model, edits)
    elif kind == b"[":
        for start, _ in elements(body, found.value):
            if body[start : start + 1] == b"{":
                _find_models(body, start, path[1:], model, edits)


def _explained(value: Mapping[str, Any]) -> MalformedBody:
    for path, expected, words in _TYPES:
        given: Any = value
        for name in path[:-1]:
            given = mapping(given.get(name))
        given = given.get(path[-1])
        if given is not None and not isinstance(given, expected):
            field = ".".join(path)
            return MalformedBody(f"The field {field!r} of the request body must be {words}, not {describe(given)}.")
    return MalformedBody("The request body has a field of the wrong type.")

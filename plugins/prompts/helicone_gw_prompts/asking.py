"""Asking: what a request says of the prompt that it wants, read without decoding the rest of its body."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from helicone_gw import BadRequest, Request
from helicone_gw_prompts.merging import MESSAGES

_MAX_TEXT = 255
_OTHERS = frozenset(
    {"completions", "embeddings", "moderations", "rerank", "embed_content", "batch_embed_contents", "count_tokens"}
)
"""Operations for which a prompt is refused."""


class _Fields(Struct):
    prompt_id: Any | UnsetType = UNSET
    version_id: Any | UnsetType = UNSET
    environment: Any | UnsetType = UNSET
    inputs: Any | UnsetType = UNSET


_FIELDS = msgspec.json.Decoder(_Fields)
_NOTHING = _Fields()


class Asked(Struct, frozen=True):
    """What a request says. Neither ``prompt`` nor ``version``: it only names fields that no provider knows."""

    prompt: str | None
    version: str | None
    environment: str | None
    inputs: dict[str, Any]


def asked(request: Request) -> Asked | None:
    """What ``request`` says of a prompt; ``None`` if nothing, or if it is none that prompts are for.

    Raises `BadRequest` for a field of the wrong type, and for a prompt where none can be used.
    """
    if request.body is None or request.helicone.gateway_body_mapping == "NO_MAPPING":
        return None
    usable = (request.dialect, request.operation) in MESSAGES
    if not usable and request.operation not in _OTHERS:
        return None
    try:
        # Four fields out of a body, the rest passed over: that takes half as long as a search for their names would.
        fields = _FIELDS.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if fields == _NOTHING:
        return None
    prompt, version = _text(fields, "prompt_id"), _text(fields, "version_id")
    if not usable:
        if prompt is not None:
            raise BadRequest(f"Prompts cannot be used for {request.operation!r}.", code="prompt_not_supported")
        return None
    if prompt is None and version is None:
        return _left_over(request, fields)
    environment = _text(fields, "environment")
    if environment is not None and prompt is None:
        raise BadRequest("`environment` needs a `prompt_id`.", code="invalid_prompt")
    inputs = fields.inputs
    if inputs is UNSET or inputs is None:
        inputs = {}
    if not isinstance(inputs, dict):
        raise BadRequest("`inputs` must be an object: the variables' names and values.", code="invalid_prompt")
    return Asked(prompt, version, environment, inputs)


def _left_over(request: Request, fields: _Fields) -> Asked | None:
    """An `Asked` for nothing, if there is something to take out: empty ids, and what a prompt would be filled with.

    The latter two are Helicone's in chats alone; other dialects may have fields of these names.
    """
    chat = request.operation == "chat"
    names = ("prompt_id", "version_id", "inputs", "environment") if chat else ("prompt_id", "version_id")
    if all(getattr(fields, name) is UNSET for name in names):
        return None
    return Asked(None, None, None, {})


def _text(fields: _Fields, name: str) -> str | None:
    value = getattr(fields, name)
    if value is UNSET or value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > _MAX_TEXT or "\0" in value:
        raise BadRequest(f"`{name}` must be a text of at most {_MAX_TEXT} characters.", code="invalid_prompt")
    return value

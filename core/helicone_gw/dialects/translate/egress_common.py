"""What writers of providers' dialects have in common: losses by field, ranges, arguments as objects, merged turns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from helicone_gw.dialects.translate.conversation import (
    ConversationRequest,
    Message,
    Part,
    Role,
    Text,
    ToolCall,
)
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.vectors import EmbeddingsRequest
from helicone_gw.errors import BadRequest

_NAMES = {
    "reasoning": "reasoning_effort",
    "top_logprobs": "logprobs",
    "web_search": "web_search_options",
}
"""Fields whose name in the client's request is most likely another one."""


def lose(request: ConversationRequest, loss: Loss, *fields: str) -> None:
    """Note each of these fields that the request sets, and every extra: the dialect has no word for them."""
    for name in fields:
        if getattr(request, name) not in (None, False, (), {}):
            loss.note(_NAMES.get(name, name))
    lose_extras(request.extras, loss)


def one_answer(request: ConversationRequest, loss: Loss) -> None:
    """Note that more than one answer was asked for."""
    if request.n is not None and request.n != 1:
        loss.note("n")


def clamped(value: float | None, low: float, high: float, name: str, loss: Loss) -> float | None:
    """``value`` within the range that the dialect allows; a loss when that changes it."""
    if value is None or low <= value <= high:
        return value
    loss.note(name)
    return min(max(value, low), high)


def arguments_object(call: ToolCall, path: str, loss: Loss) -> dict[str, Any]:
    """The arguments as an object, which dialects want that do not take them as text.

    Text that is no object (a custom tool's, or one cut short) goes into the member ``input``.
    """
    if not call.arguments.strip():
        return {}
    try:
        value = msgspec.json.decode(call.arguments)
    except ValueError:
        value = None
    if isinstance(value, dict) and not call.custom:
        return value
    loss.note(f"{path}.arguments")
    return {"input": call.arguments}


def arguments_text(value: Any) -> str:
    """The JSON text of arguments that came as an object."""
    return value if isinstance(value, str) else msgspec.json.encode({} if value is None else value).decode()


def merged(turns: Iterable[tuple[Role, list[dict[str, Any]]]]) -> list[tuple[Role, list[dict[str, Any]]]]:
    """Turns with neighbours of one role joined, empty ones left out: what dialects want that alternate."""
    joined: list[tuple[Role, list[dict[str, Any]]]] = []
    for role, blocks in turns:
        if not blocks:
            continue
        if joined and joined[-1][0] == role:
            joined[-1][1].extend(blocks)
        else:
            joined.append((role, list(blocks)))
    return joined


def spoken(request: ConversationRequest, loss: Loss) -> tuple[tuple[Text, ...], list[tuple[str, Message]]]:
    """The messages of ``request`` for a dialect whose one system prompt stands at the beginning, each with its path.

    What a system says later is given apart; that it was said there, and names of participants, are lost.
    """
    system: tuple[Text, ...] = ()
    messages: list[tuple[str, Message]] = []
    for index, message in enumerate(request.messages):
        path = f"messages.{index}"
        if message.role == "system":
            loss.note(f"{path}.role")
            system += tuple(part for part in message.parts if isinstance(part, Text))
            continue
        if message.name is not None:
            loss.note(f"{path}.name")
        messages.append((path, message))
    return system, messages


def called_names(messages: Iterable[Message]) -> dict[str, str]:
    """The name of the tool by the id of its call, for dialects whose results name the tool."""
    return {part.id: part.name for message in messages for part in message.parts if isinstance(part, ToolCall)}


def parts_of(messages: Iterable[Message]) -> Iterable[Part]:
    """Every part of every message."""
    return (part for message in messages for part in message.parts)


def lose_extras(extras: Mapping[str, Any], loss: Loss) -> None:
    """Note every field that no noun of ours stands for."""
    for name in extras:
        loss.note(name)


def texts_of(request: EmbeddingsRequest) -> list[str]:
    """The texts to embed. Raises `BadRequest` (code "tokens_not_understood") for arrays of OpenAI's tokens."""
    texts = [each for each in request.inputs if isinstance(each, str)]
    if len(texts) != len(request.inputs):
        raise BadRequest(
            "The input holds arrays of tokens, which only the model that they were made for understands. Send text.",
            code="tokens_not_understood",
        )
    return texts

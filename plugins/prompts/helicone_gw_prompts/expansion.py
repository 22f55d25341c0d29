"""Expansion: a request that asks for a prompt becomes what the prompt makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from helicone_gw import BadRequest, HeliconeHeaders, MalformedBody, NotFound, PayloadTooLarge, Request, carry_chat
from helicone_gw_prompts.asking import Asked
from helicone_gw_prompts.body import SELECTING
from helicone_gw_prompts.errors import NoSuch
from helicone_gw_prompts.library import Choice, Library
from helicone_gw_prompts.merging import MESSAGES, SCHEMAS, SYSTEM, fill_messages, merge
from helicone_gw_prompts.partials import Partials
from helicone_gw_prompts.reading import PRODUCTION, Version
from helicone_gw_prompts.template import Inputs, Partial, Problem, TooLarge, fill, fill_json

PROMPT_ID, PROMPT_VERSION = "Helicone-Prompt-Id", "Helicone-Prompt-Version"
"""Properties of a request that was made of a prompt; the second's value is ``<id>@<major>.<minor>``."""

MAX_NOTED = 16_384
"""Longest inputs that are noted for the log, in bytes of JSON."""

_NOT_SAVED = frozenset({*SELECTING, "stream", "stream_options"})
"""Fields of a prompt that are no part of a request: whether to stream is decided by who reads the answer."""


_COUNTED = frozenset({"model", "messages", "system", "tools", "tool_choice", "thinking", "output_config"})
"""What Anthropic's counting of tokens takes."""


class Bounds(Struct, frozen=True):
    """How far a prompt may go: bytes of the body it becomes, and partials in one another."""

    max_expanded: int = 64 << 20
    max_nesting: int = 4


class Expanded(Struct, frozen=True):
    """The request that a prompt made, and facts for the log (without the plugin's name in front)."""

    request: Request
    notes: Mapping[str, Any]


class Expander:
    """Makes requests of prompts. ``keep_falsy`` is `template.Inputs`'s."""

    def __init__(self, library: Library, bounds: Bounds, *, keep_falsy: bool) -> None:
        self._library = library
        self._bounds = bounds
        self._keep_falsy = keep_falsy

    async def expand(self, request: Request, asked: Asked, organization: str) -> Expanded:
        """What ``request`` becomes.

        Raises `NotFound` for a prompt, version or environment that is not there, `BadRequest` for inputs of the wrong
        type (a line each) and partials that cannot be put in, `PayloadTooLarge`, and `Unavailable`.
        """
        body = request.json()
        said = {name: value for name, value in body.items() if name not in SELECTING}
        if asked.prompt is None and asked.version is None:
            return Expanded(request.replace(body=msgspec.json.encode(said)), {})
        choice = Choice(organization, asked.prompt, asked.version, asked.environment)
        try:
            version = await self._library.find(choice)
        except NoSuch as problem:
            raise NotFound(str(problem), code="prompt_not_found") from None
        inputs = Inputs(asked.inputs, keep_falsy=self._keep_falsy, room=self._bounds.max_expanded)
        problems: list[Problem] = []
        field = MESSAGES[request.dialect, request.operation]
        try:
            saved = await self._saved(version, organization, inputs, problems)
            for name in (field, *SYSTEM[request.dialect]):
                if name in said:
                    said[name] = fill_messages(said[name], inputs, problems)
            for name in SCHEMAS[request.dialect]:
                if name in said:
                    said[name] = fill_json(said[name], inputs, problems)
        except RecursionError:
            raise MalformedBody("The request body nests too deep.") from None
        except TooLarge:
            raise self._too_large("too") from None
        if problems:
            raise BadRequest(
                "Inputs do not fit the prompt's variables:\n" + "\n".join(map(str, problems)),
                code="invalid_prompt_inputs",
            )
        carried, lost = self._carried(saved, request, version)
        return self._expanded(request, merge(carried, said, request.dialect, request.operation), version, asked, lost)

    async def _saved(
        self, version: Version, organization: str, inputs: Inputs, problems: list[Problem]
    ) -> dict[str, Any]:
        """The prompt as a chat, partials and inputs put in."""
        saved = {name: value for name, value in version.decoded().items() if name not in _NOT_SAVED}

        async def find(tag: Partial) -> Version:
            return await self._library.find(Choice(organization, tag.prompt, None, tag.environment or PRODUCTION))

        partials = Partials(find, self._bounds.max_nesting, self._bounds.max_expanded)
        messages = await partials.put_into(saved.get("messages") or [], version)
        saved["messages"] = [_filled(message, inputs, problems) for message in messages]
        for name in ("response_format", "tools"):
            if saved.get(name) is not None:
                saved[name] = fill_json(saved[name], inputs, problems)
        return saved

    def _carried(
        self, saved: dict[str, Any], request: Request, version: Version
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The prompt in the request's dialect, and what it lost on the way there."""
        if (request.dialect, request.operation) == ("openai", "chat"):
            return saved, ()
        model = request.model or version.model
        counting = request.operation == "count_tokens"
        operation = "messages" if counting else request.operation
        data, lost = carry_chat(msgspec.json.encode(saved), request.dialect, operation, model)
        carried: dict[str, Any] = msgspec.json.decode(data)
        if counting:
            carried = {name: value for name, value in carried.items() if name in _COUNTED}
        if all(message.get("role") in ("system", "developer") for message in saved["messages"]):
            del carried[MESSAGES[request.dialect, request.operation]]  # what a dialect wants where nobody says anything
        if "store" not in saved:
            carried.pop("store", None)
        if not version.model:
            carried.pop("model", None)
        elif request.dialect == "openai" or request.dialect == "anthropic":
            carried["model"] = version.model
        return carried, lost

    def _expanded(
        self, request: Request, merged: dict[str, Any], version: Version, asked: Asked, lost: tuple[str, ...]
    ) -> Expanded:
        data = msgspec.json.encode(merged)
        if len(data) > self._bounds.max_expanded:
            raise self._too_large(f"{len(data):,} bytes")
        model = request.model
        if request.dialect != "gemini" and isinstance(merged.get("model"), str):
            model = merged["model"]
        notes: dict[str, Any] = {
            "id": version.prompt_id,
            "version_id": version.id,
            "version": version.number,
            "environment": asked.environment or (None if asked.version else PRODUCTION),
        }
        if lost:
            notes["loss"] = list(lost)
        if not request.helicone.omit_request:
            notes.update(noted_inputs(asked.inputs))
        return Expanded(request.replace(body=data, model=model, helicone=_headers(request.helicone, version)), notes)

    def _too_large(self, size: str) -> PayloadTooLarge:
        return PayloadTooLarge(
            f"The prompt makes the request {size} large: at most {self._bounds.max_expanded:,} bytes are allowed.",
            code="prompt_too_large",
        )


def noted_inputs(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The note of a request's inputs: their size alone where they are longer than is noted."""
    if not inputs:
        return {}
    size = len(msgspec.json.encode(inputs))
    return {"inputs": dict(inputs)} if size <= MAX_NOTED else {"inputs_too_large": size}


def _headers(helicone: HeliconeHeaders, version: Version) -> HeliconeHeaders:
    """``helicone`` as if the client had named the prompt in its headers: so that the log sums it up."""
    properties = dict(helicone.properties)
    spelled = {name.lower(): name for name in properties}
    for name, value in ((PROMPT_ID, version.prompt_id), (PROMPT_VERSION, f"{version.prompt_id}@{version.number}")):
        properties.pop(spelled.get(name.lower(), ""), None)
        properties[name] = value
    return helicone.replace(
        prompt_id=version.prompt_id,
        prompt_version=version.number,
        properties=type(helicone.properties)(properties.items()),  # type: ignore[call-arg]
    )


def _filled(message: dict[str, Any], inputs: Inputs, problems: list[Problem]) -> dict[str, Any]:
    content = message.get("content")
    if isinstance(content, str):
        return {**message, "content": fill(content, inputs, problems)}
    if isinstance(content, list):
        parts = [
            {**part, "text": fill(part["text"], inputs, problems)} if isinstance(part.get("text"), str) else part
            for part in content
        ]
        return {**message, "content": parts}
    return message

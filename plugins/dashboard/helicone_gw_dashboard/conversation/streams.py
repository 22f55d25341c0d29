"""Streams: the events of a streamed answer put together to the message that they are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from helicone_gw_dashboard.conversation.turns import Part, Turn, mapping, mappings, message, parts

MAX_EVENTS: Final = 100_000
"""Events of one answer that are read."""


def events(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in the ``data`` of server-sent events, in their order; what is no JSON is left out."""
    for number, line in enumerate(text.splitlines()):
        if number >= MAX_EVENTS:
            return
        if line.startswith("data:"):
            try:
                event = json.loads(line[5:])
            except (ValueError, RecursionError):
                continue
            if isinstance(event, dict):
                yield event


def joined(text: str) -> list[Turn]:
    """The turns of an answer that came as server-sent events, in whichever dialect; none for what is none of them."""
    found = [*events(text)]
    for event in reversed(found):
        response = event.get("response")
        if event.get("type") == "response.completed" and isinstance(response, dict):
            return [message(item, "assistant") for item in mappings(response.get("output"))]
    return _chat(found) or _messages(found) or _gemini(found) or _responses(found)


def _chat(found: list[dict[str, Any]]) -> list[Turn]:
    """OpenAI's chat completions."""
    choices: dict[int, _Draft] = {}
    for event in found:
        for choice in mappings(event.get("choices")):
            draft = choices.setdefault(_index(choice), _Draft())
            delta = mapping(choice.get("delta"))
            draft.add("thinking", delta.get("reasoning_content") or delta.get("reasoning"))
            draft.add("text", delta.get("content") if "delta" in choice else choice.get("text"))
            draft.add("refusal", delta.get("refusal"))
            for call in mappings(delta.get("tool_calls")):
                function = mapping(call.get("function"))
                draft.add(f"call {_index(call)}", function.get("arguments"), function.get("name"))
    return [draft.turn() for _, draft in sorted(choices.items())]


def _messages(found: list[dict[str, Any]]) -> list[Turn]:
    """Anthropic's messages."""
    draft = _Draft()
    for event in found:
        kind, at = event.get("type"), _index(event)
        if kind == "content_block_start":
            block = mapping(event.get("content_block"))
            draft.kinds[f"call {at}"] = str(block.get("name") or "")
            draft.add(_BLOCKS.get(str(block.get("type")), "text"), block.get("text") or block.get("thinking"))
        elif kind == "content_block_delta":
            delta = mapping(event.get("delta"))
            draft.add("text", delta.get("text"))
            draft.add("thinking", delta.get("thinking"))
            draft.add(f"call {at}", delta.get("partial_json"), draft.kinds.get(f"call {at}"))
    return [draft.turn()] if draft.texts else []


def _responses(found: list[dict[str, Any]]) -> list[Turn]:
    """OpenAI's responses, of which the end did not come."""
    draft = _Draft()
    for event in found:
        if event.get("type") == "response.output_text.delta":
            draft.add("text", event.get("delta"))
        elif event.get("type") == "response.reasoning_summary_text.delta":
            draft.add("thinking", event.get("delta"))
        elif event.get("type") == "response.function_call_arguments.delta":
            draft.add(f"call {event.get('output_index', 0)}", event.get("delta"))
    return [draft.turn()] if draft.texts else []


def _gemini(found: list[dict[str, Any]]) -> list[Turn]:
    """Gemini's candidates."""
    draft, others = _Draft(), list[Part]()
    for event in found:
        for candidate in mappings(event.get("candidates")):
            for part in parts(mapping(candidate.get("content")).get("parts")):
                if part.kind in ("text", "thinking"):
                    draft.add(part.kind, part.text)
                else:
                    others.append(part)
    turn = draft.turn()
    return [Turn("assistant", (*turn.parts, *others))] if turn.parts or others else []


def _index(value: Mapping[str, Any]) -> int:
    at = value.get("index")
    return at if isinstance(at, int) else 0


class _Draft:
    """Pieces of one message, by what they are pieces of."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}
        self.kinds: dict[str, str] = {}

    def add(self, kind: str, piece: Any, name: Any = None) -> None:
        if isinstance(name, str) and name:
            self.kinds[kind] = name
        if isinstance(piece, str) and (piece or kind.startswith("call")):
            self.texts.setdefault(kind, []).append(piece)

    def turn(self) -> Turn:
        found: list[Part] = []
        for kind, pieces in self.texts.items():
            text = "".join(pieces)
            if kind.startswith("call"):
                call = {"type": "function_call", "name": self.kinds.get(kind, ""), "arguments": text}
                found += parts([call])
            elif kind == "refusal":
                found.append(Part("refusal", text))
            elif kind == "thinking":
                found.append(Part("thinking", text))
            else:
                found += parts(text)
        return Turn("assistant", tuple(found))


_BLOCKS: Final = {"text": "text", "thinking": "thinking"}

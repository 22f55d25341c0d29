"""Context overflow: ``Helicone-Token-Limit-Exception-Handler`` cuts a prompt that its model could not take in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

TOKENS_PER_CHARACTER = 0.25
RESERVED = 0.1
"""Share of the context that is left for the answer where the request does not say how long it may be."""

LONGEST_CHUNK = 1000
"""Characters of a piece that is kept or cut whole."""

_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens", "maxOutputTokens")
_SEPARATORS = ("\n\n", "\n", ".", " ")
_SPACE = re.compile(r"[ \t]{2,}|\n{3,}")
_COMMENT = re.compile(r"<!--.*?-->|/\*.*?\*/", re.DOTALL)
_LONG_ID = re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b")


@dataclass(frozen=True, slots=True)
class _Text:
    """A piece of text in a body: where it is, and how to put another in its place."""

    value: str
    put: Callable[[str], None]


def estimated(body: dict[str, Any]) -> int:
    """Tokens of the prompt and its tools, estimated from their characters."""
    size = sum(len(text.value) for text in _texts(body))
    tools = body.get("tools")
    if tools:
        size += len(json.dumps(tools))
    return int(size * TOKENS_PER_CHARACTER)


def allowed(body: dict[str, Any], context: int) -> int:
    """Tokens that the prompt may have: what the context leaves beside the answer that is asked for."""
    inner = body.get("generationConfig")
    given = [each.get(name) for each in (body, inner if isinstance(inner, dict) else {}) for name in _LIMITS]
    asked = next(
        (value for value in given if isinstance(value, int) and not isinstance(value, bool) and value > 0), None
    )
    return max(0, context - (asked if asked is not None else int(context * RESERVED)))


def truncated(body: dict[str, Any]) -> dict[str, Any]:
    """``body`` with white space, comments and long ids in its texts collapsed."""
    copy: dict[str, Any] = json.loads(json.dumps(body))
    for text in _texts(copy):
        # What stood on both sides becomes no word: a guard outside has seen two.
        short = _LONG_ID.sub(" ", _COMMENT.sub(" ", text.value))
        text.put(_SPACE.sub(lambda match: match[0][0] * min(2, len(match[0])) if "\n" in match[0] else " ", short))
    return copy


def middle_out(body: dict[str, Any], limit: int) -> dict[str, Any]:
    """``body`` without the middle of its texts: pieces around the centre are cut until ``limit`` tokens are left.

    What stands first (instructions) and last (the question) stays. Messages that are left empty are dropped.
    """
    copy: dict[str, Any] = json.loads(json.dumps(body))
    texts = list(_texts(copy))
    pieces = [(number, piece) for number, text in enumerate(texts) for piece in chunks(text.value)]
    excess = int((estimated(copy) - limit) / TOKENS_PER_CHARACTER)
    first = last = len(pieces) // 2
    while excess > 0 and (first > 0 or last < len(pieces)):
        if last < len(pieces) and (first == 0 or last - len(pieces) // 2 <= len(pieces) // 2 - first):
            excess -= len(pieces[last][1])
            last += 1
        else:
            first -= 1
            excess -= len(pieces[first][1])
    if 0 < first < last < len(pieces) and pieces[first - 1][0] == pieces[last][0]:
        owner, piece = pieces[first - 1]
        pieces[first - 1] = owner, piece[:-1] + "\n"  # the two ends become no word, either
    kept = pieces[:first] + pieces[last:]
    for number, text in enumerate(texts):
        text.put("".join(piece for owner, piece in kept if owner == number))
    _drop_empty(copy)
    return copy


def chunks(text: str) -> list[str]:
    """``text`` in pieces of at most 1,000 characters, cut at blank lines, lines, sentences, words, or anywhere."""
    pieces: list[str] = []
    while len(text) > LONGEST_CHUNK:
        places = (text.rfind(separator, 0, LONGEST_CHUNK) + len(separator) for separator in _SEPARATORS)
        at = next((place for place in places if place > LONGEST_CHUNK // 4), LONGEST_CHUNK)
        pieces.append(text[:at])
        text = text[at:]
    return [*pieces, text] if text else pieces


def _texts(body: dict[str, Any]) -> Iterator[_Text]:
    """Every text of the prompt, in order: messages of chat and of Anthropic, Responses' input, Gemini's contents."""
    for key in ("system", "instructions", "systemInstruction"):
        yield from _of(body, key)
    for key in ("messages", "input", "contents", "prompt"):
        value = body.get(key)
        if isinstance(value, list):
            for index, message in enumerate(value):
                if isinstance(message, dict):
                    yield from _of(message, "content")
                    yield from _of(message, "parts")
                elif isinstance(message, str):
                    yield _Text(message, lambda new, value=value, index=index: value.__setitem__(index, new))  # type: ignore[misc]
        else:
            yield from _of(body, key)


def _of(holder: dict[str, Any], key: str) -> Iterator[_Text]:
    value = holder.get(key)
    if isinstance(value, str):
        yield _Text(value, lambda new: holder.__setitem__(key, new))
    elif isinstance(value, dict):
        yield from _of(value, "parts")
        yield from _of(value, "text")
    elif isinstance(value, list):
        for part in value:
            if isinstance(part, dict) and isinstance(part.get("text"), str):
                yield _Text(part["text"], lambda new, part=part: part.__setitem__("text", new))  # type: ignore[misc]


def _drop_empty(body: dict[str, Any]) -> None:
    for key in ("messages", "input", "contents"):
        value = body.get(key)
        if isinstance(value, list) and len(value) > 1:
            left = [each for each in value if not (isinstance(each, dict) and _is_empty(each))]
            body[key] = left or value[-1:]


def _is_empty(message: dict[str, Any]) -> bool:
    if message.get("tool_calls") or message.get("tool_call_id"):
        return False
    content = message.get("content", message.get("parts"))
    if isinstance(content, str):
        return not content.strip()
    return isinstance(content, list) and all(
        isinstance(part, dict) and isinstance(part.get("text"), str) and not part["text"].strip() for part in content
    )

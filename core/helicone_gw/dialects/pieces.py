"""Pieces: the text in one event of a stream, told from the event alone, with its place and the channel it goes on in.

What `deltas` counts, for whoever has to change it, and what repeats it at the end of a part or of a response.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from helicone_gw.dialects._format import NOTHING
from helicone_gw.dialects._json import text
from helicone_gw.dialects._rewriting import NameOf, Path, places
from helicone_gw.dialects.anthropic import MessagesFormat
from helicone_gw.dialects.cohere import CohereChatFormat
from helicone_gw.dialects.everything import every_place, is_free
from helicone_gw.dialects.gemini import GeminiFormat
from helicone_gw.dialects.openai_chat import ChatFormat
from helicone_gw.dialects.openai_responses import ResponsesFormat

Channel = tuple[str | int, ...]


class TextPiece(NamedTuple):
    """Text in an event, at ``path`` of its JSON.

    Pieces of one ``channel`` (the content of a choice, the arguments of a call, ...) follow one another from event to
    event and make one text. A piece that is ``whole`` is a text by itself.
    """

    channel: Channel
    path: Path
    text: str
    whole: bool = False


class _Places(NamedTuple):
    """Members at the top that hold text, members below, and those below which every string is a text by itself."""

    top: frozenset[str]
    keys: frozenset[str]
    whole: frozenset[str] = NOTHING


_CHOICES: Final = _Places(frozenset({"choices"}), ChatFormat.text_keys | {"delta"})
_RESPONSES: Final = _Places(
    frozenset({"delta", "text", "refusal", "arguments", "input", "code", "part", "item", "response"}),
    ResponsesFormat.text_keys,
)
_MESSAGES: Final = _Places(
    frozenset({"delta", "content_block"}),
    MessagesFormat.text_keys | {"partial_json", "citation"},
    frozenset({"input"}),
)
_CANDIDATES: Final = _Places(frozenset({"candidates"}), GeminiFormat.text_keys, GeminiFormat.whole_keys)
_PLACES: Final[dict[tuple[str, str], _Places]] = {
    ("openai", "chat"): _CHOICES,
    ("openai", "completions"): _CHOICES,
    ("openai", "responses"): _RESPONSES,
    ("openai", "responses.other"): _RESPONSES,
    ("openai", "audio"): _Places(frozenset({"delta", "text"}), NOTHING),
    ("anthropic", "messages"): _MESSAGES,
    ("gemini", "generate_content"): _CANDIDATES,
    ("gemini", "stream_generate_content"): _CANDIDATES,
    ("cohere", "chat"): _Places(frozenset({"delta"}), CohereChatFormat.text_keys | {"message"}),
    ("bedrock", "converse"): _Places(
        frozenset({"delta"}), frozenset({"text", "toolUse", "input", "reasoningContent", "reasoningText"})
    ),
    ("vertex", "messages"): _MESSAGES,
    ("vertex", "raw_chat"): _CHOICES,
    ("openai", "fim"): _CHOICES,
    ("openai", "agents"): _CHOICES,
    ("ollama", "generate"): _Places(frozenset({"response", "thinking"}), NOTHING),
    ("ollama", "chat"): _Places(
        frozenset({"message"}),
        frozenset({"content", "thinking", "tool_calls", "function"}),
        frozenset({"arguments"}),
    ),
}
_OWN_NAME: Final = re.compile(r"[A-Za-z_]{1,40}")
_NUMBERS: Final = ("index", "output_index", "content_index", "summary_index", "contentBlockIndex")
"""Members that say which of several parts an event or an element belongs to."""
_TRANSPARENT: Final = frozenset({"delta", "content_block", "parts"})
"""Members that name no part of their own: a block may begin with the text that its deltas go on with."""


def has_pieces(dialect: str, operation: str) -> bool:
    """Whether the text in streams of this operation can be told, and changed."""
    return (dialect, operation) in _PLACES


def text_pieces(dialect: str, operation: str, value: Any) -> list[TextPiece]:
    """The pieces of text, thought, refusal and tool arguments in an event's decoded JSON, in order. Never raises."""
    known = _PLACES.get((dialect, operation))
    if known is None or not isinstance(value, dict):
        return []
    typed = operation == "audio" or operation.startswith("responses")
    whole = typed and not (text(value.get("type")) or "").endswith(".delta")
    found: list[TextPiece] = []
    for name, item in value.items():
        if name in known.top:
            for path, piece in places(item, known.keys, known.whole, (name,)):
                alone = whole or any(step in known.whole for step in path[1:])
                found.append(TextPiece(_channel(value, path), path, piece, alone))
    return found


def event_pieces(dialect: str, operation: str, value: Any) -> list[TextPiece]:
    """Every text in an event's decoded JSON, for guards: `text_pieces` and all that no document names. Never raises.

    Of streams of which nothing is known, all texts. What comes to light only so is a text by itself (addresses and
    titles that an answer cites, names of tools, long names of members), but for a member of a ``delta``, which goes on
    in the next.
    """
    if not isinstance(value, dict):
        return []
    if not has_pieces(dialect, operation):
        return _any_pieces(value)
    known = text_pieces(dialect, operation, value)
    return [*known, *_further_pieces(value, known)]


def _further_pieces(value: dict[str, Any], known: list[TextPiece]) -> list[TextPiece]:
    found = [place for place in every_place(value, answer=True) if not _is_apis_own(place.path)]
    if len(found) <= len(known):
        return []
    paths = {piece.path for piece in known}
    return [
        TextPiece(_any_channel(value, place.path), place.path, place.text, _is_alone(place.path))
        for place in found
        if place.path not in paths and place.before is None
    ]


def _any_pieces(value: dict[str, Any]) -> list[TextPiece]:
    """Each text in the channel that its members' names make.

    What only repeats the deltas at their end, as assistants' messages do, is a text by itself.
    """
    whole = isinstance(kind := value.get("object"), str) and kind.startswith("thread.") and not kind.endswith(".delta")
    return [
        TextPiece(_any_channel(value, place.path), place.path, place.text, whole or isinstance(place.path[-1], NameOf))
        for place in every_place(value, answer=True)
        if place.before is None and not _is_apis_own(place.path)
    ]


def _is_apis_own(path: Path) -> bool:
    """Whether a place is the name of a member that no model made up: of letters, and not among arguments."""
    return isinstance(path[-1], NameOf) and _OWN_NAME.fullmatch(path[-1]) is not None and not is_free(path)


def _is_alone(path: Path) -> bool:
    return path[-2:-1] != ("delta",) or isinstance(path[-1], NameOf)


def _any_channel(value: dict[str, Any], path: Path) -> Channel:
    own = value.get("id") if isinstance(value.get("object"), str) else None
    channel: list[str | int] = [own] if isinstance(own, str) and value["object"].startswith("thread.") else []
    if "outputText" not in value:  # whose index counts the events
        channel += [value[name] for name in _NUMBERS if isinstance(value.get(name), int)]
    current: Any = value
    for step in path:
        if isinstance(step, NameOf):
            return (*channel, step)
        current = current[step]
        if isinstance(step, str):
            channel.append(step)
        if isinstance(current, dict):
            channel += [current[name] for name in _NUMBERS if isinstance(current.get(name), int)]
    return tuple(channel)


def _channel(value: dict[str, Any], path: Path) -> Channel:
    channel: list[str | int] = [value[name] for name in _NUMBERS if isinstance(value.get(name), int)]
    if isinstance(value.get("type"), str) and value["type"].startswith("response."):
        channel.append(value["type"])
    current: Any = value
    for step in path:
        current = current[step]
        if isinstance(step, str):
            if step not in _TRANSPARENT:
                channel.append(step)
        elif isinstance(current, dict) and isinstance(current.get("index"), int):
            channel.append(current["index"])
        if isinstance(current, dict) and current.get("thought") is True:
            channel.append("thought")
    return tuple(channel)

"""Questions: the last text of the user in a request's body, and the bytes around it.

The text is cut out of the body where it stands; every other byte is part of the question's surroundings. So two
requests have the same surroundings only if they differ in nothing else, whatever a body may hide from one parser or
another.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from helicone_gw import Request


class Question(Struct, frozen=True):
    """A user's text, as it was sent, and the body before and behind it (quotes included in neither)."""

    text: str
    before: bytes
    behind: bytes

    @property
    def normal(self) -> str:
        """The text as it is embedded: composed (NFC), white space as single spaces."""
        return " ".join(unicodedata.normalize("NFC", self.text).split())


class _Part(Struct):
    type: str = "text"
    text: str | None = None


class _Message(Struct):
    role: str = "user"
    type: str = "message"
    content: str | list[_Part] | None = None


class _Turn(Struct):
    role: str = "user"
    parts: list[_Part] = []


class _Chat(Struct):
    messages: list[Raw]


class _Responses(Struct):
    input: str | list[Raw]
    previous_response_id: Any = None
    conversation: Any = None


class _Contents(Struct):
    contents: list[Raw]


_CHAT = msgspec.json.Decoder(_Chat)
_RESPONSES = msgspec.json.Decoder(_Responses)
_CONTENTS = msgspec.json.Decoder(_Contents)
_MESSAGE = msgspec.json.Decoder(_Message)
_TURN = msgspec.json.Decoder(_Turn)

_TEXTS: Final = frozenset({"text", "input_text"})
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)


def question_of(request: Request) -> Question | None:
    """The question that ``request`` ends with.

    ``None`` where it ends with anything else (a tool's result, the beginning of an answer), is no conversation, or is
    not the JSON that its dialect says.
    """
    read = _READERS.get((request.dialect, request.operation))
    if read is None or not request.body:
        return None
    try:
        text = read(request.body)
    except (ValueError, RecursionError):
        return None
    if not text or text.isspace():
        return None
    return _cut_out(request.body, text)


def is_conversation(request: Request) -> bool:
    """Whether ``request`` is of an operation that has questions."""
    return (request.dialect, request.operation) in _READERS


def _last_text(parts: list[_Part]) -> str | None:
    return next((part.text for part in reversed(parts) if part.type in _TEXTS and part.text), None)


def _of_message(message: Raw) -> str | None:
    last = _MESSAGE.decode(message)
    if last.role != "user" or last.type != "message":
        return None
    return last.content if last.content is None or isinstance(last.content, str) else _last_text(last.content)


def _of_chat(body: bytes) -> str | None:
    messages = _CHAT.decode(body).messages
    return _of_message(messages[-1]) if messages else None


def _of_responses(body: bytes) -> str | None:
    asked = _RESPONSES.decode(body)
    if asked.previous_response_id is not None or asked.conversation is not None:
        return None  # the history is at the provider, and goes on there
    given = asked.input
    if isinstance(given, str):
        return given
    return _of_message(given[-1]) if given else None


def _of_contents(body: bytes) -> str | None:
    contents = _CONTENTS.decode(body).contents
    last = _TURN.decode(contents[-1]) if contents else _Turn(role="")
    return _last_text(last.parts) if last.role == "user" else None


_READERS: Final[dict[tuple[str, str], Callable[[bytes], str | None]]] = {
    ("openai", "chat"): _of_chat,
    ("openai", "responses"): _of_responses,
    ("anthropic", "messages"): _of_chat,
    ("gemini", "generate_content"): _of_contents,
    ("gemini", "stream_generate_content"): _of_contents,
}


def _cut_out(body: bytes, text: str) -> Question | None:
    """``text`` where it stands last; ``None`` when it cannot be found again."""
    # As most clients write it: letters as they are, or escaped. Others escape more than they must.
    for literal in (msgspec.json.encode(text), json.dumps(text).encode()):
        at = body.rfind(literal)
        if at >= 0:
            return Question(text, body[: at + 1], body[at + len(literal) - 1 :])
    for found in reversed(list(_STRING.finditer(body))):
        if b"\\" in found.group() and _unescaped(found.group()) == text:
            return Question(text, body[: found.start() + 1], body[found.end() - 1 :])
    return None


def _unescaped(literal: bytes) -> Any:
    try:
        return msgspec.json.decode(literal)
    except ValueError:
        return None

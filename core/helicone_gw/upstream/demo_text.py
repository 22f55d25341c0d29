"""What the demo provider says: a sentence that depends on nothing but the request, its tokens and its vectors."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

CREATED = 1_767_225_600
"""When every demo answer claims to have been made: 2026-01-01T00:00:00Z, so that equal requests get equal bytes."""

MAX_ECHO = 400
"""Characters of the last user message that are repeated."""

MAX_PIECES = 12
"""Events of text in a stream, at most."""


@dataclass(frozen=True, slots=True)
class Talk:
    """One demo answer: ``text`` and its tokens; ``cut`` when the request's limit on tokens ended it early."""

    id: str
    model: str
    text: str
    input_tokens: int
    output_tokens: int
    cut: bool


def count_tokens(texts: Iterable[str]) -> int:
    """The demo's tokens: one for every four characters of each text, rounded up; an empty text has none."""
    return sum(math.ceil(len(text) / 4) for text in texts)


def talk(model: str, prompt: list[str], asked: str, max_tokens: int | None, seed: bytes) -> Talk:
    """The answer to ``asked`` (the last thing that a user said) of a ``prompt`` (every text in the request)."""
    echo = " ".join(asked[: 4 * MAX_ECHO].split())
    if len(echo) > MAX_ECHO:
        echo = f"{echo[:MAX_ECHO]}..."
    text = (
        f"Hello from {model}, the model that lives inside the gateway. You said: “{echo}”. "
        "Configure a provider, and a real model will answer here."
        if echo
        else f"Hello from {model}, the model that lives inside the gateway. Say something, and I will repeat it."
    )
    cut = max_tokens is not None and count_tokens([text]) > max_tokens
    if cut:
        text = text[: 4 * (max_tokens or 0)]
    digest = hashlib.sha256(seed).hexdigest()[:24]
    return Talk(digest, model, text, count_tokens(prompt), count_tokens([text]), cut)


def pieces(text: str) -> list[str]:
    """``text`` in at most `MAX_PIECES` runs of whole words, which joined give the text again."""
    if not text:
        return []
    words = [f"{word} " for word in text.split(" ")]
    words[-1] = words[-1][:-1]
    size = math.ceil(len(words) / MAX_PIECES)
    runs = ["".join(words[start : start + size]) for start in range(0, len(words), size)]
    return [run for run in runs if run]


def texts_of(content: Any, depth: int = 8) -> list[str]:
    """Every text in a message's content: a string, or parts that have a ``text`` or further ``content``.

    What is nested deeper than ``depth`` is not looked at.
    """
    if isinstance(content, str):
        return [content]
    if depth and isinstance(content, list):
        return [text for part in content for text in texts_of(part, depth - 1)]
    if depth and isinstance(content, dict):
        return texts_of(content.get("text") if "text" in content else content.get("content"), depth - 1)
    return []


def conversation(messages: Any) -> tuple[list[str], str]:
    """Every text of a list of messages, and the last one that a user wrote."""
    texts: list[str] = []
    asked = ""
    for message in messages if isinstance(messages, list) else [messages]:
        content = message.get("content") if isinstance(message, dict) else message
        found = texts_of(content)
        texts += found
        if not isinstance(message, dict) or message.get("role", "user") == "user":
            asked = "\n".join(found) or asked
    return texts, asked


def vector(text: str, dimensions: int) -> list[float]:
    """A unit vector that depends on ``text`` alone (SHAKE-256); equal texts have equal vectors, others do not."""
    raw = hashlib.shake_256(text.encode()).digest(2 * dimensions)
    values = [int.from_bytes(raw[at : at + 2], "big") / 32767.5 - 1 for at in range(0, len(raw), 2)]
    norm = math.sqrt(math.fsum(value * value for value in values)) or 1.0
    return [value / norm for value in values]

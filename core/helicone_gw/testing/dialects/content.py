"""What the dialects of the kit have in common: content, and how it falls into pieces when it is streamed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from helicone_gw.model import Usage

CREATED = 1767225600
"""The creation time in every answer: 2026-01-01T00:00:00Z."""

USAGE = Usage(input_tokens=12, output_tokens=7, cache_read_tokens=0, reasoning_tokens=0)
"""What an answer reports if nothing else is said."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool by the model."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    id: str = "call_abc123"

    @property
    def arguments_json(self) -> str:
        """The arguments as text."""
        return msgspec.json.encode(self.arguments).decode()

    def pieces(self) -> list[str]:
        """The arguments' text, torn as streams tear it: anywhere."""
        text = self.arguments_json
        return [text[at : at + 5] for at in range(0, len(text), 5)]


Text = str | Sequence[str]
"""Text, or the very pieces in which to stream it."""


def pieces(text: Text) -> list[str]:
    """Text as a stream of about one token per event; given pieces as they are."""
    if isinstance(text, str):
        return re.findall(r"\s*\S+|\s+\Z", text)
    return list(text)


def whole(text: Text) -> str:
    """Text in one piece."""
    return text if isinstance(text, str) else "".join(text)


def known(**fields: Any) -> dict[str, Any]:
    """Those of the fields that are not ``None``."""
    return {name: value for name, value in fields.items() if value is not None}


def asked_to_stream(body: Any) -> bool:
    """Whether a request body says ``stream: true``."""
    return isinstance(body, dict) and body.get("stream") is True

"""Vertex AI's own embeddings (cloud.google.com/vertex-ai, "Text embeddings API"); its other operations are Gemini's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from helicone_gw.dialects._format import NOTHING
from helicone_gw.dialects._json import count, items, mapping
from helicone_gw.dialects._provider import ProviderFormat
from helicone_gw.dialects.base import Reply
from helicone_gw.model import Usage


class VertexEmbedFormat(ProviderFormat):
    """``POST .../publishers/google/models/{model}:predict`` of an embedding model."""

    dialect = "vertex"
    prompt_top: ClassVar[frozenset[str]] = frozenset({"instances"})
    text_keys: ClassVar[frozenset[str]] = frozenset({"content", "title"})
    reply_top: ClassVar[frozenset[str]] = NOTHING

    def __init__(self) -> None:
        super().__init__("embed")

    def with_model(self, body: bytes, model: str) -> bytes:
        """The body itself: the address names the model."""
        return body

    def reply_text(self, body: bytes) -> list[str]:
        """None: a reply of vectors has no text, and decoding them to look would be dear."""
        return []

    def _reply(self, value: Mapping[str, Any]) -> Reply:
        return Reply(usage=predicted_usage(value))


def predicted_usage(value: Mapping[str, Any]) -> Usage | None:
    """The tokens of every prediction together; unknown when one of them does not say."""
    counts = [
        count(mapping(mapping(mapping(each).get("embeddings")).get("statistics")).get("token_count"))
        for each in items(value.get("predictions"))
    ]
    known = [number for number in counts if number is not None]
    return Usage(sum(known), 0) if known and len(known) == len(counts) else None

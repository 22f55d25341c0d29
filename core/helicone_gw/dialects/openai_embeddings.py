"""OpenAI embeddings (platform.openai.com, "Embeddings"): vectors are never decoded, only model and usage are."""

from __future__ import annotations

from typing import ClassVar

from helicone_gw.dialects._format import NOTHING
from helicone_gw.dialects.openai_json import OpenAIJsonFormat


class EmbeddingsFormat(OpenAIJsonFormat):
    """``POST /v1/embeddings``."""

    prompt_top: ClassVar[frozenset[str]] = frozenset({"input"})
    reply_top: ClassVar[frozenset[str]] = NOTHING

    def __init__(self) -> None:
        super().__init__("embeddings", input_only=True)

    def reply_text(self, body: bytes) -> list[str]:
        """None: a reply of vectors has no text, and decoding them to look would be dear."""
        return []

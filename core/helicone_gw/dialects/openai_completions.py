"""OpenAI's legacy text completions (platform.openai.com, "Completions")."""

from __future__ import annotations

from typing import ClassVar

from helicone_gw.dialects._choices import Choice, ChoicesReader
from helicone_gw.dialects.openai_chat import ChoicesFormat


class CompletionsFormat(ChoicesFormat):
    """``POST /v1/completions``."""

    prompt_top: ClassVar[frozenset[str]] = frozenset({"prompt", "suffix"})
    text_keys: ClassVar[frozenset[str]] = frozenset({"text"})

    def __init__(self) -> None:
        super().__init__("completions")

    def stream_reader(self) -> ChoicesReader:
        """See `WireFormat.stream_reader`."""
        return ChoicesReader("text_completion", _has_content, {"text": ""})


def _has_content(choice: Choice) -> bool:
    return bool(choice.text)

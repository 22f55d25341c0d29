"""Ollama's own API: chat, generate and embed (docs.ollama.com, "API"); its streams are read as server-sent events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from helicone_gw.dialects._format import NOTHING
from helicone_gw.dialects._json import count, mapping, text
from helicone_gw.dialects._provider import ProviderFormat, ProviderReader
from helicone_gw.dialects._words import stop_reason
from helicone_gw.dialects.base import EventFacts, Reply
from helicone_gw.dialects.errors import with_error
from helicone_gw.model import Usage


class OllamaChatFormat(ProviderFormat):
    """``POST /api/chat``."""

    dialect = "ollama"
    prompt_top: ClassVar[frozenset[str]] = frozenset({"messages"})
    reply_top: ClassVar[frozenset[str]] = frozenset({"message"})
    text_keys: ClassVar[frozenset[str]] = frozenset({"content", "thinking", "tool_calls", "function"})
    whole_keys: ClassVar[frozenset[str]] = frozenset({"arguments"})
    streams: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__("chat")

    def _reply(self, value: Mapping[str, Any]) -> Reply:
        reply = Reply(
            model=text(value.get("model")), usage=ollama_usage(value), stop_reason=text(value.get("done_reason"))
        )
        return with_error(reply, value.get("error"))

    def stream_reader(self) -> OllamaReader:
        """See `WireFormat.stream_reader`."""
        return OllamaReader()


class OllamaGenerateFormat(OllamaChatFormat):
    """``POST /api/generate``."""

    prompt_top: ClassVar[frozenset[str]] = frozenset({"prompt", "suffix", "system", "template"})
    reply_top: ClassVar[frozenset[str]] = frozenset({"response", "thinking"})

    def __init__(self) -> None:
        super().__init__()
        self.operation = "generate"

    def stream_reader(self) -> OllamaReader:
        """See `WireFormat.stream_reader`."""
        return OllamaReader(generates=True)


class OllamaReader(ProviderReader):
    """Reads the objects of a stream, the last of which is ``done`` and counts the tokens.

    ``generates``: there is a ``response`` and no ``message`` in them.
    """

    def __init__(self, *, generates: bool = False) -> None:
        super().__init__()
        self._generates = generates

    def _facts(self, kind: str | None, value: Mapping[str, Any]) -> EventFacts:
        self.model = text(value.get("model")) or self.model
        message = value if self._generates else mapping(value.get("message"))
        content = any(message.get(name) for name in ("content", "response", "thinking", "tool_calls", "images"))
        if value.get("done") is not True:
            return EventFacts(content=content, preamble=not content)
        self.complete = True
        self.stop_reason = text(value.get("done_reason")) or "stop"
        self._usage = ollama_usage(value)
        return EventFacts(content=content, terminal=True)

    def _closing(self, reason: str) -> list[tuple[str | None, dict[str, Any]]]:
        done = "length" if stop_reason(reason, "chat") == "length" else "stop"
        message = {"response": ""} if self._generates else {"message": {"role": "assistant", "content": ""}}
        return [(None, {"model": self.model or "", **message, "done": True, "done_reason": done})]


class OllamaEmbedFormat(ProviderFormat):
    """``POST /api/embed``, and the older ``/api/embeddings``."""

    dialect = "ollama"
    prompt_top: ClassVar[frozenset[str]] = frozenset({"input", "prompt"})
    reply_top: ClassVar[frozenset[str]] = NOTHING

    def __init__(self) -> None:
        super().__init__("embed")

    def reply_text(self, body: bytes) -> list[str]:
        """None: a reply of vectors has no text, and decoding them to look would be dear."""
        return []

    def _reply(self, value: Mapping[str, Any]) -> Reply:
        tokens = count(value.get("prompt_eval_count"))
        reply = Reply(model=text(value.get("model")), usage=None if tokens is None else Usage(tokens, 0))
        return with_error(reply, value.get("error"))


def ollama_usage(value: Mapping[str, Any]) -> Usage | None:
    """The counts of a reply or of a stream's last object; a prompt that was cached whole is not counted at all."""
    tokens_in, tokens_out = count(value.get("prompt_eval_count")), count(value.get("eval_count"))
    return None if tokens_in is None and tokens_out is None else Usage(tokens_in, tokens_out)

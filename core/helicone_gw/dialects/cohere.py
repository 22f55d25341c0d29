"""Cohere's API v2: chat, embed, rerank (docs.cohere.com, "API reference"). Bedrock hosts its embed and rerank too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from helicone_gw.dialects._format import NOTHING
from helicone_gw.dialects._json import mapping, text
from helicone_gw.dialects._provider import ProviderFormat, ProviderReader, cohere_billed
from helicone_gw.dialects._words import stop_reason
from helicone_gw.dialects.base import EventFacts, Reply

_STOPS = {"stop": "COMPLETE", "length": "MAX_TOKENS", "content_filter": "ERROR"}
_CONTENT = frozenset({"content-delta", "tool-plan-delta", "tool-call-start", "tool-call-delta", "citation-start"})
_PREAMBLE = frozenset({"message-start", "content-start", "debug"})


class CohereChatFormat(ProviderFormat):
    """``POST /v2/chat``."""

    dialect = "cohere"
    prompt_top: ClassVar[frozenset[str]] = frozenset({"messages", "documents"})
    reply_top: ClassVar[frozenset[str]] = frozenset({"message"})
    text_keys: ClassVar[frozenset[str]] = frozenset(
        {"content", "text", "thinking", "tool_plan", "tool_calls", "function", "arguments", "document"}
    )
    whole_keys: ClassVar[frozenset[str]] = frozenset({"data"})

    def __init__(self) -> None:
        super().__init__("chat")

    def _reply(self, value: Mapping[str, Any]) -> Reply:
        return Reply(usage=cohere_billed(value.get("usage")), stop_reason=text(value.get("finish_reason")))

    def stream_reader(self) -> CohereReader:
        """See `WireFormat.stream_reader`."""
        return CohereReader()


class CohereReader(ProviderReader):
    """Reads the events of a streamed chat, which ``message-end`` ends."""

    ends_with = (b"message-end",)

    def _facts(self, kind: str | None, value: Mapping[str, Any]) -> EventFacts:
        if kind == "message-end":
            delta = mapping(value.get("delta"))
            self.complete = True
            self.stop_reason = text(delta.get("finish_reason")) or self.stop_reason
            self._usage = cohere_billed(delta.get("usage")) or self._usage
            error = text(delta.get("error"))
            return EventFacts(terminal=True) if error is None else EventFacts(error=error, error_status=500)
        return EventFacts(content=kind in _CONTENT, preamble=kind in _PREAMBLE)

    def _closing(self, reason: str) -> list[tuple[str | None, dict[str, Any]]]:
        finish = _STOPS[_family(reason)]
        return [("message-end", {"type": "message-end", "delta": {"finish_reason": finish}})]


class CohereEmbedFormat(ProviderFormat):
    """``POST /v2/embed``, and Bedrock's invoke of Cohere's and Amazon's embedding models."""

    prompt_top: ClassVar[frozenset[str]] = frozenset({"texts", "inputs", "inputText"})
    text_keys: ClassVar[frozenset[str]] = frozenset({"content", "text"})
    reply_top: ClassVar[frozenset[str]] = NOTHING

    def __init__(self, dialect: str) -> None:
        super().__init__("embed")
        self.dialect = dialect

    def reply_text(self, body: bytes) -> list[str]:
        """None: a reply of vectors has no text, and decoding them to look would be dear."""
        return []

    def _reply(self, value: Mapping[str, Any]) -> Reply:
        titan = cohere_billed({"tokens": {"input_tokens": value.get("inputTextTokenCount")}}, generates=False)
        return Reply(usage=cohere_billed(value.get("meta"), generates=False) or titan)


class CohereRerankFormat(ProviderFormat):
    """``POST /v2/rerank``, billed by searches, which are no tokens; and Bedrock's invoke of the same models."""

    prompt_top: ClassVar[frozenset[str]] = frozenset({"query", "documents"})
    text_keys: ClassVar[frozenset[str]] = frozenset({"text"})

    def __init__(self, dialect: str) -> None:
        super().__init__("rerank")
        self.dialect = dialect

    def _reply(self, value: Mapping[str, Any]) -> Reply:
        return Reply(usage=cohere_billed(value.get("meta"), generates=False))


def _family(reason: str) -> str:
    return stop_reason(reason, "chat")

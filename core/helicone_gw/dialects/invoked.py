"""Invoked: streams of which only the events tell whose they are: Bedrock's of any maker, Cohere's first API, others.

Sources: docs.aws.amazon.com, "Inference request parameters" (each maker's response), docs.cohere.com, "API v1".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from helicone_gw.dialects._json import count, mapping, text
from helicone_gw.dialects._provider import ProviderReader
from helicone_gw.dialects._words import stop_reason
from helicone_gw.dialects.anthropic import MessagesReader
from helicone_gw.dialects.base import EventFacts
from helicone_gw.model import Usage
from helicone_gw.sse import event_data

_METRICS: Final = "amazon-bedrock-invocationMetrics"
_REASONS: Final = ("stop_reason", "completionReason", "finish_reason", "stopReason")
_ENDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "generation": {"generation": "", "stop_reason": {"stop": "stop", "length": "length", "content_filter": "stop"}},
    "outputText": {
        "outputText": "",
        "completionReason": {"stop": "FINISH", "length": "LENGTH", "content_filter": "CONTENT_FILTERED"},
    },
    "completion": {
        "completion": "",
        "stop_reason": {"stop": "stop_sequence", "length": "max_tokens", "content_filter": "stop_sequence"},
    },
}
"""The last event of makers whose events are flat, by the member that holds the text."""
_MAKERS: Final = ("generation", "outputText", "completion", "outputs", "choices", "contentBlockDelta", "event_type")


class AnyReader(ProviderReader):
    """Reads a stream of whoever's, and ends it as the events so far do. A stream of no known form needs no end."""

    def __init__(self) -> None:
        super().__init__()
        self._message: MessagesReader | None = None
        self._maker = ""
        self._thread = False

    def feed(self, event: bytes) -> EventFacts:
        """See `StreamReader.feed`."""
        if self._message is None and b'"message_start"' in event:
            self._message = MessagesReader()
        facts = super().feed(event)
        if self._message is not None:
            facts = self._message.feed(event)
            self.model, self.stop_reason = self._message.model, self._message.stop_reason
            self._usage = self._usage or self._message.usage
            self.complete = self.complete or self._message.complete
        elif event_data(event).startswith(b"[DONE]"):
            self.complete = True
            return EventFacts(terminal=True)
        elif facts.error is None and not self._maker:
            self.complete = True  # nobody knows how such streams end
        return facts

    def closing_events(self, reason: str) -> bytes:
        """See `StreamReader.closing_events`."""
        if self._message is not None:
            return self._message.closing_events(reason)
        if self._thread:
            return b"event: done\ndata: [DONE]\n\n"
        closing = super().closing_events(reason)
        return closing + b"data: [DONE]\n\n" if self._maker == "choices" and closing else closing

    def _facts(self, kind: str | None, value: Mapping[str, Any]) -> EventFacts:
        if not self._maker and (maker := next((name for name in _MAKERS if name in value), "")):
            self._maker, self.complete = maker, False
        self._thread = self._thread or (text(value.get("object")) or "").startswith("thread.")
        if metrics := mapping(value.get(_METRICS)):
            tokens_in, tokens_out = count(metrics.get("inputTokenCount")), count(metrics.get("outputTokenCount"))
            if tokens_in is not None or tokens_out is not None:
                self._usage = Usage(tokens_in, tokens_out)
        reason = _reason(value)
        self.stop_reason = reason or self.stop_reason
        if reason is not None or value.get("is_finished") is True or metrics:
            self.complete = True
            return EventFacts(content=not metrics, terminal=True)
        return EventFacts(content=bool(self._maker))

    def _closing(self, reason: str) -> list[tuple[str | None, dict[str, Any]]]:
        word = _word(reason)
        if (flat := _ENDS.get(self._maker)) is not None:
            return [(None, {name: each if isinstance(each, str) else each[word] for name, each in flat.items()})]
        match self._maker:
            case "outputs":
                return [(None, {"outputs": [{"text": "", "stop_reason": "length" if word == "length" else "stop"}]})]
            case "choices":
                return [(None, {"choices": [{"index": 0, "delta": {}, "finish_reason": word}]})]
            case "contentBlockDelta":
                stops = {"stop": "end_turn", "length": "max_tokens", "content_filter": "content_filtered"}
                return [(None, {"messageStop": {"stopReason": stops[word]}})]
            case "event_type":
                finish = {"stop": "COMPLETE", "length": "MAX_TOKENS", "content_filter": "ERROR_TOXIC"}[word]
                return [(None, {"event_type": "stream-end", "is_finished": True, "finish_reason": finish})]
        return []


def _word(reason: str) -> str:
    return stop_reason(reason, "chat")


def _reason(value: Mapping[str, Any]) -> str | None:
    """Why it stopped, where this event says so: at its top, in its one output or choice, or in ``messageStop``."""
    parts = [value, mapping(value.get("messageStop"))]
    for name in ("outputs", "choices"):
        if isinstance(found := value.get(name), list):
            parts += map(mapping, found)
    return next((reason for part in parts for name in _REASONS if (reason := text(part.get(name)))), None)

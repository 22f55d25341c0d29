"""Amazon Bedrock's Converse and ConverseStream (docs.aws.amazon.com, "Amazon Bedrock Runtime").

Streams are read as the server-sent events that `pipeline.reframing` makes of their frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from helicone_gw.dialects._json import count, items, mapping, text
from helicone_gw.dialects._provider import ProviderFormat, ProviderReader, total
from helicone_gw.dialects._words import stop_reason
from helicone_gw.dialects.base import EventFacts, Reply
from helicone_gw.model import Usage

_STOPS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "content_filtered"}


class ConverseFormat(ProviderFormat):
    """``POST /model/{id}/converse`` and ``/converse-stream``."""

    dialect = "bedrock"
    prompt_top: ClassVar[frozenset[str]] = frozenset({"system", "messages", "promptVariables"})
    reply_top: ClassVar[frozenset[str]] = frozenset({"output"})
    text_keys: ClassVar[frozenset[str]] = frozenset(
        {
            "message",
            "content",
            "text",
            "reasoningContent",
            "reasoningText",
            "toolUse",
            "toolResult",
            "citationsContent",
            "guardContent",
            "document",
            "context",
            "searchResult",
            "title",
            "source",
        }
    )
    whole_keys: ClassVar[frozenset[str]] = frozenset({"input", "json"})

    def __init__(self) -> None:
        super().__init__("converse")

    def with_model(self, body: bytes, model: str) -> bytes:
        """The body itself: the address names the model."""
        return body

    def _reply(self, value: Mapping[str, Any]) -> Reply:
        return Reply(
            model=_routed(value),
            usage=converse_usage(value),
            stop_reason=text(value.get("stopReason")),
        )

    def stream_reader(self) -> ConverseReader:
        """See `WireFormat.stream_reader`."""
        return ConverseReader()


class ConverseReader(ProviderReader):
    """Reads a stream of Converse's: ``messageStop`` ends the answer, and ``metadata`` with the usage comes after it."""

    def __init__(self) -> None:
        super().__init__()
        self._open: dict[int, None] = {}
        self._started = False

    def _facts(self, kind: str | None, value: Mapping[str, Any]) -> EventFacts:
        index = count(value.get("contentBlockIndex"))
        match kind:
            case "messageStart":
                self._started = True
                return EventFacts(preamble=True)
            case "contentBlockStart":
                content = "toolUse" in mapping(value.get("start"))
                return EventFacts(content=content, preamble=not content)
            case "contentBlockDelta":
                if index is not None:
                    self._open[index] = None
                content = any(mapping(value.get("delta")).values())
                return EventFacts(content=content, preamble=not content)
            case "contentBlockStop":
                if index is not None:
                    self._open.pop(index, None)
            case "messageStop":
                self.stop_reason = text(value.get("stopReason")) or self.stop_reason
                self.complete = True
                return EventFacts(terminal=True)
            case "metadata":
                self._usage = converse_usage(value) or self._usage
                self.model = _routed(value) or self.model
                return EventFacts(usage_only=True)
        return EventFacts()

    def _closing(self, reason: str) -> list[tuple[str | None, dict[str, Any]]]:
        events: list[tuple[str | None, dict[str, Any]]] = []
        if not self._started:
            events.append(("messageStart", {"role": "assistant"}))
        events += [("contentBlockStop", {"contentBlockIndex": index}) for index in self._open]
        stop = _STOPS[stop_reason(reason, "chat")]
        return [*events, ("messageStop", {"stopReason": stop})]


def converse_usage(value: Mapping[str, Any]) -> Usage | None:
    """The usage of a reply or of ``metadata``: ``inputTokens`` leaves out what the cache read and wrote."""
    raw = mapping(value.get("usage"))
    read, written = count(raw.get("cacheReadInputTokens")), count(raw.get("cacheWriteInputTokens"))
    tokens_in, tokens_out = total(raw.get("inputTokens"), read, written), count(raw.get("outputTokens"))
    if tokens_in is None and tokens_out is None:
        return None
    details = (mapping(detail) for detail in items(raw.get("cacheDetails")))
    return Usage(
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=next(
            (count(detail.get("inputTokens")) for detail in details if detail.get("ttl") == "1h"), None
        ),
        service_tier=text(mapping(value.get("serviceTier")).get("type")),
    )


def _routed(value: Mapping[str, Any]) -> str | None:
    """The model that a prompt router chose; any other reply does not name its model."""
    router = mapping(mapping(value.get("trace")).get("promptRouter"))
    invoked = text(router.get("invokedModelId"))
    return None if invoked is None else invoked.rpartition("/")[2]

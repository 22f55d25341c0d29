"""Replicate's predictions (replicate.com/docs, "HTTP API" and "Streaming output").

A stream has plain text in its ``output`` events. Its tokens are counted in the prediction alone, which
`upstream.predictions` fetches when the stream is over and puts before ``done``, as an event ``prediction``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from helicone_gw.dialects._json import count, mapping, text
from helicone_gw.dialects._provider import ProviderFormat, ProviderReader
from helicone_gw.dialects.base import EventFacts, Reply
from helicone_gw.dialects.errors import with_error
from helicone_gw.model import Usage
from helicone_gw.sse import event_data, event_name

FAILED = frozenset({"failed", "canceled", "aborted"})
"""Statuses of a prediction that will have no (more) output."""


class PredictionsFormat(ProviderFormat):
    """``POST /v1/predictions``, ``/v1/models/{owner}/{name}/predictions`` and ``/v1/deployments/...``."""

    dialect = "replicate"
    prompt_top: ClassVar[frozenset[str]] = frozenset({"input"})
    reply_top: ClassVar[frozenset[str]] = frozenset({"output"})
    whole_keys: ClassVar[frozenset[str]] = frozenset({"input", "output"})
    text_keys: ClassVar[frozenset[str]] = frozenset({"prompt", "system_prompt", "text", "content"})

    def __init__(self) -> None:
        super().__init__("predictions")

    def with_model(self, body: bytes, model: str) -> bytes:
        """The body itself: the address names the model."""
        return body

    def _reply(self, value: Mapping[str, Any]) -> Reply:
        failed = text(value.get("status")) in FAILED
        reply = Reply(
            model=text(value.get("model")),
            usage=prediction_usage(value),
            stop_reason=text(value.get("status")),
        )
        return with_error(reply, value.get("error") or (failed and f"The prediction {value.get('status')}."))

    def stream_reader(self) -> PredictionReader:
        """See `WireFormat.stream_reader`."""
        return PredictionReader()


class PredictionReader(ProviderReader):
    """Reads the events of a stream, which ``done`` ends."""

    def feed(self, event: bytes) -> EventFacts:
        """See `StreamReader.feed`. What ``output`` events hold is text, whatever it looks like."""
        name = event_name(event)
        if name == "output":
            content = bool(event_data(event))
            return EventFacts(content=content, preamble=not content)
        if name == "done":
            self.complete = True
        return super().feed(event)

    def _facts(self, kind: str | None, value: Mapping[str, Any]) -> EventFacts:
        if kind == "done":
            reason = text(value.get("reason"))
            self.stop_reason = reason or "succeeded"
            if reason is None:
                return EventFacts(terminal=True)
            return EventFacts(error=f"The prediction ended early: {reason}.")
        if kind == "prediction":
            self.model = text(value.get("model")) or self.model
            self._usage = prediction_usage(value) or self._usage
            return EventFacts(usage_only=True)
        return EventFacts(preamble=True)

    def _other(self, name: str | None, data: bytes) -> EventFacts:
        return EventFacts(terminal=name == "done", preamble=name != "done")

    def _closing(self, reason: str) -> list[tuple[str | None, dict[str, Any]]]:
        return [("done", {})]


def prediction_usage(value: Mapping[str, Any]) -> Usage | None:
    """The tokens in a prediction's ``metrics``, which official language models report."""
    metrics = mapping(value.get("metrics"))
    tokens_in, tokens_out = count(metrics.get("input_token_count")), count(metrics.get("output_token_count"))
    return None if tokens_in is None and tokens_out is None else Usage(tokens_in, tokens_out)

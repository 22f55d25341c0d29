"""Replicate's predictions (replicate.com/docs, "HTTP API" and "Streaming output").

A stream has plain text in its ``output`` events. Its tokens are counted in the prediction alone, which
`upstream.predictions` fetches when the stream is over and puts before ``done``, as an event ``prediction``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from msgspec.structs import replace

from helicone_gw.dialects._json import Unreadable, count, decode, mapping, text
from helicone_gw.dialects._provider import ProviderFormat, ProviderReader
from helicone_gw.dialects._rewriting import Path, with_strings
from helicone_gw.dialects.base import Envelope, EventFacts, Reply
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


class CreatePredictionFormat(PredictionsFormat):
    """The same as Replicate's own clients ask for them: what became of a prediction is for them to read.

    The body's ``model`` means nothing there, the address or a ``version`` says which one answers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operation = "create_prediction"

    def envelope(self, body: bytes) -> Envelope:
        """See `WireFormat.envelope`."""
        return replace(super().envelope(body), model=None, stream=False)

    def reply_text(self, body: bytes) -> list[str]:
        """See `WireFormat.reply_text`; an output in pieces is one text."""
        pieces = super().reply_text(body)
        return ["".join(pieces)] if _output_pieces(body) else pieces

    def with_reply_text(self, body: bytes, change: Callable[[str], str]) -> bytes:
        """See `WireFormat.with_reply_text`; an output in pieces becomes a single one where it changes."""
        pieces = _output_pieces(body)
        if not pieces:
            return super().with_reply_text(body, change)
        whole = "".join(pieces)
        after = change(whole)
        if after == whole:
            return body
        changes: dict[Path, str] = {("output", number): "" for number in range(1, len(pieces))}
        return with_strings(body, {("output", 0): after} | changes)

    def _reply(self, value: Mapping[str, Any]) -> Reply:
        return replace(super()._reply(value), error=None)


def _output_pieces(body: bytes) -> list[str]:
    try:
        value = decode(body)
    except Unreadable:
        return []
    found = value.get("output") if isinstance(value, dict) else None
    return found if isinstance(found, list) and all(isinstance(piece, str) for piece in found) else []


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

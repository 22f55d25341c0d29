"""Replicate's predictions as an `Egress`: answers read, whole or as the events of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from helicone_gw.dialects._json import items, mapping, text
from helicone_gw.dialects.errors import read_error
from helicone_gw.dialects.replicate import FAILED, prediction_usage
from helicone_gw.dialects.translate.base import Destination, Framing, Outgoing
from helicone_gw.dialects.translate.conversation import ConversationRequest, Text
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.replicate_request import write_prediction
from helicone_gw.dialects.translate.reply import (
    Choice,
    ConversationReply,
    Ended,
    Failed,
    PartEnded,
    PartStarted,
    Started,
    Stopped,
    StreamEvent,
    TextDelta,
    UsageReported,
)
from helicone_gw.model import Usage
from helicone_gw.sse import event_data, event_name


class ReplicateEgress:
    """See `base.Egress`. Why a model stopped is not said: what is there counts as complete."""

    dialect = "replicate"
    framing: Framing = "sse"

    def write_request(self, request: ConversationRequest, to: Destination, loss: Loss) -> Outgoing:
        """See `base.Egress.write_request`."""
        return write_prediction(request, to, loss)

    def read_reply(self, body: bytes, loss: Loss) -> ConversationReply:
        """See `base.Egress.read_reply`."""
        raw = msgspec.json.decode(body)
        if not isinstance(raw, dict) or "status" not in raw or raw["status"] in FAILED:
            raise ValueError("the body is no prediction that succeeded")
        words = _read_output(raw.get("output"), loss)
        return ConversationReply(
            id=text(raw.get("id")) or "",
            model=text(raw.get("model")) or "",
            created=_moment(raw.get("created_at")),
            choices=[Choice([Text(words)] if words else [], "stop")],
            usage=prediction_usage(raw),
        )

    def stream_reader(self, loss: Loss) -> PredictionReader:
        """See `base.Egress.stream_reader`."""
        return PredictionReader(loss)


def _read_output(output: Any, loss: Loss) -> str:
    """A text, or its pieces; of anything else (addresses of files, objects) the JSON text, which is a loss."""
    if output is None:
        return ""
    if isinstance(output, str):
        return output
    if isinstance(output, list) and all(isinstance(piece, str) for piece in items(output)):
        return "".join(output)
    loss.note("output")
    return msgspec.json.encode(output).decode()


def _moment(value: Any) -> int | None:
    """Epoch seconds of RFC 3339."""
    try:
        return int(datetime.fromisoformat(value).timestamp()) if isinstance(value, str) else None
    except (ValueError, OverflowError, OSError):
        return None


class PredictionReader:
    """Reads a stream; see `base.StreamReader`. It is one text, in pieces."""

    def __init__(self, loss: Loss) -> None:
        self._loss = loss
        self._started = False
        self._writing = False
        self._over = False
        self._usage: Usage | None = None

    def feed(self, event: bytes) -> Sequence[StreamEvent]:
        """See `base.StreamReader.feed`."""
        name, data = event_name(event), event_data(event)
        if self._over or name is None:
            return ()
        events: list[StreamEvent] = []
        if name == "error":
            self._over = True
            wire = read_error(_object(data) or data.decode("utf-8", "replace"))
            return (Failed(wire.message, wire.status),)
        if not self._started:
            self._started = True
            events.append(Started("", ""))
        match name:
            case "output" if data:
                if not self._writing:
                    self._writing = True
                    events.append(PartStarted(0, "text"))
                events.append(TextDelta(0, data.decode("utf-8", "replace")))
            case "prediction":
                self._usage = prediction_usage(_object(data)) or self._usage
            case "done":
                return self._end(_object(data), events)
        return events

    def finish(self) -> Sequence[StreamEvent]:
        """See `base.StreamReader.finish`."""
        return ()

    def _end(self, value: Any, events: list[StreamEvent]) -> Sequence[StreamEvent]:
        self._over = True
        reason = text(value.get("reason"))
        if reason is not None:
            return (Failed(f"The prediction ended early: {reason}."),)
        if self._writing:
            events.append(PartEnded(0))
        events.append(Stopped("stop"))
        if self._usage is not None:
            events.append(UsageReported(self._usage))
        return [*events, Ended()]


def _object(data: bytes) -> Any:
    try:
        return mapping(msgspec.json.decode(data))
    except (ValueError, RecursionError):
        return {}

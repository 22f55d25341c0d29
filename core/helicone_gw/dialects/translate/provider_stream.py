"""What readers of streams have in common whose events are JSON objects and whose dialects only providers speak."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from helicone_gw.dialects._json import mapping
from helicone_gw.dialects.errors import WireError, read_error
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.openparts import OpenParts
from helicone_gw.dialects.translate.reply import Ended, Failed, Started, Stopped, StopReason, StreamEvent, UsageReported
from helicone_gw.model import Usage
from helicone_gw.sse import event_data, event_name


class ObjectStreamReader:
    """Base of these readers; see `base.StreamReader`. Nothing is said after an error or after the end."""

    def __init__(self, loss: Loss) -> None:
        self._loss = loss
        self._parts = OpenParts(filled=True)
        self._started = False
        self._over = False

    def feed(self, event: bytes) -> Sequence[StreamEvent]:
        """See `base.StreamReader.feed`."""
        data = event_data(event)
        if not data or self._over:
            return ()
        try:
            value = mapping(msgspec.json.decode(data))
        except (ValueError, RecursionError):
            return ()
        name = event_name(event)
        failure = self._failure(name, value)
        if failure is not None:
            self._over = True
            return (Failed(failure.message, failure.status, dict(value)),)
        events: list[StreamEvent] = []
        if not self._started:
            self._started = True
            events.append(self._begin(value))
        self._read(name, value, events)
        return events

    def finish(self) -> Sequence[StreamEvent]:
        """See `base.StreamReader.finish`."""
        return ()

    def _failure(self, name: str | None, value: Any) -> WireError | None:
        """The error that this event is, if it is one."""
        if name == "error" or value.get("error"):
            return read_error(value.get("error") or value)
        return None

    def _begin(self, value: Any) -> Started:
        """What the first event says of the answer."""
        return Started("", "")

    def _read(self, name: str | None, value: Any, events: list[StreamEvent]) -> None:
        """Add to ``events`` what this event says."""
        raise NotImplementedError

    def _end(self, reason: StopReason, usage: Usage | None, events: list[StreamEvent]) -> None:
        """The answer is complete."""
        self._over = True
        self._parts.end_all(events)
        events.append(Stopped(reason))
        if usage is not None:
            events.append(UsageReported(usage))
        events.append(Ended())

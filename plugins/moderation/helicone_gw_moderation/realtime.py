"""Realtime: the messages of a WebSocket looked through, both ways; its sound is not.

What the client says is refused, or redacted, message by message: an error event answers one that is refused, and the
session goes on. What the model says is held back as streams are; one that is ended ends the session.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from helicone_gw import Chunk, Clock, Exchange, GatewayError, MalformedBody, Passed, every_text, with_every_text
from helicone_gw_moderation.config import ModerationConfig
from helicone_gw_moderation.plan import Hit, Plan
from helicone_gw_moderation.policy import Policy
from helicone_gw_moderation.report import ModerationCounters, Report, refusal
from helicone_gw_moderation.stream import StreamGuard
from helicone_gw_moderation.texts import look_now
from helicone_gw_moderation.vault import Vault

MOST_CHARACTERS = 100_000
"""Characters of text in one message; a longer one is refused where something would be refused or redacted."""
OPERATIONS = frozenset({"realtime", "realtime.other", "responses.other"})
"""Operations that may be a WebSocket."""
_SOUND = re.compile(r'"type"\s*:\s*"response\.(?:output_)?audio\.delta"')
_NOTHING = Plan((), ())


class _Silent:
    """The end of a session has no events of its own."""

    def feed(self, event: bytes) -> object:
        """Nothing."""
        return None

    def closing_events(self, reason: str) -> bytes:
        """Nothing."""
        return b""


class RealtimeGuard:
    """A `MessageFilter` of one session under its policy."""

    def __init__(
        self,
        exchange: Exchange,
        policy: Policy,
        config: ModerationConfig,
        clock: Clock,
        counters: ModerationCounters,
        report: Report,
        hold: float,
    ) -> None:
        self._exchange = exchange
        self._input = policy.input or _NOTHING
        self._output = policy.output or _NOTHING
        self._config = config
        self._clock = clock
        self._counters = counters
        self._report = report
        self._hold = hold
        self._vault = Vault(config.max_redacted)
        self._stream = self._new_stream()
        self._refused: Hit | None = None
        self._held: dict[int, tuple[Chunk, str]] = {}
        """Chunks that are held, or were replaced, by their identity, and the messages that they stand for."""
        self._heard = False

    def from_client(self, message: str | bytes) -> Passed:
        """See `MessageFilter.from_client`."""
        plan = self._input
        if not plan.checks:
            return Passed((message,))
        try:
            data = message.encode() if isinstance(message, str) else message
            texts = every_text(data)
            if sum(map(len, texts)) > MOST_CHARACTERS:
                raise MalformedBody("The message is too long for the gateway's safety policy.")
        except (MalformedBody, UnicodeEncodeError) as problem:
            if plan.enforces:
                said = problem.message if isinstance(problem, MalformedBody) else "The message is no text."
                return Passed((), (_error(said, "cannot_be_moderated", None),))
            self._report.unread("request")
            return Passed((message,))
        if b'"audio"' in data or not isinstance(message, str):
            self._sound()
        looked = look_now(plan, texts, values=self._vault)
        self._report.add_all(looked.hits, "input")
        if (hit := looked.blocking) is not None:
            return Passed((), (_refusal(refusal(self._exchange, hit, "input"), data),))
        if not looked.changes:
            return Passed((message,))
        changed = with_every_text(data, looked.change)
        return Passed((changed.decode() if isinstance(message, str) else changed,))

    def from_upstream(self, message: str | bytes) -> Passed:
        """See `MessageFilter.from_upstream`."""
        if not isinstance(message, str) or _SOUND.search(message, 0, 1000) is not None:
            self._sound()
            return Passed((), (message,))
        if not (self._output.checks or self._input.checks):
            return Passed((), (message,))
        chunk = Chunk(b"data: %s\n\n" % message.replace("\n", " ").replace("\r", " ").encode("utf-8", "replace"))
        value: Any = chunk.json
        kind = value.get("type") if isinstance(value, dict) else None
        if kind == "conversation.item.input_audio_transcription.completed" and self._said(value):
            return self._ended()
        self._held[id(chunk)] = chunk, message
        out = self._stream.feed(chunk, self._clock.monotonic())
        passed = self._passed((chunk,) if out is None else out)
        if kind == "response.done" and not self._stream.holding:
            self._stream.close()
            self._stream = self._new_stream()
        return passed

    def tick(self) -> Passed:
        """See `MessageFilter.tick`."""
        return self._passed(self._stream.tick(self._clock.monotonic()))

    def end(self) -> Passed:
        """See `MessageFilter.end`."""
        return self._passed(self._stream.end(self._clock.monotonic()))

    def _passed(self, chunks: Sequence[Chunk]) -> Passed:
        if self._stream.blocked:
            return self._ended()
        messages: list[str] = []
        for chunk in chunks:
            held = self._held.pop(id(chunk), None)
            messages.append(chunk.data[6:].strip().decode() if held is None else held[1])
        if not self._stream.holding:
            self._held.clear()
        return Passed((), messages)

    def _ended(self) -> Passed:
        self._held.clear()
        error: GatewayError | None = None
        if self._refused is not None:
            error = refusal(self._exchange, self._refused, "output")
            self._exchange.error = self._exchange.error or error
        said = (_refusal(error, b""),) if error is not None else ()
        return Passed((), said, "content_filter")

    def _said(self, value: Any) -> bool:
        """Whether what the user said, as somebody wrote it down, ends the session."""
        text = value.get("transcript")
        if not isinstance(text, str) or not self._input.checks:
            return False
        hits = look_now(self._input, [text]).hits
        self._report.add_all(hits, "input")
        self._refused = self._refused or next((hit for hit in hits if hit.action == "block"), None)
        return self._refused is not None

    def _new_stream(self) -> StreamGuard:
        return StreamGuard(
            self._output,
            self._vault,
            "openai",
            "responses",
            _Silent(),
            self._found,
            self._counters,
            hold=self._hold,
            max_held=int(self._config.stream.max_held),
        )

    def _sound(self) -> None:
        if not self._heard:
            self._heard = True
            self._report.unread("sound")

    def _found(self, hit: Hit) -> None:
        self._report.add(hit, "output")
        if hit.action == "block" and self._refused is None:
            self._refused = hit


def _refusal(error: GatewayError, asked: bytes) -> str:
    event: Any = None
    if asked:
        event = msgspec.json.decode(asked, type=dict[str, Any]).get("event_id")
    return _error(error.message, error.code or "", event)


def _error(message: str, code: str, event: Any) -> str:
    said = {"type": "invalid_request_error", "code": code, "message": message, "param": None, "event_id": event}
    return msgspec.json.encode({"type": "error", "event_id": "", "error": said}).decode()

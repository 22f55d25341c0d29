"""Realtime: the messages of a WebSocket looked through, both ways; its sound is not.

What the client says is refused, or redacted, message by message: an error event answers one that is refused, and the
session goes on. What the model says is held back as streams are; one that is ended ends the session. Messages wait for
judges in their order, and so does what comes of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from helicone_gw import Chunk, Clock, Exchange, GatewayError, MalformedBody, Passed, every_text, with_every_text
from helicone_gw_moderation.config import ModerationConfig
from helicone_gw_moderation.events import error_event, message_type, refusal_event
from helicone_gw_moderation.judging import Judging, no_verdict
from helicone_gw_moderation.plan import Hit, Plan
from helicone_gw_moderation.policy import Policy
from helicone_gw_moderation.queueing import Queue, Queued
from helicone_gw_moderation.report import ModerationCounters, Report, refusal
from helicone_gw_moderation.stream import StreamGuard
from helicone_gw_moderation.texts import look_now
from helicone_gw_moderation.vault import Vault
from helicone_gw_moderation.waiting import Verdicts

MOST_CHARACTERS = 100_000
"""Characters of text in one message; a longer one is refused where something would be refused or redacted."""
OPERATIONS = frozenset({"realtime", "realtime.other", "responses.other"})
"""Operations that may be a WebSocket."""
_SOUND = re.compile(r'"type"\s*:\s*"response\.(?:output_)?audio\.delta"')
_SPOKEN = "input_audio_buffer.append"
"""The message that brings sound, and nothing to be judged."""
_NOTHING = Plan((), ())
NOTHING = Passed()


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
        judging: Judging,
        hold: float,
    ) -> None:
        self._exchange = exchange
        self._input = policy.input or _NOTHING
        self._output = policy.output or _NOTHING
        self._config = config
        self._clock = clock
        self._counters = counters
        self._report = report
        self._judging = judging
        self._hold = hold
        self._queue = Queue(self._ask, self._most)
        self._spoken = Queue(self._ask, 0)
        """For what the user was heard to say, which has been said by then."""
        self._vault = Vault(config.max_redacted)
        self._stream = self._new_stream()
        self._refused: Hit | None = None
        self._held: dict[int, tuple[Chunk, str]] = {}
        """Chunks that are held, or were replaced, by their identity, and the messages that they stand for."""
        self._heard = False
        self._answered = False
        """Whether what is held ends a response."""

    @property
    def _most(self) -> int:
        return int(self._config.stream.max_held)

    def close(self) -> None:
        """The session is over."""
        self._queue.close()
        self._spoken.close()
        self._stream.close()

    def from_client(self, message: str | bytes) -> Passed:
        """See `MessageFilter.from_client`."""
        plan = self._input
        if not (plan.checks or plan.judged):
            return Passed((message,))
        try:
            data = message.encode() if isinstance(message, str) else message
            texts = every_text(data)
            if sum(map(len, texts)) > MOST_CHARACTERS:
                raise MalformedBody("The message is too long for the gateway's safety policy.")
        except (MalformedBody, UnicodeEncodeError) as problem:
            if plan.enforces:
                said = problem.message if isinstance(problem, MalformedBody) else "The message is no text."
                return Passed((), (error_event(said, "cannot_be_moderated", None),))
            self._report.unread("request")
            return self._in_turn(message, b"", ())
        if b'"audio"' in data or not isinstance(message, str):
            self._sound()
        looked = look_now(plan, texts, values=self._vault)
        self._report.add_all(looked.hits, "input")
        if (hit := looked.blocking) is not None:
            return Passed((), (refusal_event(refusal(self._exchange, hit, "input"), data),))
        if looked.changes:
            changed = with_every_text(data, looked.change)
            message = changed.decode() if isinstance(message, str) else changed
        judged = plan.judged and message_type(data) != _SPOKEN
        after = [looked.change(text) for text in texts if not text.isspace()] if judged else []
        if after and not plan.awaits:
            self._ask_beside(self._queue, after)
            after = []
        return self._in_turn(message, data, after)

    def _in_turn(self, message: str | bytes, said: bytes, texts: Sequence[str]) -> Passed:
        if not texts and not self._queue:
            return Passed((message,))
        if not self._queue.put(Queued(message, said, texts)):
            return Passed(
                (), (error_event("Too many messages wait for the gateway's safety policy.", "too_much_waits", None),)
            )
        return NOTHING

    async def _ask(self, texts: Sequence[str]) -> list[Hit]:
        return await self._judging.judge(self._input, texts, "input", self._exchange)

    def _ask_beside(self, queue: Queue, texts: Sequence[str]) -> None:
        if not queue.ask_beside(texts):
            self._report.unread("judges")

    def _heard_out(self) -> bool:
        """Whether something is against what the user was heard to say, or nobody can tell."""
        hits, self._spoken.noted = self._spoken.noted, []
        self._report.add_all(hits, "input")
        self._refused = self._refused or next((hit for hit in hits if hit.action == "block"), None)
        return self._refused is not None or self._spoken.failed is not None

    def _judged(self) -> Passed:
        """What the client said, and there is a verdict on by now."""
        if self._queue.noted:
            self._report.add_all(self._queue.noted, "input")
            self._queue.noted.clear()
        if not self._queue:
            return NOTHING
        on, back = list[str | bytes](), list[str]()
        for each in self._queue.leaving():
            self._report.add_all(each.hits, "input")
            error = each.error
            if (hit := next((hit for hit in each.hits if hit.action == "block"), None)) is not None:
                error = refusal(self._exchange, hit, "input")
            if error is None:
                on.append(each.message)
            else:
                back.append(refusal_event(error, each.said))
        return Passed(on, back)

    def from_upstream(self, message: str | bytes) -> Passed:
        """See `MessageFilter.from_upstream`."""
        if not isinstance(message, str) or _SOUND.search(message, 0, 1000) is not None:
            self._sound()
            return Passed((), (message,))
        if not (self._output.checks or self._output.judged or self._input.checks or self._input.judged):
            return Passed((), (message,))
        chunk = Chunk(b"data: %s\n\n" % message.replace("\n", " ").replace("\r", " ").encode("utf-8", "replace"))
        value: Any = chunk.json
        kind = value.get("type") if isinstance(value, dict) else None
        if kind == "conversation.item.input_audio_transcription.completed" and self._said(value):
            return self._ended()
        self._held[id(chunk)] = chunk, message
        out = self._stream.feed(chunk, self._clock.monotonic())
        if kind == "response.done":
            self._answered = True
            if self._stream.verdicts is not None:
                self._stream.verdicts.last()
        return self._passed((chunk,) if out is None else out)

    def tick(self) -> Passed:
        """See `MessageFilter.tick`."""
        own = self._judged()
        over = self._heard_out()
        passed = self._ended() if over else self._passed(self._stream.tick(self._clock.monotonic()))
        return Passed(own.to_upstream, (*own.to_client, *passed.to_client), passed.close)

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
            if self._answered:
                self._answered = False
                self._stream.close()
                self._stream = self._new_stream()
        return Passed((), messages)

    def _ended(self) -> Passed:
        self._held.clear()
        error: GatewayError
        if self._refused is None:
            error = self._spoken.failed or no_verdict()
        else:
            error = refusal(self._exchange, self._refused, "output")
        self._exchange.error = self._exchange.error or error
        return Passed((), (refusal_event(error, b""),), "content_filter")

    def _said(self, value: Any) -> bool:
        """Whether what the user said, as somebody wrote it down, ends the session."""
        text = value.get("transcript")
        if not isinstance(text, str):
            return False
        if self._input.judged and text.strip():
            self._ask_beside(self._spoken, [text])
        if not self._input.checks:
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
            max_held=self._most,
            verdicts=self._new_verdicts(),
        )

    def _new_verdicts(self) -> Verdicts | None:
        plan = self._output
        if not plan.judged:
            return None

        async def ask(texts: Sequence[str]) -> list[Hit]:
            if any(check.action == "redact" for check in plan.checks):
                looked = look_now(plan, texts)
                texts = [looked.change(text) for text in texts]
            return await self._judging.judge(plan, texts, "output", self._exchange)

        return Verdicts(
            ask,
            every=self._config.stream.judge_every,
            hold=self._hold,
            closed=self._judging.closed(plan),
            awaited=plan.awaits,
            keep=self._judging.longest(plan),
        )

    def _sound(self) -> None:
        if not self._heard:
            self._heard = True
            self._report.unread("sound")

    def _found(self, hit: Hit) -> None:
        self._report.add(hit, "output")
        if hit.action == "block" and self._refused is None:
            self._refused = hit

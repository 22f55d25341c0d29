"""Guarding: one exchange under its policy, from the request to the last event of its answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

from helicone_gw import (
    Chunk,
    Clock,
    Exchange,
    GatewayError,
    Request,
    Response,
    stream_reader,
    wire_format,
)
from helicone_gw_moderation.config import ModerationConfig
from helicone_gw_moderation.endings import ended_channels
from helicone_gw_moderation.intake import Intake, for_judges
from helicone_gw_moderation.judging import Judging, no_verdict
from helicone_gw_moderation.odds import without_odds
from helicone_gw_moderation.overrides import override_texts, with_overrides
from helicone_gw_moderation.plan import Hit, Plan
from helicone_gw_moderation.policy import Policy
from helicone_gw_moderation.reading import of_answer
from helicone_gw_moderation.realtime import OPERATIONS, RealtimeGuard
from helicone_gw_moderation.report import ModerationCounters, Report, refusal
from helicone_gw_moderation.seams import look_at_seams
from helicone_gw_moderation.stream import StreamGuard
from helicone_gw_moderation.texts import Clean, Looked, look
from helicone_gw_moderation.vault import Vault, placeholders
from helicone_gw_moderation.waiting import Verdicts

TICK = 0.1
"""Seconds between two looks at what a stream has held back for too long."""

_SWITCHED = 101
"""The status of a WebSocket."""
_OPAQUE = re.compile(r".*/(?:audio/speech|content|results)/?")
"""Paths whose answers are no JSON and no events: sound, files, results of batches."""


class Guard:
    """What the plugin keeps on an exchange."""

    def __init__(
        self,
        exchange: Exchange,
        policy: Policy,
        config: ModerationConfig,
        judging: Judging,
        clock: Clock,
        counters: ModerationCounters,
        clean: Clean,
    ) -> None:
        self._exchange = exchange
        self._policy = policy
        self._config = config
        self._judging = judging
        self._clock = clock
        self._counters = counters
        self._clean = clean
        self._report = Report(exchange, counters)
        self._intake = Intake(exchange, config, self._report)
        self._vault: Vault | None = None
        self._left: bytes | None = None
        """The body as it was looked through and left."""
        self._texts: Sequence[str] = ()
        """Those of the request that were looked through, and what became of them."""
        self._looked = Looked()
        self._stream: StreamGuard | None = None
        self._messages: RealtimeGuard | None = None
        self._refused: Hit | None = None
        self._awaited: asyncio.Future[Any] | None = None
        counters.checked += 1

    # DOWN

    async def request(self) -> Request | None:
        """Look through the request. Raises the refusal; a changed request replaces it."""
        exchange, plan = self._exchange, self._policy.input
        request = exchange.request
        wire = wire_format(request.dialect, request.operation)
        changed: Request | None = None
        if request.method == "GET" and request.operation in OPERATIONS:
            self._listen()
        elif plan is not None and request.body != b"":
            changed = await self._look_at(plan, request)
        if self._policy.output is not None or (self._vault is not None and self._vault.values):
            exchange.watch_stream()
            exchange.read_answer(text=True)
            if wire is None:
                # Nobody else reads the answer, so that it could come in a coding that the gateway does not know.
                request = changed or request
                changed = request.replace(headers=request.headers.set("accept-encoding", "identity"))
            if _OPAQUE.fullmatch(request.path) is not None:
                self._intake.refuse_unread(self._policy.output)  # else it is noted when it comes
        self._left = exchange.request.body if changed is None else changed.body
        return changed

    @property
    def is_another(self) -> bool:
        """Whether plugins further in made another body of the request than the one that was looked through."""
        return self._exchange.request.body is not self._left and self._policy.input is not None

    async def again(self) -> None:
        """Look through what plugins further in made of the request (a fallback's ``bodyKeyOverride``, a prompt that was
        cut to fit). Raises the refusal."""
        exchange, plan = self._exchange, self._policy.input
        assert plan is not None
        seen = frozenset(map(self._looked.change, self._texts))
        changed = await self._look_at(plan, exchange.request, seen)
        if changed is not None:
            exchange.request = changed
        self._left = exchange.request.body

    def _listen(self) -> None:
        """Look through the messages of a WebSocket, if it is one."""
        exchange, policy = self._exchange, self._policy
        if exchange.request.operation == "realtime":  # others may be something that is fetched
            for plan in (policy.input, policy.output):
                self._intake.refuse_unread(plan)  # its sound cannot be
        hold = max(0.0, self._config.stream.hold - TICK)
        self._messages = RealtimeGuard(
            exchange, policy, self._config, self._clock, self._counters, self._report, self._judging, hold
        )
        exchange.filter_messages(self._messages)

    async def _look_at(self, plan: Plan, request: Request, seen: frozenset[str] = frozenset()) -> Request | None:
        found = await self._intake.texts(plan, request)
        if found is None:
            return None
        texts = [*found.texts, *override_texts(request)]
        values = self._vault or Vault(self._config.max_redacted)
        values.keep_off(found for text in texts for found in placeholders(text))
        full = values.full
        new = [text for text in texts if text not in seen] if seen else texts
        joined = await look_at_seams(plan, found.runs, values, self._clean)
        looked = await look(plan, [joined.change(text) for text in new], values=values, clean=self._clean)
        looked.hits, looked.joined = joined.hits + looked.hits, joined.joined
        self._counters.not_restorable += values.full - full
        self._report.add_all(looked.hits, "input")
        if (hit := looked.blocking) is not None:
            raise refusal(self._exchange, hit, "input")
        if values.values:
            self._vault = values
        self._texts, self._looked = texts, looked
        if plan.judged and new:
            after = [looked.change(text) for text in for_judges(request, texts)]
            self._exchange.before_commit(self._judge_request(plan, after), timeout=self._judging.budget(plan))
        if not looked.changed:
            return None
        return with_overrides(request, looked.change).replace(body=found.write(looked.change))

    async def _judge_request(self, plan: Plan, texts: Sequence[str]) -> None:
        hits = await self._judging.judge(plan, texts, "input", self._exchange)
        self._report.add_all(hits, "input")
        blocking = next((hit for hit in hits if hit.action == "block"), None)
        if blocking is not None:
            raise refusal(self._exchange, blocking, "input")

    # UP, whole

    async def response(self, response: Response) -> Response | None:
        """Look through a whole answer. Raises the refusal; a changed answer replaces it."""
        exchange, plan = self._exchange, self._policy.output or _NOTHING
        request = exchange.request
        wire = wire_format(request.dialect, request.operation)
        if response.status == _SWITCHED:
            return None  # its messages were looked through
        if response.streamed and self._stream is None and response.status < 400:
            self._report.unread("answer")  # too large to be held, or of a form that is relayed as it is
        if response.streamed or response.status >= 400 or not response.body:
            return None
        found = None
        if response.headers.get("content-encoding") in (None, "identity"):
            found = of_answer(response.body, request.operation, wire)
        if found is None:
            self._report.unread("answer")
            self._intake.refuse_unread(plan)
            return None
        texts = found.texts
        looked = await look(plan, texts, vault=self._vault, clean=self._clean)
        self._report.add_all(looked.hits, "output")
        try:
            blocking = looked.blocking
            if blocking is None and plan.judged and texts:
                hits = await self._judge_answer(plan, texts)
                self._report.add_all(hits, "output")
                blocking = next((hit for hit in hits if hit.action == "block"), None)
            if blocking is not None:
                raise refusal(exchange, blocking, "output")
        except GatewayError:
            exchange.annotate("cache.store", False)
            raise
        if not looked.changes:
            return None
        return response.replace(body=without_odds(found.write(looked.change)))

    async def _judge_answer(self, plan: Plan, texts: Sequence[str]) -> list[Hit]:
        """What judges have against an answer, or its beginning. They see what is redacted as it is redacted."""
        if any(check.action == "redact" for check in plan.checks):
            looked = await look(plan, texts)
            texts = [looked.change(text) for text in texts]
        return await self._judging.judge(plan, texts, "output", self._exchange)

    # UP, streamed

    def chunk(self, chunk: Chunk) -> Sequence[Chunk] | None:
        """Look through one event of a streamed answer."""
        guard = self._stream or self._begin()
        now = self._clock.monotonic()
        if chunk.kind == "tick":
            out: Sequence[Chunk] | None = guard.tick(now)
        elif chunk.kind == "end":
            out = guard.end(now)
        else:
            out = guard.feed(chunk, now)
            if guard.verdicts is not None:
                self._expect_verdict(guard.verdicts, chunk)
        if guard.blocked and not self._exchange.ended_early:
            self._end(guard)
        return out

    def _begin(self) -> StreamGuard:
        exchange, plan = self._exchange, self._policy.output or _NOTHING
        dialect, operation = exchange.request.dialect, exchange.request.operation
        config = self._config.stream
        hold = max(0.0, config.hold - TICK)  # it is noticed one tick later
        verdicts = None
        if plan.judged:
            verdicts = Verdicts(
                lambda texts: self._judge_answer(plan, texts),
                every=config.judge_every,
                hold=hold,
                closed=self._judging.closed(plan),
                awaited=plan.awaits,
                keep=self._judging.longest(plan),
            )
        self._counters.streams += 1
        self._stream = StreamGuard(
            plan,
            self._vault,
            dialect,
            operation,
            stream_reader(dialect, operation),
            self._found,
            self._counters,
            hold=hold,
            max_held=int(config.max_held),
            verdicts=verdicts,
        )
        return self._stream

    def _expect_verdict(self, verdicts: Verdicts, chunk: Chunk) -> None:
        """Before a stream's end, have the end wait for the last verdict."""
        if ended_channels(chunk.json, chunk.data) and (last := verdicts.last()) not in (None, self._awaited):
            self._awaited = last
            plan = self._policy.output or _NOTHING
            seconds = 2 * self._judging.budget(plan) if verdicts.closed else self._config.stream.hold
            self._exchange.hold_end(asyncio.wait({last}), timeout=seconds)

    def _end(self, guard: StreamGuard) -> None:
        exchange = self._exchange
        error: GatewayError | None = None if guard.verdicts is None else guard.verdicts.error
        if self._refused is not None:
            error = refusal(exchange, self._refused, "output")
        exchange.error = exchange.error or error or no_verdict()
        exchange.annotate("cache.store", False)
        exchange.end_stream("content_filter", closed=True)

    def _found(self, hit: Hit) -> None:
        self._report.add(hit, "output")
        if hit.action == "block" and self._refused is None:
            self._refused = hit

    # END

    def close(self) -> None:
        """The exchange is over."""
        if self._stream is not None:
            self._stream.close()
        if self._messages is not None:
            self._messages.close()
        self._vault = None


_NOTHING = Plan((), ())

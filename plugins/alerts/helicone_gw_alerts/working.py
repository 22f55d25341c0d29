"""Working: the one worker of many that evaluates, follows and delivers; the others wait until it is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from sqlalchemy.exc import SQLAlchemyError

from helicone_gw_alerts import evaluators, webhooks
from helicone_gw_alerts.dispatching import Dispatcher
from helicone_gw_alerts.errors import LogUnavailable, Refusal
from helicone_gw_alerts.evaluating import Evaluation
from helicone_gw_alerts.following import Follower, Following
from helicone_gw_alerts.outbox import Target

if TYPE_CHECKING:
    from helicone_gw import Gateway
    from helicone_gw_alerts.config import AlertsConfig

LEADS: Final = "alerts"
LONGEST_NAP: Final = 4.0
"""Seconds between two questions whether this worker leads, at most: a lease is fifteen."""


class WorkCounters(Struct):
    """How often this worker looked; ``leading`` is 1 while it is the one that does. ``troubled``: a look failed."""

    looks: int = 0
    troubled: int = 0
    leading: int = 0


class Work:
    """What is done in the background. Trouble with database or log is logged once, and the work goes on."""

    def __init__(
        self,
        gateway: Gateway,
        config: AlertsConfig,
        evaluation: Evaluation,
        following: Following,
        dispatcher: Dispatcher,
        hooks: webhooks.Webhooks,
        scored: evaluators.Evaluators,
    ) -> None:
        self._gateway = gateway
        self._config = config
        self._evaluation = evaluation
        self._following = following
        self._dispatcher = dispatcher
        self._webhooks = hooks
        self._evaluators = scored
        self._task: asyncio.Task[None] | None = None
        self._evaluating: asyncio.Task[None] | None = None
        self._next_evaluation = 0.0
        self._trouble = ""
        self.counters = WorkCounters()

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name="alerts.work")

    async def close(self) -> None:
        """End, what is being delivered included."""
        for task in (self._task, self._evaluating):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        await self._dispatcher.close()

    async def look(self) -> None:
        """One look: evaluate what is due, follow the log, deliver. Raises what may pass."""
        clock = self._gateway.clock
        self._begin_evaluation(clock.monotonic())
        try:
            followers = await self.followers()
            await self._following.step(followers)
        finally:
            await self._dispatcher.look()

    async def followers(self) -> Sequence[Follower]:
        """Whoever wants to hear of requests."""
        hooks, online = await self._webhooks.all(), await self._evaluators.online()
        return [
            *(
                Follower(each.organization_id, Target(webhooks.KIND, each.id), each.config, each.created_at)
                for each in hooks
            ),
            *(
                Follower(each.organization_id, Target(evaluators.KIND, each.id), each.config, each.created_at)
                for each in online
            ),
        ]

    def _begin_evaluation(self, now: float) -> None:
        """Evaluate beside the rest: a slow question must not hold deliveries up."""
        if self._evaluating is not None and self._evaluating.done():
            task, self._evaluating = self._evaluating, None
            problem = None if task.cancelled() else task.exception()
            if problem is not None:
                self._told("alerts cannot be evaluated", problem)
        if self._evaluating is None and now >= self._next_evaluation:
            self._next_evaluation = now + self._config.evaluate_every
            self._evaluating = asyncio.create_task(self._evaluation.all(), name="alerts.evaluate")

    async def _run(self) -> None:
        pause = min(self._config.poll_every, LONGEST_NAP)
        while True:
            await self._gateway.clock.sleep(pause)  # first of all: the pages that are asked come after the start
            try:
                leads = await self._gateway.leadership.holds(LEADS)
                self.counters.leading = int(leads)
                self._dispatcher.leading = leads
                if leads:
                    self.counters.looks += 1
                    await self.look()
                    self._trouble = ""
            except (SQLAlchemyError, OSError, TimeoutError, LogUnavailable, Refusal) as problem:
                self._told("webhooks and evaluators do not hear of requests at the moment", problem)
            except Exception as problem:
                self._told("the background work failed", problem)

    def _told(self, what: str, problem: BaseException) -> None:
        """Say it once: until it went well again, or is another one."""
        self.counters.troubled += 1
        said: Any = str(problem) if isinstance(problem, (LogUnavailable, Refusal)) else type(problem).__name__
        if said != self._trouble:
            self._trouble = said
            self._gateway.log.warning(what, plugin="alerts", problem=said)

"""Evaluating: alerts are measured, fire, and are resolved; each time once, whoever evaluates."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from helicone_gw import new_id
from helicone_gw_alerts.errors import LogUnavailable, Refusal
from helicone_gw_alerts.keeping import Alert, Event, Keeper
from helicone_gw_alerts.measuring import Measuring, Sample
from helicone_gw_alerts.notices import notice
from helicone_gw_alerts.outbox import Outbox, Target
from helicone_gw_alerts.rules import Rule
from helicone_gw_alerts.tables import EVENT

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from helicone_gw import Clock

NOTIFICATION: Final = "notification"
"""The kind of an alert's deliveries."""


class EvaluationCounters(Struct):
    """What became of looks at alerts; ``failed`` could not be measured, and changed nothing."""

    evaluated: int = 0
    failed: int = 0
    triggered: int = 0
    resolved: int = 0


class Evaluation:
    """Looks at alerts."""

    def __init__(self, keeper: Keeper, measuring: Measuring, outbox: Outbox, clock: Clock, log: Any) -> None:
        self._keeper = keeper
        self._measuring = measuring
        self._outbox = outbox
        self._clock = clock
        self._log = log
        self.counters = EvaluationCounters()

    async def all(self) -> None:
        """Evaluate every alert. One that cannot be measured stays as it is. Raises SQLAlchemy's errors."""
        alerts = await self._keeper.alerts()
        for alert in alerts:
            try:
                await self.one(alert)
                self.counters.evaluated += 1
            except (LogUnavailable, Refusal) as problem:
                self.counters.failed += 1
                self._log.warning("an alert cannot be evaluated", alert=alert.id, problem=str(problem))
            except SQLAlchemyError:
                raise
            except Exception as problem:  # a fault of ours, of which the other alerts must not suffer
                self.counters.failed += 1
                self._log.error("evaluating an alert failed", alert=alert.id, problem=type(problem).__name__)
        await self._keeper.prune(alerts)

    async def one(self, alert: Alert) -> None:
        """Measure an alert, and tell of what changed. Raises `LogUnavailable`, `Refusal`, SQLAlchemy's errors."""
        samples = await self._measuring.measure(alert.rule, alert.organization, self._clock.now())
        open_events = await self._keeper.open_events(alert.organization, alert.id)
        for group, sample in samples.items():
            if group not in open_events and fires(alert.rule, sample):
                await self._open(alert, group, sample)
        for group, event in open_events.items():
            after = samples.get(group, Sample(None, 0))
            if after.value is None and after.requests:
                continue  # nobody knows: it stays as it is
            if not fires(alert.rule, after):
                await self._close(alert, event, after)

    async def _open(self, alert: Alert, group: str, sample: Sample) -> None:
        assert sample.value is not None
        event = Event(
            id=new_id(),
            organization_id=alert.organization,
            alert_id=alert.id,
            alert_name=alert.rule.name,
            metric=alert.rule.metric,
            group_value=group,
            value=sample.value,
            requests=sample.requests,
            started_at=self._clock.now(),
            ended_at=None,
            open_key=_open_key(alert, group),
        )
        row = {name: getattr(event, name) for name in event.__struct_fields__}
        try:
            async with self._keeper.database.begin() as connection:
                await connection.execute(insert(EVENT).values(**row))
                await self._tell(connection, alert, "triggered", event, sample)
        except IntegrityError:
            return  # another worker was quicker
        self.counters.triggered += 1
        self._log.warning("an alert fired", alert=alert.id, name=alert.rule.name, metric=alert.rule.metric)

    async def change(self, alert: Alert, rule: Rule) -> None:
        """Have ``alert`` be ``rule`` from now on. Raises `Refusal`, `NoSuch`, SQLAlchemy's errors.

        What is triggered stays so until the next look, which goes by the new rule. Where that measures something else,
        it is resolved for those who were told of it: what is true of one measure says nothing of another.
        """
        open_events = await self._keeper.open_events(alert.organization, alert.id)
        other = rule.measured != alert.rule.measured
        async with self._keeper.database.begin() as connection:
            await self._keeper.change(connection, alert, rule)
            ended = [
                await self._end(connection, alert, event, Sample(None, None)) for event in open_events.values() if other
            ]
        self.counters.resolved += sum(ended)

    async def _close(self, alert: Alert, event: Event, sample: Sample) -> None:
        async with self._keeper.database.begin() as connection:
            if not await self._end(connection, alert, event, sample):
                return  # another worker was quicker
        self.counters.resolved += 1
        self._log.info("an alert was resolved", alert=alert.id, name=alert.rule.name)

    async def _end(self, connection: AsyncConnection, alert: Alert, event: Event, sample: Sample) -> bool:
        """End what is triggered and tell of it; whether nobody had done so before."""
        now = self._clock.now()
        mine = (EVENT.c.id == event.id, EVENT.c.open_key.is_not(None))
        ended = await connection.execute(update(EVENT).where(*mine).values(ended_at=now, open_key=None))
        if ended.rowcount:
            await self._tell(connection, alert, "resolved", event, sample, now)
        return bool(ended.rowcount)

    async def _tell(
        self, connection: Any, alert: Alert, what: str, event: Event, sample: Sample, ended_at: float | None = None
    ) -> None:
        payload: Mapping[str, Any] = notice(
            what,
            id=event.id,
            alert_id=alert.id,
            organization=alert.organization,
            rule=alert.rule,
            group=event.group_value,
            value=sample.value,
            requests=sample.requests,
            started_at=event.started_at,
            ended_at=ended_at,
        )
        for receiver in alert.rule.receivers():
            target = Target(NOTIFICATION, f"{receiver}")
            await self._outbox.put(connection, alert.organization, target, [payload])


def fires(rule: Rule, sample: Sample) -> bool:
    """Whether ``sample`` is one to tell of: known, of enough requests, and beyond the threshold."""
    if sample.value is None or (sample.requests or 0) < (rule.minimum_request_count or 0):
        return False
    return rule.breached(sample.value)


def _open_key(alert: Alert, group: str) -> str:
    return hashlib.sha256("\0".join((alert.organization, alert.id, group)).encode()).hexdigest()

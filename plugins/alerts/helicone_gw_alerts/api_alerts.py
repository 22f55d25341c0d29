"""The REST API of alerts (contract 14.3): what there is, making and deleting, a look at the past, a test."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from helicone_gw import new_id
from helicone_gw_alerts.dispatching import Undeliverable
from helicone_gw_alerts.errors import LogUnavailable, Refusal
from helicone_gw_alerts.evaluating import Evaluation, fires
from helicone_gw_alerts.keeping import Alert, Event, Keeper
from helicone_gw_alerts.measuring import Measuring
from helicone_gw_alerts.notices import notice
from helicone_gw_alerts.rules import STANDING, Rule, check
from helicone_gw_alerts.sending import Sender
from helicone_gw_alerts.serving import Call, Pages

if TYPE_CHECKING:
    from helicone_gw import Gateway
    from helicone_gw_alerts.config import AlertsConfig
    from helicone_gw_alerts.log import Log

MAX_STEPS: Final = 120
"""Instants of a look at the past."""
PREVIEW_SECONDS: Final = 30.0
"""Seconds that it may take."""


class Preview(Struct, frozen=True, forbid_unknown_fields=True):
    """An alert as it would be made, and when it is to be looked at: ``steps`` times up to ``end`` (ISO 8601; now)."""

    alert: Rule
    start: str | None = None
    end: str | None = None
    steps: int = 30


class AlertService:
    """What the API of alerts works with."""

    def __init__(
        self,
        gateway: Gateway,
        config: AlertsConfig,
        keeper: Keeper,
        measuring: Measuring,
        evaluation: Evaluation,
        sender: Sender,
        log: Log,
    ) -> None:
        self.gateway = gateway
        self.config = config
        self.keeper = keeper
        self.measuring = measuring
        self.evaluation = evaluation
        self.sender = sender
        self.log = log

    def channels(self, organization: str) -> dict[str, str]:
        """The channels that alerts of ``organization`` may use, with their types."""
        return {name: each.type for name, each in self.config.channels.items() if each.serves(organization)}

    async def checked(self, organization: str, rule: Rule) -> Rule:
        """``rule`` if it makes sense and its filter does. Raises `Refusal`, `LogUnavailable`."""
        check(rule, self.channels(organization), mail=self.config.smtp is not None)
        if rule.metric not in STANDING and rule.asked != "all":
            await self.measuring.measure(rule, organization, self.gateway.clock.now())
        return msgspec.structs.replace(rule, org_id=None)


def declare(pages: Pages, service: AlertService) -> None:
    """Add the pages."""
    keeper, audit = service.keeper, service.gateway.audit

    async def query(call: Call) -> Any:
        events = await keeper.history(call.organization)
        triggered = await keeper.triggered(call.organization)  # which may have begun before the history does
        alerts = await keeper.alerts(call.organization)
        return {
            "alerts": [_shown(each, each.id in triggered) for each in alerts],
            "history": [_event(each) for each in events],
        }

    pages.route("GET", "/v1/alert/query")(query)

    async def create(call: Call) -> Any:
        rule = await service.checked(call.organization, await call.body(Rule))
        made = await keeper.create(call.organization, rule)
        await audit(call.key, "alert.create", f"alert:{made}", after={"name": rule.name, "metric": rule.metric})
        return made

    pages.route("POST", "/v1/alert/create", role="member")(create)
    pages.route("POST", "/alerts", role="member")(create)

    async def delete(call: Call, id: str) -> None:
        await keeper.delete(call.organization, id)
        await audit(call.key, "alert.delete", f"alert:{id}")

    pages.route("DELETE", "/v1/alert/<id>", role="member")(delete)
    pages.route("DELETE", "/alert/<id>", role="member")(delete)

    @pages.route("GET", "/v1/alert/channels")
    async def channels(call: Call) -> Any:
        found = service.channels(call.organization)
        return {
            "channels": [{"name": name, "type": kind} for name, kind in found.items()],
            "email": service.config.smtp is not None,
        }

    @pages.route("POST", "/v1/alert/preview")
    async def preview(call: Call) -> Any:
        body = await call.body(Preview)
        rule = await service.checked(call.organization, body.alert)
        try:
            async with asyncio.timeout(PREVIEW_SECONDS):
                return await _preview(service, call.organization, rule, body)
        except TimeoutError:
            raise LogUnavailable("that takes too long; with fewer steps it is found sooner") from None

    @pages.route("POST", "/v1/alert/<id>/test", role="member")
    async def test(call: Call, id: str) -> Any:
        alert = await keeper.alert(call.organization, id)
        now = service.gateway.clock.now()
        made = notice(
            "test",
            id=new_id(),
            alert_id=alert.id,
            organization=call.organization,
            rule=alert.rule,
            group="",
            value=None,
            requests=None,
            started_at=now,
            ended_at=None,
        )

        async def told(receiver: str) -> dict[str, Any]:
            error = None
            try:
                await service.sender.send(call.organization, receiver, made)
            except Undeliverable as problem:
                error = str(problem)
            return {"receiver": receiver, "delivered": error is None, "error": error}

        return await asyncio.gather(*map(told, alert.rule.receivers()))


async def _preview(service: AlertService, organization: str, rule: Rule, body: Preview) -> Any:
    """What the alert would have measured, and when it would have fired and been resolved."""
    if not 1 <= body.steps <= MAX_STEPS:
        raise Refusal(f"steps: between 1 and {MAX_STEPS}.")
    if rule.metric in STANDING:
        raise Refusal(f"metric: of {rule.metric} the past is not known.")
    end = service.gateway.clock.now() if body.end is None else _instant("end", body.end)
    start = end - body.steps * rule.window / 1000 if body.start is None else _instant("start", body.start)
    if start >= end:
        raise Refusal("start: it must be before the end.")
    points, firing, times = [], set[str](), 0
    for step in range(1, body.steps + 1):
        at = start + (end - start) * step / body.steps
        samples = await service.measuring.measure(rule, organization, at)
        for group in {*samples, *firing}:
            sample = samples.get(group)
            fired = sample is not None and fires(rule, sample)
            unknown = sample is not None and sample.value is None and bool(sample.requests)
            times += fired and group not in firing
            if fired:
                firing.add(group)
            elif not unknown:
                firing.discard(group)
            points.append(
                {
                    "at": _moment(at),
                    "group": group or None,
                    "value": None if sample is None else sample.value,
                    "requests": 0 if sample is None else sample.requests,
                    "triggered": group in firing,
                }
            )
    return {"points": points, "times_triggered": times}


def _shown(alert: Alert, triggered: bool) -> dict[str, Any]:
    rule = alert.rule
    return {
        **msgspec.to_builtins(rule),
        "id": alert.id,
        "org_id": alert.organization,
        "time_window": str(rule.window),
        "aggregation": rule.aggregated,
        "status": "triggered" if triggered else "resolved",
        "configured": alert.created_at is None,
        "created_at": None if alert.created_at is None else _moment(alert.created_at),
    }


def _event(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "org_id": event.organization_id,
        "alert_id": event.alert_id,
        "alert_name": event.alert_name,
        "alert_metric": event.metric,
        "group": event.group_value or None,
        "alert_start_time": _moment(event.started_at),
        "alert_end_time": None if event.ended_at is None else _moment(event.ended_at),
        "triggered_value": event.value,
        "requests": event.requests,
        "status": "triggered" if event.ended_at is None else "resolved",
    }


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def _instant(name: str, text: str) -> float:
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise Refusal(f"{name}: it is no ISO 8601 time.") from None

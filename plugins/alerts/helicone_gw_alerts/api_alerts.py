"""The REST API of alerts (contract 14.3): what there is, making, changing, deleting, a look at the past, a test."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from helicone_gw import new_id
from helicone_gw_alerts.dispatching import Undeliverable
from helicone_gw_alerts.errors import LogUnavailable
from helicone_gw_alerts.evaluating import Evaluation
from helicone_gw_alerts.keeping import Alert, Event, Keeper
from helicone_gw_alerts.measuring import Measuring
from helicone_gw_alerts.notices import notice
from helicone_gw_alerts.previewing import Preview
from helicone_gw_alerts.previewing import preview as previewed
from helicone_gw_alerts.rules import STANDING, Rule, check
from helicone_gw_alerts.sending import Sender
from helicone_gw_alerts.serving import Call, Pages

if TYPE_CHECKING:
    from helicone_gw import Gateway
    from helicone_gw_alerts.config import AlertsConfig
    from helicone_gw_alerts.log import Log

PREVIEW_SECONDS: Final = 30.0
"""Seconds that a look at the past may take."""


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
        await audit(call.key, "alert.create", f"alert:{made}", after=_told(rule))
        return made

    pages.route("POST", "/v1/alert/create", role="member")(create)
    pages.route("POST", "/alerts", role="member")(create)

    @pages.route("PUT", "/v1/alert/<id>", role="member")
    async def change(call: Call, id: str) -> Any:
        before = await keeper.alert(call.organization, id)
        rule = await service.checked(call.organization, await call.body(Rule))
        await service.evaluation.change(before, rule)
        told = (_told(before.rule), _told(rule))
        await audit(call.key, "alert.change", f"alert:{id}", before=told[0], after=told[1])
        return _shown(msgspec.structs.replace(before, rule=rule), id in await keeper.triggered(call.organization))

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
                now = service.gateway.clock.now()
                return await previewed(service.measuring, call.organization, rule, body, now)
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


def _told(rule: Rule) -> dict[str, Any]:
    """What the audit log has of a rule: not its filter, which may be long and name people."""
    return {
        "name": rule.name,
        "metric": rule.metric,
        "threshold": rule.threshold,
        "comparison": rule.comparison,
        "window": rule.window,
        "tells": rule.receivers(),
    }


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

"""Alerts of the running plugin: they measure the log, fire, tell, are resolved; the REST API; a look at the past."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from helicone_gw import Usage
from helicone_gw.testing import GatewayFactory, ScriptedProvider
from helicone_gw.testing.dialects import openai_chat
from helicone_gw_alerts.log import Log
from helicone_gw_alerts.measuring import Measuring, Sample
from helicone_gw_alerts.rules import Rule
from tests.plugins.alerts.running import LOGGED, evaluated, logged, plugin, receiver, rest

pytestmark = pytest.mark.virtual_time
NAPS: dict[str, Any] = {"poll_every": 1e8, "evaluate_every": 1e8}
HOOK: dict[str, Any] = {"type": "webhook", "url": "http://sink.test/alerts", "secret": "s3cret"}


def alerts(**more: Any) -> dict[str, Any]:
    return {"alerts": {**NAPS, "channels": {"hook": HOOK}, **more}}


def events(sink: ScriptedProvider) -> list[tuple[str, str | None, float | None]]:
    return [(each.json()["event"], each.json()["group"], each.json()["value"]) for each in sink.requests]


async def test_it_fires_once_and_is_resolved_once(gateway: GatewayFactory) -> None:
    errors = {"metric": "response.status", "threshold": 50, "window": 60, "channels": ["hook"], "minimum_requests": 3}
    sink, provider = receiver(), ScriptedProvider(default=openai_chat.error(500, "no"))
    config = alerts(alerts={"errors": errors})
    async with gateway([*LOGGED, config], http=sink, provider=provider) as running:
        for number in range(3):
            await running.chat()
            await evaluated(running)
            assert len(sink.requests) == (number == 2), "below the smallest number of requests it is silent"
        await evaluated(running)
        assert events(sink) == [("triggered", None, 100.0)]
        shown = await rest(running, "GET", "/v1/alert/query")
        assert [(each["id"], each["status"], each["configured"]) for each in shown["alerts"]] == [
            ("config:errors", "triggered", True)
        ]
        await running.gateway.clock.sleep(61)
        for _ in range(2):
            await evaluated(running)
        assert events(sink) == [("triggered", None, 100.0), ("resolved", None, None)]
        (past,) = (await rest(running, "GET", "/v1/alert/query"))["history"]
        assert (past["status"], past["triggered_value"], past["requests"]) == ("resolved", 100.0, 3)
        assert past["alert_end_time"] > past["alert_start_time"]


async def test_groups_fire_each_on_its_own(gateway: GatewayFactory) -> None:
    rule = {"metric": "count", "threshold": 2, "channels": ["hook"], "filter": _property("Env", "prod")}
    config = alerts(alerts={"users": {**rule, "by": "user"}, "teams": {**rule, "by": "Team"}})
    sink = receiver()
    async with gateway([*LOGGED, config], http=sink) as running:
        for user, env in (("ann", "prod"), ("ann", "prod"), ("bob", "prod"), ("eve", "dev"), ("eve", "dev")):
            headers = {"Helicone-User-Id": user, "Helicone-Property-Env": env, "Helicone-Property-Team": f"t-{user}"}
            await running.chat(headers=headers)
        await evaluated(running)
        assert sorted(events(sink)) == [("triggered", "ann", 2.0), ("triggered", "t-ann", 2.0)]


def _property(key: str, value: str) -> Any:
    return {"request_response_rmt": {"properties": {key: {"equals": value}}}}


async def test_every_metric_can_be_measured(gateway: GatewayFactory) -> None:
    tokens = ("total_tokens", "prompt_tokens", "completion_tokens", "prompt_cache_read_tokens")
    wanted = [
        ("count", None),
        ("cost", "sum"),
        ("cost", "avg"),
        ("cost", "max"),
        ("cost", "percentile"),
        ("latency", "avg"),
        ("latency", "percentile"),
        ("latency", "min"),
        *((name, how) for name in tokens for how in ("sum", "avg", "min", "max", "percentile")),
    ]
    async with gateway([*LOGGED, alerts()]) as running:
        for number in (5, 10, 15):
            usage = Usage(input_tokens=number, output_tokens=2 * number, cache_read_tokens=number)
            running.provider.enqueue(openai_chat.reply("Hi", usage=usage))
            await running.chat()
        await logged(running)
        await running.gateway.clock.sleep(1)
        found: dict[tuple[str, str | None], float | None] = {}
        for number, (metric, how) in enumerate(wanted):
            form = {"type": "all"} if number % 2 else None
            rule = {"name": "x", "metric": metric, "threshold": 1, "aggregation": how, "filter": form}
            if how == "percentile":
                rule["percentile"] = 50
            told = await rest(running, "POST", "/v1/alert/preview", {"alert": rule, "steps": 1})
            (point,) = told["points"]
            assert point["requests"] == 3
            found[metric, how] = point["value"]
        assert found["count", None] == 3
        for name, one in zip(tokens, (3, 1, 2, 1), strict=True):
            of = [found[name, how] for how in ("sum", "avg", "min", "max", "percentile")]
            assert of == pytest.approx([30 * one, 10 * one, 5 * one, 15 * one, 10 * one], rel=0.01)
        assert found["cost", "sum"] == pytest.approx(3 * found["cost", "avg"])
        assert found["cost", "percentile"] == pytest.approx(found["cost", "avg"])
        assert None not in found.values()


async def test_what_is_unknown_neither_fires_nor_resolves(gateway: GatewayFactory) -> None:
    rule = {"metric": "cost", "threshold": 0.01, "comparison": "lte", "window": 60, "channels": ["hook"]}
    sink = receiver()
    async with gateway([*LOGGED, alerts(alerts={"cheap": rule})], http=sink) as running:
        for known, told in ((False, 0), (True, 1), (False, 1)):
            if not known:
                running.provider.enqueue(openai_chat.reply(usage=None))
            await running.chat()
            await evaluated(running)
            assert len(sink.requests) == told
            await running.gateway.clock.sleep(61)
        assert [each[0] for each in events(sink)] == ["triggered"]


async def test_budgets_and_breakers_are_metrics(gateway: GatewayFactory) -> None:
    config = alerts(
        alerts={
            "spent": {"metric": "budget", "threshold": 10, "channels": ["hook"]},
            "down": {"metric": "breaker", "threshold": 1, "channels": ["hook"]},
        }
    )
    budget = {"ratelimit": {"budgets": {"all": {"limit": 0.001, "period": "month", "mode": "soft"}}}}
    provider, sink = ScriptedProvider(), receiver()
    async with gateway([*LOGGED, config, budget, "router"], http=sink, provider=provider) as running:
        provider.enqueue(openai_chat.reply("Hi", usage=Usage(input_tokens=1000, output_tokens=1000)))
        await running.chat()
        provider.default = openai_chat.error(500, "no")
        for _ in range(5):
            await running.chat()
        await evaluated(running)
        told = {each.json()["alert"]["name"]: each.json() for each in sink.requests}
        assert told.keys() == {"spent", "down"}
        assert told["spent"]["group"] == "all global"
        assert told["spent"]["value"] >= 10
        assert told["down"]["group"].startswith("openai")


async def test_alerts_over_the_api(gateway: GatewayFactory) -> None:
    sink = receiver()
    async with gateway([*LOGGED, alerts()], http=sink) as running:
        # As the form of Helicone's own dashboard has it.
        form = {
            "name": "Slow",
            "metric": "latency",
            "threshold": 0.001,
            "aggregation": "percentile",
            "percentile": 95,
            "grouping": "model",
            "grouping_is_property": False,
            "time_window": "300000",
            "emails": [],
            "slack_channels": ["hook"],
            "minimum_request_count": 1,
            "filter": {"type": "all"},
            "org_id": "whatever",
        }
        made = await rest(running, "POST", "/v1/alert/create", form)
        assert await rest(running, "POST", f"/v1/alert/{made}/test") == [
            {"receiver": "channel:hook", "delivered": True, "error": None}
        ]
        assert sink.requests[0].json()["event"] == "test"
        assert await rest(running, "GET", "/v1/alert/channels") == {
            "channels": [{"name": "hook", "type": "webhook"}],
            "email": False,
        }
        await rest(running, "DELETE", f"/v1/alert/{made}")
        await rest(running, "DELETE", f"/v1/alert/{made}", status=404)
        older = await rest(running, "POST", "/alerts", {"name": "a", "metric": "cost", "threshold": 1})
        (shown,) = (await rest(running, "GET", "/v1/alert/query"))["alerts"]
        assert (shown["id"], shown["time_window"], shown["org_id"]) == (older, "300000", "default")
        await rest(running, "DELETE", f"/alert/{older}")


async def test_a_changed_alert_stays_triggered_while_it_measures_the_same(gateway: GatewayFactory) -> None:
    sink = receiver()
    rule: dict[str, Any] = {"name": "Busy", "metric": "count", "threshold": 2, "channels": ["hook"]}
    audited: list[Any] = []

    class Kept:
        async def record(self, entry: Any) -> None:
            audited.append(entry)

    async with gateway([*LOGGED, alerts(alerts={"own": rule_of("count")})], http=sink) as running:
        running.gateway.audit.register(Kept())
        made = await rest(running, "POST", "/v1/alert/create", rule)
        path = f"/v1/alert/{made}"
        for _ in range(2):
            await running.chat()
        await evaluated(running)
        shown = await rest(running, "PUT", path, {**rule, "name": "Busier", "threshold": 1, "comparison": "gte"})
        assert (shown["id"], shown["name"], shown["threshold"], shown["status"]) == (made, "Busier", 1.0, "triggered")
        await evaluated(running)
        assert events(sink) == [("triggered", None, 2.0)], "it was told of already"

        # One that measures something else is another question: who was told of the first hears that it is over.
        await rest(running, "PUT", path, {**rule, "metric": "total_tokens", "threshold": 1})
        assert events(sink) == [("triggered", None, 2.0)]
        await evaluated(running)
        assert [each[0] for each in events(sink)] == ["triggered", "resolved", "triggered"]
        assert [each.json()["alert"]["metric"] for each in sink.requests] == ["count", "count", "total_tokens"]

        assert [(each.action, each.before["threshold"], each.after["threshold"]) for each in audited[1:2]] == [
            ("alert.change", 2.0, 1.0)
        ]
        for wrong, status in (({"threshold": 0}, 400), ({"metric": "mood"}, 400), ({"channels": ["nowhere"]}, 400)):
            await rest(running, "PUT", path, {**rule, **wrong}, status=status)
        assert "configuration" in await rest(running, "PUT", "/v1/alert/config:own", rule, status=400)
        await rest(running, "DELETE", path)
        await rest(running, "PUT", path, rule, status=404)


def rule_of(metric: str) -> dict[str, Any]:
    return {"metric": metric, "threshold": 1e9}


BAD = [
    ({"threshold": 0}, "threshold"),
    ({"metric": "response.status", "threshold": 101}, "threshold"),
    ({"threshold": 0.001}, "threshold"),
    ({"metric": "mood"}, "metric"),
    ({"time_window": "29999"}, "time_window"),
    ({"time_window": "soon"}, "time_window"),
    ({"aggregation": "percentile"}, "percentile"),
    ({"metric": "latency", "aggregation": "sum"}, "aggregation"),
    ({"grouping": "team"}, "grouping"),
    ({"metric": "count", "aggregation": "avg"}, "aggregation"),
    ({"emails": ["ann@example.com"]}, "emails"),
    ({"slack_channels": ["#nowhere"]}, "channels"),
    ({"filter": {"request_response_rmt": {"mood": {"equals": "good"}}}}, "mood"),
    ({"more": 1}, "more"),
]


async def test_alerts_that_make_no_sense_are_refused(gateway: GatewayFactory) -> None:
    async with gateway([*LOGGED, alerts()]) as running:
        for change, said in BAD:
            body = {"name": "a", "metric": "cost", "threshold": 1, **change}
            assert said in await rest(running, "POST", "/v1/alert/create", body, status=400), change


async def test_a_look_at_the_past_says_when_it_would_have_fired(gateway: GatewayFactory) -> None:
    async with gateway([*LOGGED, alerts()]) as running:
        for wait in (60, 60, 600):
            await running.chat()
            await running.gateway.clock.sleep(wait)
        await logged(running)
        rule = {"name": "x", "metric": "count", "threshold": 1, "time_window": 60_000}
        told = await rest(running, "POST", "/v1/alert/preview", {"alert": rule, "steps": 14})
        assert told["times_triggered"] == 1
        assert [each["value"] for each in told["points"] if each["triggered"]] == [1, 1, 1]


async def test_windows_asked_for_together_say_what_each_would(gateway: GatewayFactory) -> None:
    groupings: list[dict[str, Any]] = [{}, {"grouping": "user"}, {"grouping": "App", "grouping_is_property": True}]
    rules: list[dict[str, Any]] = [
        {"metric": metric, "aggregation": how, "percentile": 90 if how == "percentile" else None, **more}
        for metric, how in (
            ("count", None),
            ("response.status", None),
            ("cost", "avg"),
            ("total_tokens", "percentile"),
        )
        for more in groupings
    ]
    window, number, seen = 5_400_000, 5, 0
    async with gateway([*LOGGED, alerts()]) as running:
        for each in range(16):
            usage = Usage(input_tokens=3 + 7 * each, output_tokens=2)
            status = openai_chat.error(500, "no") if each % 5 == 0 else openai_chat.reply("Hi", usage=usage)
            running.provider.enqueue(status)
            headers = {"Helicone-User-Id": f"user-{each % 3}"} if each % 4 else {"Helicone-Property-App": "shop"}
            await running.chat(headers=headers)
            await running.gateway.clock.sleep(200 * each)
        await logged(running)
        measuring, end = Measuring(Log(running.gateway), running.gateway.health), running.gateway.clock.now()
        for given in rules:
            rule = Rule(name="x", threshold=1, time_window=window, **given)
            apart = [
                await measuring.measure(rule, "default", end - back * window / 1000) for back in reversed(range(number))
            ]
            assert await measuring.windows(rule, "default", end, number) == apart, given
            seen += sum(map(len, apart))
        assert seen > 40
        ranked = Rule(name="x", threshold=1, metric="cost", aggregation="max")
        assert await measuring.windows(ranked, "default", end, number) is None


async def test_a_look_at_the_past_ends_now_and_before_that_at_whole_hours(gateway: GatewayFactory) -> None:
    rule = {"name": "x", "metric": "count", "threshold": 1, "time_window": 7_200_000}
    async with gateway([*LOGGED, alerts()]) as running:
        await running.chat()
        await running.gateway.clock.sleep(1)
        await logged(running)
        told = await rest(running, "POST", "/v1/alert/preview", {"alert": rule, "steps": 4})
        *whole, now = [each["at"] for each in told["points"]]
        assert datetime.fromisoformat(now).timestamp() == pytest.approx(running.gateway.clock.now(), abs=0.01)
        hours = [datetime.fromisoformat(each).timestamp() / 3600 for each in whole]
        assert hours == [hours[0], hours[0] + 2, hours[0] + 4]
        assert hours[0].is_integer()
        assert told["points"][-1]["requests"] == 1, "the last look is at all that there is now"
        at = {"alert": rule, "steps": 3, "end": "2026-01-01T00:00:00.500Z"}
        told = await rest(running, "POST", "/v1/alert/preview", at)
        assert [each["at"][11:23] for each in told["points"]] == ["20:00:00.500", "22:00:00.500", "00:00:00.500"]


async def test_one_that_fails_keeps_no_other_from_firing(
    gateway: GatewayFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = {"metric": "count", "threshold": 1, "channels": ["hook"]}
    sink, measure = receiver(), Measuring.measure

    async def faulty(self: Measuring, rule: Rule, organization: str, now: float) -> dict[str, Sample]:
        if rule.name == "bad":
            raise ZeroDivisionError
        return await measure(self, rule, organization, now)

    monkeypatch.setattr(Measuring, "measure", faulty)
    async with gateway([*LOGGED, alerts(alerts={"bad": rule, "good": rule})], http=sink) as running:
        await running.chat()
        await evaluated(running)
        assert [each.json()["alert"]["name"] for each in sink.requests] == ["good"]
        assert plugin(running).evaluation.counters.failed == 1


async def test_while_the_log_is_away_nothing_changes(gateway: GatewayFactory) -> None:
    rule = {"metric": "count", "threshold": 1, "channels": ["hook"]}
    async with gateway([alerts(alerts={"any": rule})], http=receiver()) as running:
        await plugin(running).evaluation.all()
        counters = plugin(running).evaluation.counters
        assert (counters.failed, counters.triggered) == (1, 0)

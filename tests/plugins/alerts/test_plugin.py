"""The plugin: its README, its command line, organizations and roles, two leaders at once."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from sqlalchemy import select
from typer.testing import CliRunner, Result

from helicone_gw import GatewayKey, KeySource, Plugin, hookimpl
from helicone_gw.config import load_config
from helicone_gw.registry import load
from helicone_gw.testing import GatewayFactory
from helicone_gw_alerts.config import AlertsConfig
from helicone_gw_alerts.plugin import AlertsPlugin
from helicone_gw_alerts.tables import DELIVERY, WEBHOOK
from tests.plugins.alerts.running import ALLOWED, LOGGED, SINK, delivered, evaluated, followed, plugin, receiver, rest

pytestmark = pytest.mark.virtual_time
NAPS: dict[str, Any] = {"poll_every": 1e8, "evaluate_every": 1e8}
HOOK: dict[str, Any] = {"type": "webhook", "url": "http://sink.test/alerts"}
ANY: dict[str, Any] = {"metric": "count", "threshold": 1, "channels": ["hook"], "window": 60}
README = Path(__file__).parents[3] / "plugins" / "alerts" / "README.md"


def test_the_readmes_example_is_a_configuration_that_makes_sense(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    file = tmp_path / "gateway.yaml"
    file.write_text(example)
    config = load_config(file, environ={}, plugin_class=load, known_providers=())
    made = AlertsPlugin(AlertsConfig.model_validate(config.plugins[-1].config), "alerts")
    assert made.remarks(config) == []
    assert "https://hooks" not in repr(made.config)


def test_what_is_wrong_with_alerts_of_the_configuration_is_told() -> None:
    alerts = {"a": {"metric": "mood", "threshold": 1}, "b": {"metric": "cost", "threshold": 1, "channels": ["x"]}}
    config = AlertsConfig.model_validate({"alerts": alerts, "channels": {"m": {"type": "email", "to": ["a@b.c"]}}})
    told = AlertsPlugin(config, "alerts").remarks(SimpleNamespace(plugins=[]))  # type: ignore[arg-type]
    assert [line.partition(":")[0] for line in told[:3]] == ["alerts.a", "alerts.b", "channels.m"]
    assert "logging" in told[3]


class Roles(Plugin):
    """A source of keys: ``<organization>-<role>``."""

    @hookimpl
    async def startup(self, gateway: Any) -> None:
        gateway.keys.register(_Keys())


class _Keys(KeySource):
    configured = True

    async def lookup(self, secret: str) -> GatewayKey | None:
        organization, _, role = secret.partition("-")
        if role not in ("viewer", "member", "admin"):
            return None
        named: Any = role
        return GatewayKey(id=secret, name=secret, owner=secret, organization=organization, role=named)

    async def knows(self, secret: str) -> bool:
        return "-" in secret


async def test_organizations_see_nothing_of_each_other_and_roles_are_kept(gateway: GatewayFactory) -> None:
    sink = receiver()
    config = {"alerts": {**NAPS, "channels": {"hook": {**HOOK, "organizations": ["*"]}}}}
    async with gateway(["roles", *LOGGED, config], http=sink, config=ALLOWED, classes={"roles": Roles}) as running:
        wanted = {"destination": f"{SINK}/secret-path"}
        await rest(running, "POST", "/v1/webhooks", wanted, key="red-viewer", status=403)
        await rest(running, "POST", "/v1/webhooks", wanted, key="red-member")
        rule = {"name": "r", "metric": "count", "threshold": 1, "channels": ["hook"]}
        await rest(running, "POST", "/v1/alert/create", rule, key="red-viewer", status=403)
        alert = await rest(running, "POST", "/v1/alert/create", rule, key="red-member")
        evaluator = {"scoring_type": "regex", "name": "x", "code_template": "x"}
        await rest(running, "POST", "/v1/evaluator", evaluator, key="red-viewer", status=403)
        made = (await rest(running, "POST", "/v1/evaluator", evaluator, key="red-member", status=201))["id"]

        await running.chat(headers={"authorization": "Bearer blue-member"})
        await followed_as(running, "blue-member")
        await evaluated_as(running, "blue-member")
        assert not sink.requests, "what blue did is no business of red's"
        await running.chat(headers={"authorization": "Bearer red-member"})
        await followed_as(running, "red-member")
        await evaluated_as(running, "red-member")
        assert sorted(each.target for each in sink.requests) == ["/alerts", "/secret-path"]

        assert await rest(running, "GET", "/v1/alert/query", key="blue-admin") == {"alerts": [], "history": []}
        assert await rest(running, "GET", "/v1/webhooks", key="blue-admin") == []
        await rest(running, "DELETE", f"/v1/alert/{alert}", key="blue-admin", status=404)
        await rest(running, "PUT", f"/v1/alert/{alert}", rule, key="blue-admin", status=404)
        await rest(running, "PUT", f"/v1/alert/{alert}", rule, key="red-viewer", status=403)
        await rest(running, "GET", f"/v1/evaluator/{made}", key="blue-admin", status=404)
        (shown,) = await rest(running, "GET", "/v1/webhooks", key="red-viewer")
        assert (shown["destination"], shown["hmac_key"]) == (SINK, None)
        (whole,) = await rest(running, "GET", "/v1/webhooks", key="red-member")
        assert (whole["destination"], len(whole["hmac_key"])) == (f"{SINK}/secret-path", 64)


async def followed_as(running: Any, key: str) -> None:
    await rest(running, "POST", "/v1/helicone-sql/execute", {"sql": "SELECT 1 AS one"}, key=key)
    await plugin(running).following.step(await plugin(running).work.followers())


async def evaluated_as(running: Any, key: str) -> None:
    await running.gateway.clock.sleep(1)
    await plugin(running).evaluation.all()
    await delivered(running)


async def test_two_that_work_at_once_tell_once(gateway: GatewayFactory, tmp_path: Path) -> None:
    sink = receiver()
    database = {"database": {"url": f"sqlite:///{tmp_path}/shared.db"}}
    config = {"alerts": {**NAPS, "channels": {"hook": HOOK}, "alerts": {"any": ANY}}}
    async with gateway([*LOGGED, config], http=sink, config={**ALLOWED, **database}) as one:
        await rest(one, "POST", "/v1/webhooks", {"destination": f"{SINK}/hook"})
        for _ in range(5):
            await one.chat()
        await followed(one)
        both = plugin(one)
        for _ in range(3):
            await one.gateway.clock.sleep(1)
            await asyncio.gather(*(both.evaluation.all() for _ in range(4)))
            await one.chat()
            followers = await both.work.followers()
            await asyncio.gather(*(both.following.step(followers) for _ in range(4)))
        await followed(one)
        await one.gateway.clock.sleep(100)
        await asyncio.gather(*(both.evaluation.all() for _ in range(4)))
        async with one.gateway.database.connect() as connection:
            kinds = [*(await connection.execute(select(DELIVERY.c.kind))).scalars()]
        assert kinds.count("notification") == 2, "it fired, and was resolved"
        assert kinds.count("webhook") == 8


async def test_keys_are_sealed_where_something_seals(gateway: GatewayFactory) -> None:
    security = {"security": {"encryption_keys": ["Q0hFQ0stVEhJUy1JUy1OTy1SRUFMLUtFWS0wMTIzNDU="]}}
    sink = receiver()
    async with gateway([*LOGGED, security, {"alerts": NAPS}], http=sink, config=ALLOWED) as running:
        made = await rest(running, "POST", "/v1/webhooks", {"destination": f"{SINK}/hook"})
        async with running.gateway.database.connect() as connection:
            row = (await connection.execute(select(WEBHOOK))).one()
        assert row.sealed
        assert made["hmac_key"] not in row.hmac_key
        assert (await rest(running, "POST", f"/v1/webhooks/{made['id']}/test"))["delivered"]


def commanded(url: str, *arguments: str, **config: Any) -> Result:
    """What ``helicone-gw alerts`` answers."""
    cli = typer.Typer()

    @cli.callback()
    def main(context: typer.Context) -> None:
        context.obj = SimpleNamespace(config=SimpleNamespace(database=SimpleNamespace(url=url)))

    AlertsPlugin(AlertsConfig.model_validate(config), "alerts").register_commands(cli)
    return CliRunner().invoke(cli, ["alerts", *arguments])


async def test_the_command_line_shows_alerts_and_replays_dead_letters(gateway: GatewayFactory, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/gateway.db"
    config = {"alerts": {"any": ANY}, "channels": {"hook": HOOK}}
    once = {"alerts": {**NAPS, **config, "max_attempts": 1}}
    async with gateway([*LOGGED, once], http=receiver(500), config={"database": {"url": url}}) as running:
        await running.chat()
        await evaluated(running)

    def told(*arguments: str) -> Any:
        answer = commanded(url, *arguments, **config)
        assert answer.exit_code == 0, answer.output
        return answer.output

    listed = json.loads(await asyncio.to_thread(told, "list", "--json"))
    assert [(each["id"], each["tells"]) for each in listed] == [("config:any", "channel:hook")]
    assert json.loads(await asyncio.to_thread(told, "history", "--json"))[0]["value"] == 1.0
    (letter,) = json.loads(await asyncio.to_thread(told, "dead-letters", "--json"))
    assert letter["error"] == "it answered 500"
    assert "it answered 500" in await asyncio.to_thread(told, "dead-letters")
    assert await asyncio.to_thread(told, "replay", letter["id"]) == "1 will be delivered again\n"
    assert await asyncio.to_thread(told, "dead-letters") == "There are no dead letters.\n"
    assert (await asyncio.to_thread(commanded, url, "replay")).exit_code == 1
    assert (await asyncio.to_thread(commanded, "sqlite://", "list")).exit_code == 1

"""The hooks of ``alerts``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from helicone_gw import ConfigError, Plugin, hookimpl, measured
from helicone_gw_alerts import evaluating, evaluators, webhooks
from helicone_gw_alerts.config import AlertsConfig
from helicone_gw_alerts.dispatching import Backoff, Dispatcher
from helicone_gw_alerts.errors import Refusal
from helicone_gw_alerts.following import Following
from helicone_gw_alerts.keeping import Keeper
from helicone_gw_alerts.log import Log
from helicone_gw_alerts.measuring import Measuring
from helicone_gw_alerts.outbox import Outbox
from helicone_gw_alerts.rules import check
from helicone_gw_alerts.scoring import Scoring, load_scorers
from helicone_gw_alerts.sending import Sender
from helicone_gw_alerts.working import Work

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import typer
    from quart import Blueprint

    from helicone_gw import ApiOperation, Gateway, GatewayConfig, Measurement

VERSIONS = Path(__file__).parent / "migrations" / "versions"
"""The Alembic revisions of this plugin's tables, branch ``alerts``."""


def _described() -> Sequence[ApiOperation]:
    from helicone_gw_alerts.operations import OPERATIONS  # hardly anybody asks

    return OPERATIONS


class AlertsPlugin(Plugin):
    """Alerts, webhooks and online evaluators over what the gateway logs. It has no part in requests."""

    Config = AlertsConfig
    migrations: ClassVar[dict[str, Path]] = {"alerts": VERSIONS}
    on_failure = "open"
    config: AlertsConfig
    work: Work
    """What is done in the background; there from `startup` on, as what follows."""
    outbox: Outbox
    evaluation: evaluating.Evaluation
    following: Following
    dispatcher: Dispatcher

    def _check(self) -> list[str]:
        """What is wrong with the alerts of the configuration."""
        problems = []
        for name, each in self.config.alerts.items():
            channels = [known for known, one in self.config.channels.items() if one.serves(each.organization)]
            try:
                check(each.rule(name), channels, mail=self.config.smtp is not None)
            except Refusal as problem:
                problems.append(f"alerts.{name}: {problem}")
        for name, channel in self.config.channels.items():
            if channel.type == "email" and self.config.smtp is None:
                problems.append(f"channels.{name}: mail needs a server (smtp)")
        return problems

    def remarks(self, config: GatewayConfig) -> list[str]:
        """What is wrong with its alerts, and what it lacks."""
        logged = any(item.plugin == "logging" for item in config.plugins)
        missing = [] if logged else ["there is no plugin `logging`: nothing is known of any request"]
        return [*self._check(), *missing]

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        """Bring the tables up to date, and begin to work."""
        config = self.config
        problems = self._check()
        if problems:
            raise ConfigError(problems)
        scorers = load_scorers(config.scorers)
        await gateway.database.migrate("alerts", VERSIONS)
        log, clock, bound = Log(gateway), gateway.clock, gateway.log.bind(plugin=self.name)
        self.outbox = Outbox(gateway.database, clock, max_pending=config.max_pending, max_dead=config.max_dead)
        self._log = log
        self._keeper = Keeper(gateway.database, clock, config)
        self._measuring = Measuring(log, gateway.health)
        self.evaluation = evaluating.Evaluation(self._keeper, self._measuring, self.outbox, clock, bound)
        self._sender = Sender(gateway, config)
        self._webhooks = webhooks.Webhooks(gateway, config, log)
        scoring = Scoring(gateway, config, scorers)
        self._evaluators = evaluators.Evaluators(gateway.database, clock, log, scoring, config.max_evaluators)
        self.following = Following(gateway.database, log, self.outbox)
        deliver = {
            evaluating.NOTIFICATION: self._sender.deliver,
            webhooks.KIND: self._webhooks.deliver,
            evaluators.KIND: self._evaluators.deliver,
        }
        backoff = Backoff(config.max_attempts, config.retry_after, config.max_retry_after)
        self.dispatcher = Dispatcher(self.outbox, clock, deliver, backoff)
        self.work = Work(
            gateway, config, self.evaluation, self.following, self.dispatcher, self._webhooks, self._evaluators
        )
        if _first(gateway) is self:
            gateway.keys.register(self._webhooks.links)
            self.work.start()

    @hookimpl
    async def shutdown(self, gateway: Gateway) -> None:
        """End the work; what is not delivered waits in the database."""
        await self.work.close()

    @hookimpl
    def register_routes(self, gateway: Gateway) -> Blueprint | None:
        """Serve the API, once: all instances share a database."""
        if _first(gateway) is not self:
            return None
        from helicone_gw_alerts import api_alerts, api_evaluators, api_webhooks
        from helicone_gw_alerts.serving import Pages

        pages = Pages(f"{self.name}-api")
        service = api_alerts.AlertService(
            gateway, self.config, self._keeper, self._measuring, self.evaluation, self._sender, self._log
        )
        api_alerts.declare(pages, service)
        api_webhooks.declare(pages, self._webhooks, self.outbox, gateway.audit)
        api_evaluators.declare(pages, self._evaluators, self._log, gateway.audit)
        gateway.pages.describe(_described)
        return pages.blueprint

    @hookimpl
    def register_commands(self, cli: typer.Typer) -> None:
        """Add ``helicone-gw alerts``, once: every instance of this plugin has the same database."""
        if any(group.name == "alerts" for group in cli.registered_groups):
            return
        from helicone_gw_alerts.commands import commands

        cli.add_typer(commands(self.config, VERSIONS), name="alerts")

    def measurements(self) -> Iterator[Measurement]:
        """What became of alerts, requests and deliveries."""
        yield from measured(self.name, self.evaluation.counters, "Looks at alerts")
        yield from measured(f"{self.name}_deliveries", self.outbox.counters, "Deliveries")
        yield from measured(f"{self.name}_requests", self.following.counters, "Requests offered to webhooks")
        yield from measured(f"{self.name}_work", self.work.counters, "Background work", gauges=("leading",))


def _first(gateway: Gateway) -> AlertsPlugin:
    return next(plugin for plugin in gateway.plugins if isinstance(plugin, AlertsPlugin))

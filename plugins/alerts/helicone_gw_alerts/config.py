"""The configuration of ``alerts``: channels, alerts, and bounds."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import ByteSize, Field, field_validator

from helicone_gw import PluginConfig, PositiveSeconds, Secret, Size
from helicone_gw_alerts.rules import EMAIL, Rule

Count = Annotated[int, Field(ge=1, le=10_000_000)]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.-]+$")]
Address = Annotated[str, Field(max_length=320, pattern=EMAIL.pattern)]
_URL = re.compile(r"https?://[^\s]+")


class _Channel(PluginConfig):
    organizations: list[str] = Field(
        default=["default"], min_length=1, description='Organizations whose alerts may use it; "*" is all of them.'
    )

    def serves(self, organization: str) -> bool:
        """Whether alerts of ``organization`` may use it."""
        return "*" in self.organizations or organization in self.organizations


def _is_url(value: Secret) -> Secret:
    if not _URL.fullmatch(value.get_secret_value()):
        raise ValueError("it is no http or https URL")
    return value


class EmailChannel(_Channel):
    """Mail, through `smtp`."""

    type: Literal["email"]
    to: list[Address] = Field(min_length=1, max_length=100, description="Who gets it.")


class UrlChannel(_Channel):
    """An incoming webhook of Slack (and Mattermost) or of Discord."""

    type: Literal["slack", "discord"]
    url: Secret = Field(description="The incoming webhook's URL, which is a secret.")
    _checked = field_validator("url")(_is_url)


class PagerdutyChannel(_Channel):
    """PagerDuty's Events API v2."""

    type: Literal["pagerduty"]
    routing_key: Secret = Field(description="The integration key.")
    severity: Literal["critical", "error", "warning", "info"] = Field(default="error", description="Of its events.")
    url: Secret = Field(default=Secret("https://events.pagerduty.com/v2/enqueue"), description="Where events go.")
    _checked = field_validator("url")(_is_url)


class WebhookChannel(_Channel):
    """JSON to any address."""

    type: Literal["webhook"]
    url: Secret = Field(description="Where it is posted to.")
    secret: Secret | None = Field(default=None, description="Signs the body: Helicone-Signature.")
    _checked = field_validator("url")(_is_url)


class CommandChannel(_Channel):
    """A program of this machine, which gets the JSON on its standard input. No shell is involved."""

    type: Literal["command"]
    argv: list[str] = Field(min_length=1, max_length=100, description="The program and its arguments.")
    timeout: PositiveSeconds = Field(default=10.0, description="Seconds after which it is killed.")


Channel = Annotated[
    EmailChannel | UrlChannel | PagerdutyChannel | WebhookChannel | CommandChannel, Field(discriminator="type")
]


class SmtpConfig(PluginConfig):
    """The server that mail goes through."""

    host: str = Field(min_length=1, description="The server.")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(default=587, description="Its port.")
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="How the connection is encrypted; `none` sends passwords in clear."
    )
    username: str | None = Field(default=None, description="Who signs in, if anybody does.")
    password: Secret | None = Field(default=None, description="And the password.")
    sender: Address = Field(description="The sender's address.")


class AlertConfig(PluginConfig):
    """An alert of the configuration."""

    metric: str = Field(description="What is measured: `response.status`, `cost`, `latency`, ...; see the README.")
    threshold: float = Field(description="The value at which it fires.")
    comparison: Literal["gte", "lte"] = Field(default="gte", description="Fires at and above it, or at and below.")
    aggregation: Literal["sum", "avg", "min", "max", "percentile"] | None = Field(
        default=None, description="What becomes of many values; by default what suits the metric."
    )
    percentile: float | None = Field(default=None, description="Which one, between 0 and 100.")
    window: Annotated[float, Field(ge=30, le=30 * 86400)] = Field(
        default=300, description="Seconds that it looks back."
    )
    by: str | None = Field(
        default=None, description="Each user, model or provider on its own; any other name is a property's."
    )
    minimum_requests: int = Field(default=0, ge=0, description="Fires only where there are as many.")
    filter: Any = Field(default="all", description="Which requests: a filter as in queries of the log.")
    channels: list[str] = Field(default=[], max_length=20, description="Who is told.")
    organization: str = Field(default="default", description="Whose requests.")

    def rule(self, name: str) -> Rule:
        """As a rule."""
        known = self.by in (None, "user", "model", "provider")
        return Rule(
            name=name,
            metric=self.metric,
            threshold=self.threshold,
            comparison=self.comparison,
            aggregation=self.aggregation,
            percentile=self.percentile,
            time_window=round(self.window * 1000),
            grouping=self.by,
            grouping_is_property=not known,
            minimum_request_count=self.minimum_requests,
            filter=self.filter,
            channels=list(self.channels),
        )


class JudgeConfig(PluginConfig):
    """The model that judges where an evaluator names none."""

    model: str = Field(default="gpt-4o-mini", description="Which model.")
    timeout: PositiveSeconds = Field(default=30.0, description="Seconds for an answer.")
    max_chars: Annotated[int, Field(ge=100, le=10_000_000)] = Field(
        default=20_000, description="Characters of each text that it is shown; of a longer one the beginning."
    )


class AlertsConfig(PluginConfig):
    """Channels, alerts, how often is looked, and bounds."""

    channels: dict[Name, Channel] = Field(default={}, description="Ways to tell people, by name.")
    smtp: SmtpConfig | None = Field(default=None, description="Where mail goes; without it there is none.")
    alerts: dict[Name, AlertConfig] = Field(default={}, description="Alerts, beside those made over the API.")
    scorers: dict[Name, Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]] = Field(
        default={}, description="Python functions that evaluators may use, by name: `package.module:function`."
    )
    judge: JudgeConfig = Field(default=JudgeConfig(), description="The model that judges.")
    evaluate_every: PositiveSeconds = Field(default=60.0, description="Seconds between two looks at alerts.")
    poll_every: PositiveSeconds = Field(default=1.0, description="Seconds between two looks at new requests.")
    public_url: str | None = Field(
        default=None,
        max_length=500,
        description="The gateway's address for links in webhooks, no slash at the end; default: where it listens.",
    )
    webhook_timeout: PositiveSeconds = Field(default=15.0, description="Seconds for a receiver's answer.")
    max_attempts: Annotated[int, Field(ge=1, le=100)] = Field(
        default=12, description="Attempts of a delivery; after the last one it is a dead letter."
    )
    retry_after: PositiveSeconds = Field(
        default=5.0, description="Seconds before the second attempt; twice as long before each further one."
    )
    max_retry_after: PositiveSeconds = Field(default=3600.0, description="Longest pause between two attempts.")
    max_pending: Count = Field(default=100_000, description="Deliveries that wait, for each receiver.")
    max_dead: Count = Field(default=10_000, description="Dead letters that are kept, for each receiver.")
    max_payload: Size = Field(default=ByteSize(4 << 20), description="Largest body of a webhook that is sent.")
    max_alerts: Count = Field(default=200, description="Alerts of an organization.")
    max_webhooks: Count = Field(default=50, description="Webhooks of an organization.")
    max_evaluators: Count = Field(default=100, description="Evaluators of an organization.")
    history_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        default=90, description="Days for which it is known that an alert fired."
    )

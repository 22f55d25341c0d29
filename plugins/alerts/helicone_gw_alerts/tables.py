"""The tables of alerts, their history, webhooks, evaluators, and of what is still to be delivered.

Times are epoch seconds. Everything belongs to an organization. They are SQLAlchemy's own tables: classes for their
rows, which nobody needs, would take as long to make as all else that the plugin does when it starts.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text

METADATA = MetaData()


def _key(name: str) -> Column[str]:
    return Column(name, String, primary_key=True)


def _there(name: str, kind: Any = String) -> Column[Any]:
    return Column(name, kind, nullable=False)


ALERT = Table(
    "alert",
    METADATA,
    _key("organization_id"),
    _key("id"),
    _there("definition", JSON),
    _there("created_at", Float),
    Column("deleted_at", Float),
)
"""Alerts made over the API; ``definition`` is a `rules.Rule`. Deleted ones stay, for their history."""

EVENT = Table(
    "alert_event",
    METADATA,
    _key("id"),
    _there("organization_id"),
    _there("alert_id"),
    _there("alert_name"),
    _there("metric"),
    _there("group_value"),
    _there("value", Float),
    Column("requests", Integer),
    _there("started_at", Float),
    Column("ended_at", Float),
    Column("open_key", String),
    Index("uq_alert_event_open_key", "open_key", unique=True),
    Index("ix_alert_event_started_at", "organization_id", "started_at"),
)
"""Times in which an alert was, or is, triggered. ``group_value`` is which of its groups, "" where it has none.

``open_key`` is there while it is: no two workers can open the same one, and none can close it twice.
"""

WEBHOOK = Table(
    "webhook",
    METADATA,
    _key("organization_id"),
    _key("id"),
    _there("destination", Text),
    _there("config", JSON),
    _there("include_data", Boolean),
    _there("hmac_key", Text),
    _there("sealed", Boolean),
    _there("created_at", Float),
)
"""Webhooks. ``hmac_key`` is sealed where ``sealed`` says so."""

EVALUATOR = Table(
    "evaluator",
    METADATA,
    _key("organization_id"),
    _key("id"),
    _there("name"),
    _there("scoring_type"),
    Column("llm_template", JSON),
    Column("code_template", JSON),
    _there("created_at", Float),
    _there("updated_at", Float),
)
"""Evaluators; ``llm_template`` and ``code_template`` are what their scoring types need, as JSON."""

ONLINE = Table(
    "evaluator_online",
    METADATA,
    _key("organization_id"),
    _key("id"),
    _there("evaluator_id"),
    _there("config", JSON),
    _there("created_at", Float),
)
"""Evaluators at work on new requests; ``config`` says on which."""

DELIVERY = Table(
    "alert_delivery",
    METADATA,
    _key("id"),
    _there("organization_id"),
    _there("kind"),
    _there("target_id"),
    _there("payload", JSON),
    _there("attempts", Integer),
    _there("next_at", Float),
    _there("dead", Boolean),
    _there("error"),
    _there("created_at", Float),
    Index("ix_alert_delivery_due", "dead", "next_at"),
    Index("ix_alert_delivery_target", "kind", "target_id", "dead", "next_at"),
)
"""What is to be delivered to ``target_id``, of a ``kind`` ("webhook", "evaluation", "notification").

``payload`` is what is known of it; the rest is read when it is delivered. What was delivered has no row any more;
``dead`` ones are kept to be looked at and sent again.
"""

DELIVERED = Table(
    "alert_delivered",
    METADATA,
    _key("id"),
    _there("organization_id"),
    _there("target_id"),
    _there("request_id"),
    _there("attempts", Integer),
    _there("delivered_at", Float),
    Index("ix_alert_delivered_target", "target_id", "delivered_at"),
)
"""What a webhook was sent: the last few of each are kept, to be looked at."""

CURSOR = Table("alert_cursor", METADATA, _key("organization_id"), _there("seq", BigInteger))
"""Up to which number an organization's requests in the log were looked at."""

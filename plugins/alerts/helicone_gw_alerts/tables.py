"""The tables of alerts, their history, webhooks, evaluators, and of what is still to be delivered.

Times are epoch seconds. Everything belongs to an organization.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, Table, Text
from sqlmodel import Field, SQLModel


class AlertRow(SQLModel, table=True):
    """An alert made over the API; ``definition`` is a `rules.Rule`. Deleted ones stay, for their history."""

    __tablename__ = "alert"

    organization_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    definition: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    created_at: float
    deleted_at: float | None = None


class AlertEventRow(SQLModel, table=True):
    """A time in which an alert was, or is, triggered. ``group_value`` is which of its groups, "" where it has none.

    ``open_key`` is there while it is: no two workers can open the same one, and none can close it twice.
    """

    __tablename__ = "alert_event"
    __table_args__ = (
        Index("uq_alert_event_open_key", "open_key", unique=True),
        Index("ix_alert_event_started_at", "organization_id", "started_at"),
    )

    id: str = Field(primary_key=True)
    organization_id: str
    alert_id: str
    alert_name: str
    metric: str
    group_value: str
    value: float
    requests: int | None = None
    started_at: float
    ended_at: float | None = None
    open_key: str | None = None


class WebhookRow(SQLModel, table=True):
    """A webhook. ``hmac_key`` is sealed where ``sealed`` says so."""

    __tablename__ = "webhook"

    organization_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    destination: str = Field(sa_column=Column(Text, nullable=False))
    config: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    include_data: bool
    hmac_key: str = Field(sa_column=Column(Text, nullable=False))
    sealed: bool
    created_at: float


class EvaluatorRow(SQLModel, table=True):
    """An evaluator; ``llm_template`` and ``code_template`` are what its scoring type needs, as JSON."""

    __tablename__ = "evaluator"

    organization_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    name: str
    scoring_type: str
    llm_template: Any = Field(sa_column=Column(JSON, nullable=True))
    code_template: Any = Field(sa_column=Column(JSON, nullable=True))
    created_at: float
    updated_at: float


class OnlineRow(SQLModel, table=True):
    """An evaluator at work on new requests; ``config`` says on which."""

    __tablename__ = "evaluator_online"

    organization_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    evaluator_id: str
    config: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    created_at: float


class DeliveryRow(SQLModel, table=True):
    """Something to be delivered to ``target_id``, of a ``kind`` ("webhook", "evaluation", "notification").

    ``payload`` is what is known of it; the rest is read when it is delivered. What was delivered has no row any more;
    ``dead`` ones are kept to be looked at and sent again.
    """

    __tablename__ = "alert_delivery"
    __table_args__ = (
        Index("ix_alert_delivery_due", "dead", "next_at"),
        Index("ix_alert_delivery_target", "kind", "target_id", "dead", "next_at"),
    )

    id: str = Field(primary_key=True)
    organization_id: str
    kind: str
    target_id: str
    payload: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    attempts: int
    next_at: float
    dead: bool
    error: str
    created_at: float


class DeliveredRow(SQLModel, table=True):
    """Something that a webhook was sent: the last few of each are kept, to be looked at."""

    __tablename__ = "alert_delivered"
    __table_args__ = (Index("ix_alert_delivered_target", "target_id", "delivered_at"),)

    id: str = Field(primary_key=True)
    organization_id: str
    target_id: str
    request_id: str
    attempts: int
    delivered_at: float


class CursorRow(SQLModel, table=True):
    """Up to which number an organization's requests in the log were looked at."""

    __tablename__ = "alert_cursor"

    organization_id: str = Field(primary_key=True)
    seq: int = Field(sa_column=Column(BigInteger, nullable=False))


def _table(name: str) -> Table:
    return SQLModel.metadata.tables[name]


ALERT, EVENT, WEBHOOK = _table("alert"), _table("alert_event"), _table("webhook")
EVALUATOR, ONLINE = _table("evaluator"), _table("evaluator_online")
DELIVERY, DELIVERED, CURSOR = _table("alert_delivery"), _table("alert_delivered"), _table("alert_cursor")

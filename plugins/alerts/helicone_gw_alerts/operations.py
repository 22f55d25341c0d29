"""Operations: what the REST API of alerts, webhooks and evaluators takes and answers, for the gateway's document."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from helicone_gw import ApiOperation, Role
from helicone_gw_alerts.api_evaluators import Dataset, NewOnline, Trial
from helicone_gw_alerts.api_webhooks import Replay
from helicone_gw_alerts.evaluators import ChangedEvaluator, NewEvaluator
from helicone_gw_alerts.outbox import MAX_DELIVERED
from helicone_gw_alerts.previewing import Preview
from helicone_gw_alerts.rules import Rule
from helicone_gw_alerts.webhooks import NewWebhook, WebhookChanges


class ShownAlert(Struct, frozen=True):
    """An alert, and whether it is triggered; ``time_window`` is milliseconds, as text."""

    id: str
    org_id: str
    name: str
    metric: str
    threshold: float
    time_window: str
    aggregation: str | None
    status: str
    configured: bool
    created_at: str | None


class ShownEvent(Struct, frozen=True):
    """A time in which an alert was triggered, or is."""

    id: str
    org_id: str
    alert_id: str
    alert_name: str
    alert_metric: str
    group: str | None
    alert_start_time: str
    alert_end_time: str | None
    triggered_value: float
    requests: int | None
    status: str


class Alerts(Struct, frozen=True):
    """Alerts and their history."""

    alerts: list[ShownAlert]
    history: list[ShownEvent]


class Channel(Struct, frozen=True):
    """A channel that alerts may use."""

    name: str
    type: str


class Channels(Struct, frozen=True):
    """The channels, and whether mail can be sent."""

    channels: list[Channel]
    email: bool


class Looked(Struct, frozen=True):
    """What an alert would have measured, and how often it would have fired."""

    points: list[dict[str, Any]]
    times_triggered: int | list[Any]


class Told(Struct, frozen=True):
    """What became of a test."""

    receiver: str
    delivered: bool
    error: str | None


class MadeWebhook(Struct, frozen=True):
    """A webhook that was made, and the key of its signatures."""

    id: str
    hmac_key: str


class ShownWebhook(Struct, frozen=True):
    """A webhook; ``destination`` is shortened and the key left out for viewers."""

    id: str
    created_at: str
    destination: str
    version: str
    is_verified: bool
    config: dict[str, Any]
    hmac_key: str | None
    pending: int = 0
    dead: int = 0


class ShownDelivery(Struct, frozen=True):
    """What a webhook was sent, is to be sent, or could not be sent."""

    id: str
    state: str
    request_id: str | None
    attempts: int
    error: str | None
    at: str | None
    created_at: str | None


class Letter(Struct, frozen=True):
    """What could not be delivered."""

    id: str
    kind: str
    target: str
    request_id: str | None
    attempts: int
    error: str | None
    created_at: str | None
    died_at: str | None


class Delivered(Struct, frozen=True):
    """Whether a test arrived."""

    delivered: bool
    error: str | None


class Replayed(Struct, frozen=True):
    """How many are sent again."""

    replayed: int


class Deliveries(Struct, frozen=True):
    """How many."""

    limit: Annotated[int, Meta(ge=0, le=MAX_DELIVERED)] = 50


class Letters(Struct, frozen=True):
    """Which dead letters."""

    target: str | None = None
    limit: Annotated[int, Meta(ge=0, le=1000)] = 100
    offset: Annotated[int, Meta(ge=0, le=10_000_000)] = 0


class ShownEvaluator(Struct, frozen=True):
    """An evaluator; its name is the score's."""

    id: str
    name: str
    scoring_type: str
    llm_template: Any
    code_template: Any
    last_mile_config: None
    organization_id: str
    created_at: str
    updated_at: str


class ShownOnline(Struct, frozen=True):
    """An evaluator at work."""

    id: str
    evaluator_id: str
    config: dict[str, Any]
    created_at: str


class Made(Struct, frozen=True):
    """What was made."""

    id: str


class Scored(Struct, frozen=True):
    """What an evaluator says."""

    score: Any


class Statistics(Struct, frozen=True, rename="camel"):
    """What the newest scores of an evaluator were."""

    average_score: float | None
    total_uses: int
    recent_trend: str
    score_distribution: list[dict[str, Any]]
    time_series_data: list[dict[str, Any]]


def _one(
    method: str, path: str, summary: str, data: Any = None, *, role: Role = "viewer", body: Any = None, **more: Any
) -> ApiOperation:
    told = {"errors": (400, 404), **more}
    tag = path.split("/")[-1] if path.count("/") == 1 else path.split("/")[2]
    return ApiOperation(method=method, path=path, tag=tag, summary=summary, role=role, body=body, data=data, **told)


_SENT: Final[dict[str, Any]] = {"role": "member", "errors": (400, 404, 502)}

OPERATIONS: Final = (
    _one("GET", "/v1/alert/query", "Alerts and their history.", Alerts),
    *(_one("POST", path, "Make an alert.", str, role="member", body=Rule) for path in ("/v1/alert/create", "/alerts")),
    _one("PUT", "/v1/alert/{id}", "Change an alert.", ShownAlert, role="member", body=Rule),
    *(_one("DELETE", path, "Delete an alert.", role="member") for path in ("/v1/alert/{id}", "/alert/{id}")),
    _one("GET", "/v1/alert/channels", "The channels that alerts may use.", Channels),
    _one("POST", "/v1/alert/preview", "What an alert would have measured in the past.", Looked, body=Preview),
    _one("POST", "/v1/alert/{id}/test", "Send an alert to its receivers as a test.", list[Told], role="member"),
    _one("POST", "/v1/webhooks", "Make a webhook.", MadeWebhook, role="member", body=NewWebhook),
    _one("GET", "/v1/webhooks", "The webhooks.", list[ShownWebhook]),
    _one("PATCH", "/v1/webhooks/{id}", "Change a webhook.", ShownWebhook, role="member", body=WebhookChanges),
    _one("GET", "/v1/webhooks/{id}/deliveries", "What a webhook was sent.", list[ShownDelivery], query=Deliveries),
    _one("DELETE", "/v1/webhooks/{id}", "Delete a webhook.", role="member", status=201),
    _one("POST", "/v1/webhooks/{id}/test", "Send a webhook a test.", Delivered, **_SENT),
    _one("GET", "/v1/webhooks/dead-letters", "What could not be delivered.", list[Letter], query=Letters),
    _one("POST", "/v1/webhooks/dead-letters/replay", "Send dead letters again.", Replayed, role="member", body=Replay),
    _one("POST", "/v1/evaluator", "Make an evaluator.", ShownEvaluator, role="member", body=NewEvaluator, status=201),
    _one("POST", "/v1/evaluator/query", "The evaluators.", list[ShownEvaluator]),
    _one("GET", "/v1/evaluator/{id}", "An evaluator.", ShownEvaluator),
    _one("PUT", "/v1/evaluator/{id}", "Change an evaluator.", ShownEvaluator, role="member", body=ChangedEvaluator),
    _one("DELETE", "/v1/evaluator/{id}", "Delete an evaluator.", role="member"),
    _one("GET", "/v1/evaluator/{id}/experiments", "None: there are no experiments.", list[Any]),
    _one("GET", "/v1/evaluator/{id}/onlineEvaluators", "Where an evaluator is at work.", list[ShownOnline]),
    _one(
        "POST",
        "/v1/evaluator/{id}/onlineEvaluators",
        "Have an evaluator work on requests.",
        Made,
        role="member",
        body=NewOnline,
    ),
    _one("DELETE", "/v1/evaluator/{id}/onlineEvaluators/{online}", "Have it work on those no longer.", role="member"),
    _one("GET", "/v1/evaluator/{id}/stats", "What an evaluator's newest scores were.", Statistics),
    *(
        _one("POST", f"/v1/evaluator/{kind}/test", "Try an evaluator.", Scored, body=Trial, **_SENT)
        for kind in ("python", "llm")
    ),
    _one(
        "POST",
        "/v1/evaluator/dataset/export",
        "Requests as a dataset, a line of JSON each.",
        body=Dataset,
        plain=("application/x-ndjson",),
    ),
)
"""All of them."""

"""Webhooks: what organizations want to be told of every request (contract 14.1, 14.2), and how they are told."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct, field
from sqlalchemy import delete, func, insert, select, update

from helicone_gw import BadRequest, Unsealable, new_id
from helicone_gw_alerts.dispatching import Undeliverable
from helicone_gw_alerts.errors import NoSuch, Refusal
from helicone_gw_alerts.links import Links
from helicone_gw_alerts.log import Log
from helicone_gw_alerts.outbox import Delivery, Outbox, Target
from helicone_gw_alerts.signing import SIGNATURE, signature
from helicone_gw_alerts.tables import WEBHOOK

if TYPE_CHECKING:
    from helicone_gw import Gateway
    from helicone_gw_alerts.config import AlertsConfig

KIND: Final = "webhook"
VERSION: Final = "2024-10-22"
LONGEST_TEXT: Final = 10 * 1024
"""Characters of a body that is no JSON; in the place of a longer one stands `TOO_LARGE`."""
TOO_LARGE: Final = "The body is too large to be sent; it can be fetched at request_response_url."
DELIVERY_ID: Final = "helicone-delivery-id"
"""The field that is the same for each attempt of a delivery."""


class PropertyFilter(Struct, frozen=True, forbid_unknown_fields=True):
    """A property that a request must have, with this value."""

    key: Annotated[str, Meta(min_length=1, max_length=256)]
    value: Annotated[str, Meta(max_length=10_000)]


class Sampling(Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests: ``sampleRate`` per cent of those that have all properties of ``propertyFilters``."""

    sampleRate: Annotated[float, Meta(ge=0, le=100)] = 100.0  # noqa: N815 - the contract's names
    propertyFilters: Annotated[list[PropertyFilter], Meta(max_length=20)] = field(  # noqa: N815
        default_factory=list
    )


class NewWebhook(Struct, frozen=True, forbid_unknown_fields=True):
    """A webhook to be made."""

    destination: Annotated[str, Meta(min_length=1, max_length=2000)]
    config: Sampling = field(default_factory=Sampling)
    includeData: bool | None = True  # noqa: N815 - the contract's name


class WebhookChanges(Struct, frozen=True, forbid_unknown_fields=True):
    """What of a webhook is to change; ``None`` leaves it."""

    destination: Annotated[str, Meta(min_length=1, max_length=2000)] | None = None
    config: Sampling | None = None
    includeData: bool | None = None  # noqa: N815 - the contract's name


class Webhook(Struct, frozen=True):
    """A webhook that there is."""

    organization_id: str
    id: str
    destination: str
    config: Sampling
    include_data: bool
    hmac_key: str
    sealed: bool
    created_at: float


class Webhooks:
    """Webhooks in the database, and their deliveries. Methods raise `Refusal`, `NoSuch`, SQLAlchemy's errors."""

    def __init__(self, gateway: Gateway, config: AlertsConfig, log: Log) -> None:
        self._gateway = gateway
        self._database = gateway.database
        self._config = config
        self._log = log
        self.links = Links(self, gateway.clock, config.public_url or _own_address(gateway))

    async def all(self, organization: str | None = None) -> list[Webhook]:
        """All webhooks, or an organization's."""
        query = select(WEBHOOK).order_by(WEBHOOK.c.created_at, WEBHOOK.c.id)
        if organization is not None:
            query = query.where(WEBHOOK.c.organization_id == organization)
        async with self._database.connect() as connection:
            return [_webhook({**row}) for row in (await connection.execute(query)).mappings()]

    async def one(self, organization: str, id: str) -> Webhook:
        """One webhook."""
        mine = (WEBHOOK.c.organization_id == organization, WEBHOOK.c.id == id)
        async with self._database.connect() as connection:
            row = (await connection.execute(select(WEBHOOK).where(*mine))).mappings().first()
        if row is None:
            raise NoSuch("There is no such webhook.")
        return _webhook({**row})

    async def create(self, organization: str, wanted: NewWebhook) -> tuple[str, str]:
        """Make one, if it may be called; its id and the key that signs, which is not shown to everybody again."""
        try:
            await self._gateway.destinations.check(wanted.destination)
        except BadRequest as problem:
            raise Refusal(problem.message) from None
        made, key = new_id(), secrets.token_hex(32)
        sealing = self._gateway.sealing
        kept = sealing.seal(key, "alerts", organization, made) if sealing.available else key
        async with self._database.begin() as connection:
            count = select(func.count()).where(WEBHOOK.c.organization_id == organization)
            if (await connection.execute(count)).scalar_one() >= self._config.max_webhooks:
                raise Refusal(f"There are {self._config.max_webhooks} webhooks already; no more are kept.")
            row = {
                "organization_id": organization,
                "id": made,
                "destination": wanted.destination,
                "config": msgspec.to_builtins(wanted.config),
                "include_data": wanted.includeData is not False,
                "hmac_key": kept,
                "sealed": sealing.available,
                "created_at": self._gateway.clock.now(),
            }
            await connection.execute(insert(WEBHOOK).values(**row))
        return made, key

    async def change(self, organization: str, id: str, wanted: WebhookChanges) -> Webhook:
        """Change one; what ``wanted`` leaves out stays. Its key stays, too."""
        before = await self.one(organization, id)
        changes: dict[str, Any] = {}
        if wanted.destination is not None and wanted.destination != before.destination:
            try:
                await self._gateway.destinations.check(wanted.destination)
            except BadRequest as problem:
                raise Refusal(problem.message) from None
            changes["destination"] = wanted.destination
        if wanted.config is not None:
            changes["config"] = msgspec.to_builtins(wanted.config)
        if wanted.includeData is not None:
            changes["include_data"] = wanted.includeData
        mine = (WEBHOOK.c.organization_id == organization, WEBHOOK.c.id == id)
        if changes:
            async with self._database.begin() as connection:
                await connection.execute(update(WEBHOOK).where(*mine).values(**changes))
        return await self.one(organization, id)

    async def delete(self, organization: str, id: str) -> None:
        """Delete one, with all that waits for it."""
        mine = (WEBHOOK.c.organization_id == organization, WEBHOOK.c.id == id)
        async with self._database.begin() as connection:
            gone = await connection.execute(delete(WEBHOOK).where(*mine))
            if not gone.rowcount:
                raise NoSuch("There is no such webhook.")
            await Outbox.forget(connection, Target(KIND, id))

    def key_of(self, webhook: Webhook) -> str:
        """The key that signs. Raises `Unsealable`."""
        if not webhook.sealed:
            return webhook.hmac_key
        return self._gateway.sealing.open(webhook.hmac_key, "alerts", webhook.organization_id, webhook.id)

    async def deliver(self, delivery: Delivery) -> None:
        """Send one of the outbox. Raises `Undeliverable`, and what may pass."""
        try:
            webhook = await self.one(delivery.organization_id, delivery.target_id)
        except NoSuch:
            raise Undeliverable("the webhook is no more", for_good=True) from None
        try:
            row = await self._log.get(
                delivery.organization_id, f"/v1/request/{delivery.payload['id']}", includeBody="true"
            )
        except NoSuch:
            raise Undeliverable("the log keeps the request no longer", for_good=True) from None
        try:
            url = self.links.url(webhook, row["id"])
        except Unsealable:
            raise Undeliverable("its key cannot be opened") from None
        body = payload(webhook, row, url, int(self._config.max_payload))
        await self.send(webhook, body, delivery.id)

    async def send(self, webhook: Webhook, body: bytes, delivery_id: str) -> None:
        """Sign and send. Raises `Undeliverable`, and `GatewayError` for a destination that cannot be reached."""
        try:
            key = self.key_of(webhook)
        except Unsealable:
            raise Undeliverable("its key cannot be opened") from None
        headers = {"content-type": "application/json", SIGNATURE: signature(key, body), DELIVERY_ID: delivery_id}
        timeout = self._config.webhook_timeout
        answer = await self._gateway.destinations.send(
            webhook.destination, content=body, headers=headers, timeout=timeout
        )
        if not 200 <= answer.status < 300:
            raise Undeliverable(f"it answered {answer.status}")


def _own_address(gateway: Gateway) -> str:
    server = gateway.config.server
    host = f"[{server.host}]" if ":" in server.host else server.host
    return f"http{'' if server.tls is None else 's'}://{host}:{server.port}"


def payload(webhook: Webhook, row: Mapping[str, Any], url: str, longest: int) -> bytes:
    """What a webhook is sent of a request (contract 14.2), at most about ``longest`` bytes of JSON.

    Bodies are JSON where they were JSON, else texts. Where both together are too large, none is sent.
    """
    bodies = {"request_body": _body(row["request_body"]), "response_body": _body(row["response_body"])}
    said: dict[str, Any] = {"request_id": row["request_id"], "user_id": row["request_user_id"]}
    if webhook.include_data:
        said |= {
            "request_response_url": url,
            "model": row["model"],
            "provider": row["provider"],
            "metadata": {
                "cost": row["cost"],
                "promptTokens": row["prompt_tokens"],
                "completionTokens": row["completion_tokens"],
                "totalTokens": row["total_tokens"],
                "latencyMs": row["delay_ms"],
            },
        }
    whole = msgspec.json.encode({**said, **bodies})
    if len(whole) > longest:
        whole = msgspec.json.encode({**said, **dict.fromkeys(bodies, TOO_LARGE)})
    return whole


def _body(body: Any) -> Any:
    return TOO_LARGE if isinstance(body, str) and len(body) > LONGEST_TEXT else body


def _webhook(row: Mapping[str, Any]) -> Webhook:
    return Webhook(**{**row, "config": msgspec.convert(row["config"], Sampling)})

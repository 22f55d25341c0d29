"""The REST API of webhooks (contract 14.1), with a test, what waits, dead letters and their replay."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Struct
from quart import request

from helicone_gw import GatewayError, Unsealable, new_id
from helicone_gw_alerts.dispatching import Undeliverable
from helicone_gw_alerts.errors import NoSuch, Refusal
from helicone_gw_alerts.outbox import MAX_AT_ONCE, MAX_DELIVERED, Delivery, Outbox
from helicone_gw_alerts.serving import Call, Pages
from helicone_gw_alerts.webhooks import VERSION, NewWebhook, Webhook, WebhookChanges, Webhooks

if TYPE_CHECKING:
    from helicone_gw import Audit


class Replay(Struct, frozen=True, forbid_unknown_fields=True):
    """Which dead letters are to be sent again: those of ``ids``, of a ``target``, or all."""

    ids: Annotated[list[str], Meta(max_length=MAX_AT_ONCE)] | None = None
    target: str | None = None


def declare(pages: Pages, webhooks: Webhooks, outbox: Outbox, audit: Audit) -> None:
    """Add the pages."""

    @pages.route("POST", "/v1/webhooks", role="member")
    async def create(call: Call) -> Any:
        wanted = await call.body(NewWebhook)
        made, key = await webhooks.create(call.organization, wanted)
        await audit(call.key, "webhook.create", f"webhook:{made}", after={"destination": _origin(wanted.destination)})
        return {"id": made, "hmac_key": key}

    @pages.route("GET", "/v1/webhooks")
    async def every(call: Call) -> Any:
        waiting = await outbox.waiting(call.organization)
        nothing = {"pending": 0, "dead": 0}
        return [
            _shown(each, webhooks, call.edits) | waiting.get(each.id, nothing)
            for each in await webhooks.all(call.organization)
        ]

    @pages.route("PATCH", "/v1/webhooks/<id>", role="member")
    async def change(call: Call, id: str) -> Any:
        wanted = await call.body(WebhookChanges)
        before = await webhooks.one(call.organization, id)
        after = await webhooks.change(call.organization, id, wanted)
        told = [{"destination": _origin(one.destination), **_wanted(one)} for one in (before, after)]
        await audit(call.key, "webhook.change", f"webhook:{id}", before=told[0], after=told[1])
        return _shown(after, webhooks, call.edits)

    @pages.route("GET", "/v1/webhooks/<id>/deliveries")
    async def deliveries(call: Call, id: str) -> Any:
        await webhooks.one(call.organization, id)
        found = await outbox.recent(call.organization, id, _number("limit", 50, MAX_DELIVERED))
        return [{**one, "at": _moment(one["at"]), "created_at": _moment(one["created_at"])} for one in found]

    @pages.route("DELETE", "/v1/webhooks/<id>", role="member", status=201)
    async def delete(call: Call, id: str) -> None:
        await webhooks.delete(call.organization, id)
        await audit(call.key, "webhook.delete", f"webhook:{id}")

    @pages.route("POST", "/v1/webhooks/<id>/test", role="member")
    async def test(call: Call, id: str) -> Any:
        webhook = await webhooks.one(call.organization, id)
        error = None
        body = {"request_id": "00000000-0000-0000-0000-000000000000", "request_body": {}, "response_body": {}}
        try:
            await webhooks.send(webhook, msgspec.json.encode({**body, "test": True}), new_id())
        except Undeliverable as problem:
            error = str(problem)
        except GatewayError as problem:
            error = problem.message
        return {"delivered": error is None, "error": error}

    @pages.route("GET", "/v1/webhooks/dead-letters")
    async def dead_letters(call: Call) -> Any:
        target = request.args.get("target")
        found = await outbox.dead_letters(
            call.organization, target=target, limit=_number("limit", 100, 1000), offset=_number("offset", 0, 10_000_000)
        )
        return [letter(each) for each in found]

    @pages.route("POST", "/v1/webhooks/dead-letters/replay", role="member")
    async def replay(call: Call) -> Any:
        wanted = await call.body(Replay)
        count = await outbox.replay(call.organization, ids=wanted.ids, target=wanted.target)
        if not count and wanted.ids:
            raise NoSuch("There is no such dead letter.")
        await audit(call.key, "webhook.replay", "dead-letters", after={"count": count})
        return {"replayed": count}


def letter(delivery: Delivery) -> dict[str, Any]:
    """A dead letter as it is shown."""
    return {
        "id": delivery.id,
        "kind": delivery.kind,
        "target": delivery.target_id,
        "request_id": delivery.payload.get("id") if delivery.kind != "notification" else None,
        "attempts": delivery.attempts,
        "error": delivery.error,
        "created_at": _moment(delivery.created_at),
        "died_at": _moment(delivery.next_at),
    }


def _shown(webhook: Webhook, webhooks: Webhooks, whole: bool) -> dict[str, Any]:
    try:
        key = webhooks.key_of(webhook) if whole else None
    except Unsealable:
        key = None
    return {
        "id": webhook.id,
        "created_at": _moment(webhook.created_at),
        # Receivers' addresses often have a secret in them: whoever may not make webhooks sees where, and no more.
        "destination": webhook.destination if whole else _origin(webhook.destination),
        "version": VERSION,
        "is_verified": True,
        "config": _wanted(webhook),
        "hmac_key": key,
    }


def _wanted(webhook: Webhook) -> dict[str, Any]:
    return {**msgspec.to_builtins(webhook.config), "includeData": webhook.include_data}


def _origin(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.split('/', 1)[0].rpartition('@')[2]}"


def _number(name: str, otherwise: int, most: int) -> int:
    text = request.args.get(name)
    if text is None:
        return otherwise
    if not text.isascii() or not text.isdigit() or int(text[:9]) > most:
        raise Refusal(f"{name}: it is a number up to {most}.")
    return int(text[:9])


def _moment(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")

"""Every route of every plugin, walked: a viewer changes nothing, and an organisation sees nothing of another."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

from cryptography.fernet import Fernet
from sqlalchemy import text

from helicone_gw.testing import GatewayFactory, Reply, RunningGateway
from tests.plugins.security.people import HASH, KEYS, Browser, security

PLUGINS: list[Any] = [
    "logging",
    "metrics",
    "cost",
    security(
        keys={**KEYS, "clerk": {"key": "hk-clerk-secret", "role": "member"}},
        users={"vic@example.com": {"password_hash": HASH, "role": "viewer"}},
        encryption_keys=[Fernet.generate_key().decode()],
    ),
    "prompts",
    "ratelimit",
    "cache",
    "moderation",
    "router",
    "fallbacks",
    "retries",
    "dashboard",
    "alerts",
]
ROOT, CLERK, READER, STRANGER = (
    {"authorization": f"Bearer hk-{name}-secret"} for name in ("root", "clerk", "reader", "stranger")
)

MARK = "planted-in-default"
"""What everything of the organisation ``default`` contains."""

ALLOWED = {"server": {"allowed_targets": ["127.0.0.1:9999"]}}
"""Where the webhook leads, to nobody."""

NOT_COMPARED = {"gateway_session": (), "alert_cursor": (), "gateway_key": ("last_used_at",)}
"""Columns that using the gateway, or time, changes (of a table without any: all of it)."""

PROMPTS: list[Any] = [
    {"promptId": "{prompt}", "promptVersionId": "{version}", "environment": "production", "name": "stolen"},
    {"name": "stolen", "tags": ["stolen"], "promptBody": {"model": "m", "messages": []}},
    {"search": "", "tagsFilter": [], "page": 0, "pageSize": 100},
]
OTHERS: list[Any] = [
    {"filter": "all", "limit": 100},
    {"requestIds": ["{request}"], "ids": ["{query}"], "searchTerm": ""},
    {"rating": True, "helicone-id": "{request}", "key": "team", "value": "stolen", "tag": "stolen"},
    {"sql": "select * from request_response_rmt", "name": "stolen"},
    {"scores": {"stolen": 1}},
]
ALERTS: list[Any] = [
    {"destination": "http://127.0.0.1:9999/stolen"},
    {"name": "stolen", "metric": "count", "threshold": 1, "scoring_type": "regex", "code_template": "stolen"},
    {"target": "{webhook}"},
    {},
]
"""Bodies of which each operation takes one, or refuses all."""


async def logged(running: RunningGateway, request: str) -> None:
    """Wait until a request is in the log, and with it all that came before."""
    while (await running.request("GET", f"/v1/request/{request}", headers=CLERK)).status != 200:
        await asyncio.sleep(0.01)


async def bury(running: RunningGateway, ids: dict[str, str]) -> None:
    """Leave what could not be delivered to the webhook."""
    dead = {
        "id": f"{MARK}-letter",
        "organization_id": "default",
        "kind": "webhook",
        "target_id": ids["webhook"],
        "payload": json.dumps({"id": ids["request"], "text": MARK}),
        "attempts": 9,
        "next_at": 1.0,
        "dead": True,
        "error": MARK,
        "created_at": 1.0,
    }
    names = ", ".join(dead)
    values = ", ".join(f":{name}" for name in dead)
    async with running.gateway.database.begin() as connection:
        await connection.execute(text(f"insert into alert_delivery ({names}) values ({values})"), dead)


async def plant(running: RunningGateway) -> dict[str, str]:
    """One of everything that members make, in ``default``; the ids of them."""
    headers = {
        **CLERK,
        "helicone-session-id": MARK,
        "helicone-user-id": MARK,
        "helicone-property-team": MARK,
        "helicone-cache-enabled": "true",
    }
    reply = await running.chat(f"Hello, {MARK}", headers=headers)
    assert reply.status == 200
    ids = {
        "request": reply.headers.get("helicone-id") or "",
        "session": MARK,
        "property": "team",
        "organization": "default",
    }
    await logged(running, ids["request"])
    prompt = {
        "name": MARK,
        "tags": [MARK],
        "promptBody": {"model": "m", "messages": [{"role": "user", "content": MARK}]},
    }
    made = (await running.request("POST", "/v1/prompt-2025", json=prompt, headers=CLERK)).json()["data"]
    ids |= {"prompt": made["id"], "version": made["versionId"]}
    saved = {"name": MARK, "sql": f"select '{MARK}'"}
    made = (await running.request("POST", "/v1/helicone-sql/saved-query", json=saved, headers=CLERK)).json()["data"]
    ids["query"] = made[0]["id"]
    made = (await running.request("POST", "/v1/api-keys", json={"name": MARK}, headers=ROOT)).json()["data"]
    ids["key"] = made["id"]
    told = {"destination": "http://127.0.0.1:9999/hook", "config": {"propertyFilters": [{"key": MARK, "value": MARK}]}}
    made = (await running.request("POST", "/v1/webhooks", json=told, headers=CLERK)).json()["data"]
    ids["webhook"] = made["id"]
    rule = {"name": MARK, "metric": "count", "threshold": 1_000_000}
    made = (await running.request("POST", "/v1/alert/create", json=rule, headers=CLERK)).json()["data"]
    ids["alert"] = made if isinstance(made, str) else made["id"]
    evaluator = {"scoring_type": "regex", "name": MARK, "code_template": MARK}
    made = (await running.request("POST", "/v1/evaluator", json=evaluator, headers=CLERK)).json()["data"]
    ids["evaluator"] = made["id"]
    await bury(running, ids)
    user = {"email": f"{MARK}@example.com"}
    made = (await running.request("POST", "/v1/admin/users", json=user, headers=ROOT)).json()["data"]
    ids["user"] = made["user"]["id"]
    return ids


def filled(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: filled(item, ids) for name, item in value.items()}
    if isinstance(value, list):
        return [filled(item, ids) for item in value]
    return ids.get(value[1:-1], value) if isinstance(value, str) and value[:1] == "{" else value


OF = {
    "/v1/request": "request",
    "/v1/webhook/request": "request",
    "/dashboard/requests": "request",
    "/v1/session": "session",
    "/v1/property": "property",
    "/v1/prompt": "prompt",
    "/v1/helicone-sql": "query",
    "/v1/api-keys": "key",
    "/v1/admin/users": "user",
    "/v1/organization": "organization",
    "/v1/webhooks": "webhook",
    "/v1/alert": "alert",
    "/alert": "alert",
    "/v1/evaluator": "evaluator",
}
"""Which of the ids stands in the paths that begin so."""


def addresses(running: RunningGateway, ids: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Every method and path that a plugin serves, each parameter being the id of what was planted."""
    for rule in running.app.url_map.iter_rules():
        if rule.rule.startswith(("/auth/", "/dashboard/assets")) or rule.websocket:
            continue
        if rule.rule == "/dashboard/requests/live":
            continue  # it goes on for ever; what it shows is asked of the routes below
        kind = next((OF[start] for start in OF if rule.rule.startswith(start)), "request")
        path = rule.rule
        for name in rule.arguments:
            path = re.sub(rf"<(\w+:)?{name}>", ids.get(name) or ids[kind], path)
        assert "<" not in path, rule.rule
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield method, path


async def rows(running: RunningGateway) -> dict[str, list[dict[str, Any]]]:
    """Everything in the database."""
    found: dict[str, list[dict[str, Any]]] = {}
    async with running.gateway.database.connect() as connection:
        tables = (await connection.execute(text("select name from sqlite_master where type = 'table'"))).scalars().all()
        for table in sorted(tables):
            left_out = NOT_COMPARED.get(table)
            if left_out == () or table.startswith(("sqlite_", "alembic_")):
                continue
            read = (await connection.execute(text(f'select * from "{table}"'))).mappings().all()
            found[table] = [
                {name: value for name, value in row.items() if name not in (left_out or ())} for row in read
            ]
    return found


def bodies(method: str, path: str) -> list[Any]:
    if method in ("GET", "DELETE"):
        return [None]
    if path.startswith(("/v1/api-keys", "/v1/admin", "/v1/organization")):
        return [{"name": "stolen"}]  # each with its own body in test_identity_admin.py
    if path.startswith(("/v1/alert", "/alert", "/v1/webhooks", "/v1/evaluator")):
        return ALERTS
    if path.endswith("/rating"):
        return OTHERS[2:3]  # a request that is not there is waited for
    return PROMPTS if "/prompt" in path else OTHERS


async def walk(
    running: RunningGateway, ids: dict[str, str], browser: Browser, *, changes_only: bool = False
) -> list[tuple[str, str, Reply]]:
    return [
        (method, path, await browser.request(method, path, json=filled(body, ids)))
        for method, path in addresses(running, ids)
        for body in bodies(method, path)
        if method != "GET" or not changes_only
    ]


async def test_a_viewer_changes_nothing(gateway: GatewayFactory) -> None:
    async with gateway(PLUGINS, config=ALLOWED) as running:
        ids = await plant(running)
        key, session = Browser(running, **READER), Browser(running)
        await session.log_in("vic@example.com")
        before = await rows(running)
        for browser in (key, session):
            answers = await walk(running, ids, browser, changes_only=browser is session)
            after = await rows(running)
            for table, were in before.items():
                assert after[table] == were, table
            assert after.keys() == before.keys()
            assert len(answers) > 200
            assert [answer for answer in answers if answer[2].status >= 500] == []
        await walk(running, ids, Browser(running, **CLERK), changes_only=True)
        last = await running.chat(headers=CLERK)
        await logged(running, last.headers.get("helicone-id") or "")
        after = await rows(running)
        assert {table for table in before if after[table] != before[table]} >= {
            "request",
            "prompt",
            "alert_delivery",
        }, "so it could fail"


async def test_an_organisation_sees_and_changes_nothing_of_another(gateway: GatewayFactory) -> None:
    async with gateway(PLUGINS, config=ALLOWED) as running:
        ids = await plant(running)
        asked = {ident for name, ident in ids.items() if name not in ("session", "property", "organization")}
        before = await rows(running)
        for method, path, reply in await walk(running, ids, Browser(running, **STRANGER)):
            told = reply.body.decode("utf-8", "replace")
            # What was asked for may be told back; anything else of it may not.
            assert MARK not in told.replace(path, "") or MARK in path, (method, path, told[:300])
            if MARK not in path and reply.status < 300:
                assert not any(ident in told for ident in asked if ident not in path), (method, path, told[:300])
        after = await rows(running)
        for table, were in before.items():
            ours = [row for row in were if row.get("organization_id") == "default"]
            assert [row for row in after[table] if row.get("organization_id") == "default"] == ours, table

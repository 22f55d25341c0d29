"""The document of a gateway with every plugin: it has every route, and no answer is one that it does not know."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from helicone_gw.access import GatewayKey, Role
from helicone_gw.app import App
from helicone_gw.database import Database
from helicone_gw.openapi import ApiOperation
from helicone_gw.testing import GatewayFactory, RunningGateway
from helicone_gw_logging.plugin import VERSIONS
from tests.plugins.logging.asking import log_all, many
from tests.plugins.logging.conftest import build
from tests.plugins.logging.generating import drawn

PLUGINS = [
    "logging",
    "metrics",
    "cost",
    {"security": {"keys": {"root": {"key": "sk-root-0123456789", "role": "admin"}}}},
]
PLUGINS += ["prompts", {"ratelimit": {"budgets": {"team": {"limit": 5, "period": "day"}}}}, "cache", "router"]
PLUGINS += ["dashboard", "alerts"]
FOR_BROWSERS = ("/dashboard", "/auth/oidc/")
"""What people see, and where their logins come back to: no part of an API."""
FULL = bool(os.environ.get("HELICONE_GW_FULL"))
EXAMPLES = 6 if FULL else 1
ROLES: tuple[Role, ...] = ("viewer", "member", "admin")
KNOWN = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningGateway]:
    url = f"sqlite:///{tmp_path}/api.db"
    database = Database(url)
    await database.migrate("logging", VERSIONS)
    await log_all(database, many(build, 30))
    await database.close()
    async with GatewayFactory(tmp_path)(PLUGINS, config={"database": {"url": url}}) as running:
        yield running


def served(running: RunningGateway) -> set[tuple[str, str]]:
    """Every route of the gateway's own and of plugins, as documents write them: converters and slashes at the end are
    nobody's who asks."""
    application: Any = running.gateway.pages._application  # nobody else knows all routes
    assert isinstance(application, App)
    return {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule).rstrip("/"))
        for rule in application.url_map.iter_rules()
        for method in rule.methods or ()
        if method not in ("HEAD", "OPTIONS") and rule.rule != "/" and not rule.rule.startswith(FOR_BROWSERS)
    }


async def test_every_route_is_described_and_the_other_way_round(running: RunningGateway) -> None:
    document = (await running.gateway.pages.ask("GET", "/v1/openapi.json", caller=None)).json()
    described = [(method.upper(), path) for path, methods in document["paths"].items() for method in methods]
    assert set(described) == served(running)
    names = [method["operationId"] for methods in document["paths"].values() for method in methods.values()]
    assert len(set(names)) == len(names)
    for path, methods in document["paths"].items():
        assert all(method["summary"].endswith(".") for method in methods.values()), path


@pytest.mark.timeout(1800)
async def test_no_caller_has_an_answer_that_is_not_described(running: RunningGateway) -> None:
    """Good requests and broken ones, made by schemathesis of every operation, for a key of every role.

    Every second operation, and good ones alone, unless the run is a full one.
    """
    document = (await running.gateway.pages.ask("GET", "/v1/openapi.json", caller=None)).json()
    needed = _roles(running)
    for method in (method for methods in document["paths"].values() for method in methods.values()):
        # What is no JSON has tests of its own.
        method.get("requestBody", {}).get("content", {}).pop("application/x-protobuf", None)
        if not method.get("requestBody", {}).get("content", {}):
            method.pop("requestBody", None)
    # Who calls is told beside the request.
    schema = schemathesis.openapi.from_dict({name: part for name, part in document.items() if name != "security"})
    problems: list[str] = []
    let_in = dict.fromkeys(ROLES, 0)
    for found in islice(schema.get_all_operations(), 0, None, 1 if FULL else 2):
        operation: Any = found.ok()  # type: ignore[union-attr]
        needs = needed[operation.method.upper(), operation.path]
        breakable = FULL and (operation.body or operation.query)
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE) if breakable else (GenerationMode.POSITIVE,):
            for case in drawn(operation.as_strategy(generation_mode=mode), EXAMPLES):
                for role in ROLES:
                    response = await sent(running, case, role)
                    enough = needs is None or ROLES.index(role) >= ROLES.index(needs)
                    let_in[role] += enough
                    if not enough and response.status_code != 403:
                        problems.append(f"{role}: {case.method} {case.path}: {response.status_code}")
                    checks = [*KNOWN, negative_data_rejection] if enough else KNOWN
                    try:
                        case.validate_response(response, checks=checks)
                    except (schemathesis.errors.SchemathesisError, FailureGroup, AssertionError) as problem:
                        problems.append(f"{role}: {case.as_curl_command()}: {response.status_code} {problem}")
    assert not problems, "\n".join(problems[:8])
    assert 0 < let_in["viewer"] < let_in["member"] < let_in["admin"]


def _roles(running: RunningGateway) -> dict[tuple[str, str], Role | None]:
    operations: list[ApiOperation] = [
        one
        for described, _ in running.gateway.pages._described  # the document has roles in words
        for one in described()
    ]
    return {(one.method, one.path): one.role for one in operations}


async def sent(running: RunningGateway, case: schemathesis.Case[Any], role: Role) -> httpx.Response:
    """The answer to a case, in memory."""
    asked = case.as_transport_kwargs(base_url="http://gateway.internal")
    headers = {name: value for name, value in (asked.get("headers") or {}).items() if name.lower() == "content-type"}
    response = await running.gateway.pages.ask(
        asked["method"],
        asked["url"],
        caller=GatewayKey("k-1", role, "somebody", role=role),
        params=asked.get("params") or None,
        json=asked.get("json"),
        content=asked.get("data"),
        headers=headers,
    )
    response.elapsed = timedelta()
    return response

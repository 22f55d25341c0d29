"""The OpenAPI document, and the server held to it: whatever is asked gets no answer that the document does not know."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from helicone_gw.clock import SystemClock
from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw.openapi import api_document
from helicone_gw.testing import GatewayFactory, RunningGateway
from helicone_gw_logging.api.blueprint import operations
from helicone_gw_logging.api.schemas import filter_schemas
from helicone_gw_logging.plugin import VERSIONS
from tests.plugins.logging.asking import log_all, many
from tests.plugins.logging.generating import drawn

Build = Callable[..., Exchange]
OPERATIONS = operations()
DOCUMENT = api_document([operation.described() for operation in OPERATIONS], filter_schemas())
FULL = bool(os.environ.get("HELICONE_GW_FULL"))
EXAMPLES = 20 if FULL else 1
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


class Hasty:
    """A clock on which waiting takes no time, so that what is not there is soon not found."""

    def __init__(self, clock: Any) -> None:
        self.now, self.monotonic = clock.now, clock.monotonic

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.full)])
async def running(request: pytest.FixtureRequest, tmp_path: Path, exchange: Build) -> AsyncIterator[RunningGateway]:
    url = f"sqlite:///{tmp_path}/api.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    # Before the gateway starts, which makes partitions of its own.
    database = Database(url)
    await database.migrate("logging", VERSIONS)
    await log_all(database, many(exchange, 30))
    await database.close()
    factory = GatewayFactory(tmp_path)
    async with factory(["logging"], clock=Hasty(SystemClock()), config={"database": {"url": url}}) as running:
        yield running


def schemas(part: Any) -> Iterator[dict[str, Any]]:
    """Every schema of a part of the document."""
    if isinstance(part, dict):
        if isinstance(part.get("schema"), dict):
            yield part["schema"]
        for inner in part.values():
            yield from schemas(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from schemas(inner)


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]})


async def test_it_is_served(running: RunningGateway) -> None:
    reply = await running.request("GET", "/v1/openapi.json")
    assert reply.status == 200
    served = reply.json()["paths"]
    assert served.items() >= DOCUMENT["paths"].items()
    assert set(served) - set(DOCUMENT["paths"]) > {"/healthz", "/oai/v1/log"}, "what others have described"


def test_it_has_every_operation_once() -> None:
    described = [(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods]
    assert sorted(described) == sorted((operation.method, operation.path) for operation in OPERATIONS)
    names = [method["operationId"] for methods in DOCUMENT["paths"].values() for method in methods.values()]
    assert len(set(names)) == len(names)
    for path, methods in DOCUMENT["paths"].items():
        for method in methods.values():
            assert method["summary"].endswith("."), path
            named = {one["name"] for one in method["parameters"] if one["in"] == "path"}
            assert named == {piece.split("}")[0] for piece in path.split("{")[1:]}


def test_its_schemas_are_schemas() -> None:
    for schema in (*DOCUMENT["components"]["schemas"].values(), *schemas(DOCUMENT["paths"])):
        Draft202012Validator.check_schema(schema)
    known = DOCUMENT["components"]["schemas"]
    assert {name.rpartition("/")[2] for name in references(DOCUMENT)} <= set(known)


@pytest.mark.full  # one example of each is part of the whole document's test
@pytest.mark.timeout(900)
async def test_no_request_has_an_answer_that_is_not_described(running: RunningGateway) -> None:
    """Bodies, parameters and queries as the document has them, and broken ones, made by schemathesis."""
    # This gateway has no keys.
    schema = schemathesis.openapi.from_dict({name: part for name, part in DOCUMENT.items() if name != "security"})
    problems: list[str] = []
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]
        # Where nothing is sent but a path, there is nothing to be broken.
        breakable = FULL and (operation.body or operation.query)
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE) if breakable else (GenerationMode.POSITIVE,):
            for case in drawn(operation.as_strategy(generation_mode=mode), EXAMPLES):
                try:
                    case.validate_response(await sent(running, case), checks=CHECKS)
                except (schemathesis.errors.SchemathesisError, FailureGroup, AssertionError) as problem:
                    problems.append(f"{case.as_curl_command()}: {problem}")
    assert not problems, "\n".join(problems[:5])


async def sent(running: RunningGateway, case: schemathesis.Case[Any]) -> httpx.Response:
    """The answer to a case, in memory."""
    asked = case.as_transport_kwargs(base_url="http://gateway.internal")
    response = await running.gateway.pages.ask(
        asked["method"],
        asked["url"],
        caller=None,
        params=asked.get("params") or None,
        json=asked.get("json"),
        content=asked.get("data"),
        headers={name: value for name, value in (asked.get("headers") or {}).items() if name.lower() == "content-type"},
    )
    response.elapsed = timedelta()
    return response

"""The OpenAPI document, and the server held to it: bodies made of its schemas get no answer that it does not know.

schemathesis would do the same; what it needs is not among the dependencies, so `generating` makes the bodies.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from helicone_gw.clock import SystemClock
from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw.testing import GatewayFactory, Reply, RunningGateway
from helicone_gw_logging.api.blueprint import MODULES
from helicone_gw_logging.api.openapi import document
from helicone_gw_logging.api.routes import Operation
from helicone_gw_logging.api.schemas import filter_schemas
from helicone_gw_logging.plugin import VERSIONS
from tests.plugins.logging.asking import log_all, many
from tests.plugins.logging.generating import JSON, Generator, drawn

Build = Callable[..., Exchange]
OPERATIONS = [operation for module in MODULES for operation in module.operations]
DOCUMENT = document(OPERATIONS, filter_schemas())
EXAMPLES = 4


class Hasty:
    """A clock on which waiting takes no time, so that what is not there is soon not found."""

    def __init__(self, clock: Any) -> None:
        self.now, self.monotonic = clock.now, clock.monotonic

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


@pytest.fixture(params=["sqlite", "postgres"])
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
    assert reply.json() == DOCUMENT


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


async def test_no_request_has_an_answer_that_is_not_described(running: RunningGateway) -> None:
    async with running.gateway.database.connect() as connection:
        known = [row[0] for row in await connection.exec_driver_sql("SELECT id FROM request LIMIT 3")]
    problems: list[str] = []
    for operation in OPERATIONS:
        described = DOCUMENT["paths"][operation.path][operation.method.lower()]
        for body, path, query in drawn(calls(operation, described, known), EXAMPLES):
            url = operation.path
            for name, value in path.items():
                url = url.replace(f"{{{name}}}", quote(value, safe=""))
            reply = await running.request(operation.method, f"{url}?{urlencode(query)}", json=body)
            problem = unlike(described, reply)
            if problem is not None:
                problems.append(f"{operation.method} {url}?{urlencode(query)} {body!r}: {problem}")
    assert not problems, "\n".join(problems[:10])


def calls(operation: Operation, described: dict[str, Any], known: list[str]) -> st.SearchStrategy[Any]:
    """Bodies, values of the path's parameters, and of the query's."""
    generator = Generator(DOCUMENT)
    bodies: st.SearchStrategy[Any] = st.none()
    if "requestBody" in described:
        schema = described["requestBody"]["content"]["application/json"]["schema"]
        bodies = generator.values(schema) | JSON
    segments = st.sampled_from([*known, "app", "x"]) | st.text("abcXYZ%_' é-", min_size=1, max_size=10)
    optional = {
        one["name"]: generator.values(one["schema"]).map(lambda value: str(value).lower())
        for one in described["parameters"]
        if one["in"] == "query"
    }
    paths = st.fixed_dictionaries(dict.fromkeys(operation.parameters, segments))
    return st.tuples(bodies, paths, st.fixed_dictionaries({}, optional=optional))


def unlike(described: dict[str, Any], reply: Reply) -> str | None:
    """What of an answer the document does not describe."""
    answer = described["responses"].get(str(reply.status))
    if answer is None:
        return f"status {reply.status}: {reply.body[:200]!r}"
    type_ = (reply.headers.get("content-type") or "").partition(";")[0]
    content = answer["content"].get(type_)
    if content is None:
        return f"type {type_}"
    if type_ == "application/json":
        for error in validator(content["schema"]).iter_errors(reply.json()):
            return f"{error.json_path}: {error.message[:200]}"
    return None

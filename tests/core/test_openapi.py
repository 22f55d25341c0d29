"""The document of the REST API: made of types, merged from what the gateway and its plugins describe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from msgspec import Struct

from helicone_gw.openapi import ApiOperation, api_document
from helicone_gw.pages import Pages
from helicone_gw.testing import GatewayFactory


class Asked(Struct):
    """What is sent."""

    name: str


class Page(Struct):
    """What a query says."""

    limit: int = 10


def one(**more: Any) -> ApiOperation:
    return ApiOperation(**{"method": "POST", "path": "/v1/thing/{id}", "tag": "things", "summary": "A thing.", **more})


def described(**more: Any) -> dict[str, Any]:
    found: dict[str, Any] = api_document([one(**more)])["paths"]["/v1/thing/{id}"]["post"]
    return found


def test_types_of_one_name_are_told_apart() -> None:
    class Asked(Struct):  # as in another plugin
        number: int

    document = api_document([one(body=globals()["Asked"]), one(path="/v1/other", body=Asked)])
    bodies = [
        operation["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        for operation in document["paths"].values()
    ]
    assert len(set(bodies)) == 2


def test_an_answer_has_an_envelope() -> None:
    schema = described(data=int, more={"cursor": str | None})["responses"]["200"]["content"]["application/json"][
        "schema"
    ]
    assert Draft202012Validator(schema).is_valid({"data": 3, "error": None, "cursor": None})
    assert not Draft202012Validator(schema).is_valid({"data": 3, "cursor": None})
    assert not Draft202012Validator(schema).is_valid({"data": "3", "error": None, "cursor": None})


def test_or_none_where_it_is_something_else() -> None:
    content = described(plain=("text/csv",))["responses"]["200"]["content"]
    assert content == {"text/csv": {"schema": {}}}


@pytest.mark.parametrize(
    ("more", "statuses"),
    [
        ({}, {"200", "401", "403", "503"}),
        ({"role": None, "plain": ("text/plain",)}, {"200"}),
        ({"body": Asked}, {"200", "400", "401", "403", "413", "503"}),
        ({"query": Page, "errors": (404,), "status": 201}, {"201", "400", "401", "403", "404", "503"}),
    ],
)
def test_statuses_follow_from_what_is_read(more: dict[str, Any], statuses: set[str]) -> None:
    assert set(described(**more)["responses"]) == statuses


def test_a_failure_may_have_a_shape_of_its_own() -> None:
    answers = described(body=Asked, plain=("text/plain",), unlike={200: dict[str, int], 400: Page})["responses"]
    assert set(answers["200"]["content"]) == {"text/plain", "application/json"}
    assert answers["400"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Page"}


def test_parameters_are_of_the_path_and_of_the_query() -> None:
    names = [(each["name"], each["in"], each["required"]) for each in described(query=Page)["parameters"]]
    assert names == [("id", "path", True), ("limit", "query", False)]


def test_roles_are_told() -> None:
    assert described(role="admin")["description"] == "Needs the role admin."
    assert described(role=None)["security"] == []
    assert "security" not in described()


def test_what_is_described_later_is_in_the_document_too() -> None:
    pages = Pages()
    pages.describe(lambda: [one()], lambda: {"Filter": {"type": "object"}})
    assert b"/v1/thing/{id}" in pages.document()
    assert b"Filter" in pages.document()
    pages.describe(lambda: [one(path="/v1/late")])
    assert b"/v1/late" in pages.document()


async def test_it_is_served_by_a_gateway_without_plugins(tmp_path: Path) -> None:
    async with GatewayFactory(tmp_path)([]) as running:
        reply = await running.request("GET", "/v1/openapi.json")
        assert reply.status == 200
        assert set(reply.json()["paths"]) == {"/healthz", "/readyz", "/v1/openapi.json"}

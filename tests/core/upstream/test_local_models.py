"""The gateway's own list of models, in each dialect's shape."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helicone_gw import Headers, Target
from helicone_gw.model import UpstreamRequest
from helicone_gw.upstream.local_models import LocalModels

MODELS = LocalModels([("house", "openai"), ("org/model 1", "groq")], 1_700_000_000)


async def ask(path: str, models: LocalModels = MODELS) -> tuple[int, Any]:
    call = UpstreamRequest("GET", f"http://helicone-gw.invalid{path}", Headers(), b"", Target("helicone-gw"))
    answer = await models(call)
    body = b"".join([piece async for piece in answer.body])
    await answer.close()
    assert answer.headers.get("content-type") == "application/json"
    return answer.status, json.loads(body)


async def test_openais_list() -> None:
    model = {"object": "model", "created": 1_700_000_000}
    assert await ask("/openai/v1/models") == (
        200,
        {
            "object": "list",
            "data": [
                {"id": "house", "owned_by": "openai", **model},
                {"id": "org/model 1", "owned_by": "groq", **model},
            ],
        },
    )


async def test_anthropics_list() -> None:
    status, listed = await ask("/anthropic/v1/models?limit=5")
    assert status == 200
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == ("house", "org/model 1", False)
    assert listed["data"][0]["created_at"] == "2023-11-14T22:13:20Z"
    assert (await ask("/anthropic/v1/models", LocalModels([], 0)))[1] == {
        "data": [],
        "has_more": False,
        "first_id": None,
        "last_id": None,
    }


async def test_geminis_list() -> None:
    status, listed = await ask("/gemini/v1beta/models")
    assert status == 200
    assert [model["name"] for model in listed["models"]] == ["models/house", "models/org/model 1"]


@pytest.mark.parametrize(
    ("path", "key"),
    [("/openai/v1/models/", "id"), ("/anthropic/v1/models/", "id"), ("/gemini/v1beta/models/", "displayName")],
)
@pytest.mark.parametrize(("asked", "model"), [("house", "house"), ("org/model%201", "org/model 1")])
async def test_one_model(path: str, key: str, asked: str, model: str) -> None:
    status, found = await ask(path + asked)
    assert (status, found[key]) == (200, model)


@pytest.mark.parametrize("dialect", ["openai", "anthropic", "gemini"])
async def test_a_model_that_is_not_there(dialect: str) -> None:
    status, body = await ask(f"/{dialect}/v1/models/missing")
    assert status == 404
    assert "missing" in body["error"]["message"]
    if dialect == "anthropic":
        assert body["type"] == "error"


async def test_a_dialect_without_a_shape_of_its_own_is_told_as_openai() -> None:
    assert (await ask("/cohere/v1/models"))[1]["object"] == "list"

"""Feedback in its three shapes, scores and late properties, and what they change in every answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from helicone_gw.exchange import Exchange
from helicone_gw.testing import GatewayFactory, RunningGateway
from helicone_gw_logging.tables import FEEDBACK
from tests.plugins.logging.asking import log_all
from tests.plugins.logging.calling import answer, ask

Build = Callable[..., Exchange]
pytestmark = pytest.mark.usefixtures("virtual_time")


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningGateway]:
    async with GatewayFactory(tmp_path)(["logging"]) as running:
        yield running


async def shown(running: RunningGateway, id: str) -> dict[str, Any]:
    row: dict[str, Any] = await ask(running, "GET", f"/v1/request/{id}")
    return row


async def test_a_rating_of_a_request_that_is_still_on_its_way(running: RunningGateway) -> None:
    sent = await running.chat()
    sent_id = str(sent.headers.get("helicone-id"))
    assert await ask(running, "POST", f"/v1/request/{sent_id}/feedback", {"rating": True}) is None
    row = await shown(running, sent_id)
    assert (row["feedback_rating"], row["scores"]) == (True, {"helicone-score-feedback": 1})
    assert row["feedback_id"]
    assert row["feedback_created_at"]


@pytest.mark.parametrize(
    "path", ["/v1/feedback", "/feedback", "/oai/v1/feedback", "/oai/feedback", "/openai/v1/feedback"]
)
async def test_the_shapes_with_the_id_in_the_body(running: RunningGateway, exchange: Build, path: str) -> None:
    one = exchange()
    await log_all(running.gateway.database, [one])
    told = await answer(running, "POST", path, {"helicone-id": one.id, "rating": False})
    assert told["helicone-id"] == one.id
    assert (await shown(running, one.id))["feedback_rating"] is False
    named = {"helicone-id": one.id, "name": "stars", "value": 4, "data-type": "numerical"}
    await ask(running, "POST", path, named)
    await ask(running, "POST", path, {"helicone-id": one.id, "name": "nice", "value": True})
    async with running.gateway.database.connect() as connection:
        rows = (await connection.execute(select(FEEDBACK).order_by(FEEDBACK.c.name))).all()
    assert [(row.name, row.rating, row.value, row.data_type) for row in rows] == [
        ("nice", None, "true", "boolean"),
        ("rating", False, None, "boolean"),
        ("stars", None, "4", "numerical"),
    ]
    await ask(running, "POST", path, {"helicone-id": one.id, "name": "rating", "value": True})
    assert (await shown(running, one.id))["feedback_rating"] is True


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"helicone-id": "x"},
        {"helicone-id": "x", "value": 1},
        {"helicone-id": "x", "name": "rating", "value": "good"},
        {"helicone-id": "x", "rating": "yes"},
        {"helicone-id": "x", "rating": True, "ratnig": True},
        {"rating": True},
    ],
)
async def test_feedback_that_says_nothing(running: RunningGateway, body: Any) -> None:
    assert await ask(running, "POST", "/v1/feedback", body, status=400)


@pytest.mark.parametrize("path", ["/v1/request/{}/score", "/v1/webhook/request/{}/score"])
async def test_scores(running: RunningGateway, exchange: Build, path: str) -> None:
    one = exchange()
    await log_all(running.gateway.database, [one])
    path = path.format(one.id)
    assert await ask(running, "POST", path, {"scores": {"quality": 0.5, "ok": True}}, status=201) is None
    await ask(running, "POST", path, {"scores": {"quality": 0.75}}, status=201)
    assert (await shown(running, one.id))["scores"] == {"quality": 0.75, "ok": 1}
    for asked in (
        {"request_response_rmt": {"scores": {"quality": {"gt": 0.5}}}},
        {"scores": {"ok": {"equals": True}}},
        {"type": "condition", "field": {"column": "scores", "key": "ok"}, "operator": "eq", "value": 1},
    ):
        assert len(await ask(running, "POST", "/v1/request/query", {"filter": asked})) == 1
    for scores in ({"a": "good"}, {"": 1}, {str(number): 1 for number in range(101)}, "x", {"a": None}, {"a": 1e16}):
        await ask(running, "POST", path, {"scores": scores}, status=400)


async def test_a_late_property_is_found_and_summed_up(running: RunningGateway, exchange: Build) -> None:
    one = exchange(headers={"Helicone-Property-App": "shop"})
    await log_all(running.gateway.database, [one])
    path = f"/v1/request/{one.id}/property"
    told = await answer(running, "PUT", path, {"key": "APP", "value": "blog"})
    assert told == {"data": None, "error": None, "ok": "true"}
    await ask(running, "PUT", path, {"key": "Stage", "value": "prod"})
    assert (await shown(running, one.id))["properties"] == {"APP": "blog", "Stage": "prod"}
    at = {"timeFilter": {"start": "2026-01-01", "end": "2026-01-02"}}
    assert await ask(running, "POST", "/v1/property/app/top-requests/query", at) == [{"value": "blog", "count": 1}]
    for wrong in ({"key": "", "value": "x"}, {"key": "x"}, {"key": "x", "value": 1}):
        await ask(running, "PUT", path, wrong, status=400)


async def test_ratings_can_be_filtered_by(running: RunningGateway, exchange: Build) -> None:
    good, bad, unrated = exchange(), exchange(), exchange()
    await log_all(running.gateway.database, [good, bad, unrated])
    for one, rating in ((good, True), (bad, False)):
        await ask(running, "POST", f"/v1/request/{one.id}/feedback", {"rating": rating})

    async def found(filter: Any) -> set[str]:
        return {row["id"] for row in await ask(running, "POST", "/v1/request/query", {"filter": filter})}

    column = "helicone-score-feedback"
    assert await found({"request_response_rmt": {column: {"equals": True}}}) == {good.id}
    assert await found({"feedback": {"rating": {"equals": False}}}) == {bad.id}
    assert await found({"request_response_rmt": {column: {"not-equals": True}}}) == {bad.id, unrated.id}
    assert await found({"request_response_rmt": {column: {"equals": "null"}}}) == {unrated.id}
    assert await found({"request_response_rmt": {"scores": {column: {"equals": 1}}}}) == {good.id}


async def test_what_nobody_logged_is_not_found(running: RunningGateway) -> None:
    assert await ask(running, "POST", "/v1/request/nothing/feedback", {"rating": True}, status=404)

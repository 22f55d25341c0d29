"""Sessions and users over HTTP: lists, names, metrics, trees by path, tags and feedback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helicone_gw.exchange import Exchange
from helicone_gw.model import Cost, Outcome, Usage
from helicone_gw.testing import GatewayFactory, RunningGateway
from helicone_gw_logging.query.tree import ABOVE, MAX_DEPTH, labels, tree, ways, written
from tests.plugins.logging.asking import START, log_all
from tests.plugins.logging.calling import ALICE, EVE, KEYS, ask, migrated

Build = Callable[..., Exchange]
AT = round(START * 1000)
EVER = {"startTimeUnixMs": 0, "endTimeUnixMs": AT + 10**9}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.full)])
async def running(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RunningGateway]:
    url = f"sqlite:///{tmp_path}/api.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    async with migrated(url), GatewayFactory(tmp_path)(["logging"], config={"database": {"url": url}}) as running:
        yield running


def of_session(exchange: Build, id: str, path: str = "/", name: str | None = "Course", **more: Any) -> Exchange:
    headers = {"Helicone-Session-Id": id, "Helicone-Session-Path": path}
    return exchange(headers=headers | ({"Helicone-Session-Name": name} if name is not None else {}), **more)


@pytest.mark.parametrize("id", ["trip/7", "/abs//twice/", "a/tree", "../tag", "x?y#z", "é/%2F"])
async def test_an_id_may_have_slashes(running: RunningGateway, exchange: Build, id: str) -> None:
    done = [of_session(exchange, id, received_at=START), of_session(exchange, "trip", received_at=START)]
    await log_all(running.gateway.database, done)
    address = f"/v1/session/{quote(id, safe='')}"
    assert (await ask(running, "GET", f"{address}/tree"))["session_id"] == id
    assert await ask(running, "POST", f"{address}/tag", {"tag": "mine"}) is None
    assert await ask(running, "GET", f"{address}/tag") == "mine"
    assert await ask(running, "GET", "/v1/session/trip/tag") is None
    assert await ask(running, "POST", f"{address}/feedback", {"rating": True}) is None


async def test_sessions_are_listed_by_id_and_name(running: RunningGateway, exchange: Build) -> None:
    done = [
        of_session(exchange, "a", received_at=START, cost=Cost(5)),
        of_session(exchange, "a", received_at=START + 60, cost=None, outcome=Outcome("upstream_error", 500)),
        of_session(exchange, "a", name="Other", received_at=START + 5),
        of_session(exchange, "b", received_at=START + 30, cost=None),
        exchange(received_at=START + 40),
    ]
    await log_all(running.gateway.database, done)

    async def listed(path: str = "/v1/session/query", **asked: Any) -> Any:
        return await ask(running, "POST", path, {"timeFilter": EVER, **asked})

    rows = await listed()
    assert [(row["session_id"], row["session_name"]) for row in rows] == [
        ("a", "Course"),
        ("b", "Course"),
        ("a", "Other"),
    ]
    first = rows[0]
    assert (first["total_requests"], first["errors"], first["unknown_costs"], first["duration"]) == (2, 1, 1, 60)
    assert first["total_cost"] == pytest.approx(5e-9)
    assert rows[1]["total_cost"] is None
    assert first["created_at"] == "2026-01-01T00:00:00.000+00:00"
    assert first["avg_latency"] > 0
    assert [row["session_id"] for row in await listed(nameEquals="Other")] == ["a"]
    assert [row["session_id"] for row in await listed(search="B")] == ["b"]
    assert [row["session_name"] for row in await listed(search="oth")] == ["Other"]
    assert [row["session_id"] for row in await listed(sort="total_requests", limit=1)] == ["a"]
    assert [row["session_id"] for row in await listed(limit=1, offset=1)] == ["b"]
    assert await listed("/v1/session/count/query") == 3
    during = {"startTimeUnixMs": AT + 5000, "endTimeUnixMs": AT + 30_001}
    assert len(await listed(timeFilter=during)) == 2  # neither bound is part of it
    failed = {"request_response_rmt": {"status": {"gte": 500}}}
    assert [row["session_id"] for row in await listed(filter=failed)] == ["a"]
    several = {"sessions_request_response_rmt": {"session_total_requests": {"gt": 1}}}
    assert [row["session_name"] for row in await listed(filter=several)] == ["Course"]
    tagged = {"sessions_request_response_rmt": {"session_tag": {"equals": "good"}}}
    assert await listed(filter=tagged) == []
    await ask(running, "POST", "/v1/session/b/tag", {"tag": "good"})
    assert [(row["session_id"], row["tag"]) for row in await listed(filter=tagged)] == [("b", "good")]


async def test_names_and_metrics_of_sessions(running: RunningGateway, exchange: Build) -> None:
    done = []
    for number in range(20):
        for request in range(1 + number % 4):
            at = START + number * 10 + request
            done.append(
                of_session(exchange, f"s-{number}", name=f"Name {number % 2}", received_at=at, cost=Cost(10**9))
            )
    await log_all(running.gateway.database, done)
    names = await ask(running, "POST", "/v1/session/name/query", {"nameContains": "name", "timeFilter": EVER})
    assert [(name["name"], name["session_count"], name["total_requests"]) for name in names] == [
        ("Name 1", 10, 30),
        ("Name 0", 10, 20),
    ]
    assert names[0]["avg_latency"] > 0
    metrics = await ask(running, "POST", "/v1/session/metrics/query", {"timeFilter": EVER, "pSize": "p99.9"})
    assert sum(row["value"] for row in metrics["session_count"]) == 20
    assert (metrics["session_count"][0]["range_start"], metrics["session_count"][-1]["range_end"]) == ("1", "4")
    assert metrics["average"]["session_count"] == [{"average": pytest.approx(2.5)}]
    assert metrics["average"]["session_cost"] == [{"average": pytest.approx(2.5)}]
    assert metrics["average"]["session_duration"] == [{"average": pytest.approx(1.5)}]
    fewer = await ask(running, "POST", "/v1/session/metrics/query", {"timeFilter": EVER, "pSize": "p50"})
    assert [row["value"] for row in fewer["session_count"] if row["value"]] == [5, 5]
    none = await ask(running, "POST", "/v1/session/metrics/query", {"timeFilter": EVER, "nameContains": "nothing"})
    assert none == {
        "session_count": [],
        "session_duration": [],
        "session_cost": [],
        "average": {"session_count": [], "session_duration": [], "session_cost": []},
    }


async def test_a_session_is_a_tree_of_its_paths(running: RunningGateway, exchange: Build) -> None:
    done = [
        of_session(exchange, "s", "/abstract", received_at=START, cost=Cost(1)),
        of_session(exchange, "s", "abstract/outline/lesson-1/", received_at=START + 2, cost=Cost(10)),
        of_session(exchange, "s", "/zero", received_at=START + 3, cost=Cost(100)),
        of_session(exchange, "s", "/abstract/outline/lesson-1", received_at=START + 4, cost=None),
        of_session(exchange, "s", "/", received_at=START + 5, cost=Cost(1000), outcome=Outcome("timeout", None)),
    ]
    await log_all(running.gateway.database, done)
    found = await ask(running, "GET", "/v1/session/s/tree")
    paths = ["/", "/abstract", "/abstract/outline", "/abstract/outline/lesson-1", "/zero"]
    assert [node["path"] for node in found["nodes"]] == paths
    assert [node["parent"] for node in found["nodes"]] == [None, "/", "/abstract", "/abstract/outline", "/"]
    assert [node["requests"] for node in found["nodes"]] == [5, 3, 2, 2, 1]
    assert [len(node["request_ids"]) for node in found["nodes"]] == [1, 1, 0, 2, 1]
    assert [node["cost"] for node in found["nodes"]] == pytest.approx([1111e-9, 11e-9, 10e-9, 10e-9, 100e-9])
    assert [node["unknown_costs"] for node in found["nodes"]] == [1, 1, 1, 1, 0]
    assert [node["errors"] for node in found["nodes"]] == [1, 0, 0, 0, 0]
    assert (found["nodes"][0]["offset_ms"], found["nodes"][2]["offset_ms"]) == (0, 2000)
    assert [(one["path"], one["offset_ms"]) for one in found["requests"]][:2] == [
        ("/abstract", 0),
        ("/abstract/outline/lesson-1", 2000),
    ]
    assert found["requests"][-1]["status"] == -2
    assert found["complete"] is True
    (session,) = found["sessions"]
    assert (session["session_name"], session["total_requests"]) == ("Course", 5)
    await ask(running, "GET", "/v1/session/s/tree?name=Other", status=404)
    await ask(running, "GET", "/v1/session/nothing/tree", status=404)


async def test_what_is_unknown_of_a_session_is_null(running: RunningGateway, exchange: Build) -> None:
    done = [
        of_session(exchange, "s", "/dark", received_at=START, usage=None, cost=None),
        of_session(exchange, "s", "/light", received_at=START + 1, usage=Usage(0, 0), cost=Cost(0)),
        of_session(exchange, "dark", "/", received_at=START, usage=None, cost=None),
        of_session(exchange, "night", "/", "Night", received_at=START, usage=None, cost=None),
    ]
    await log_all(running.gateway.database, done)

    def told(row: dict[str, Any], cost: str) -> list[Any]:
        return [row[name] for name in (cost, "prompt_tokens", "completion_tokens", "total_tokens", "unknown_tokens")]

    sessions = await ask(running, "POST", "/v1/session/query", {"timeFilter": EVER})
    assert {row["session_id"]: told(row, "total_cost") for row in sessions} == {
        "s": [0, 0, 0, 0, 1],
        "dark": [None, None, None, None, 1],
        "night": [None, None, None, None, 1],
    }
    names = await ask(running, "POST", "/v1/session/name/query", {"timeFilter": EVER})
    assert {row["name"]: (row["total_cost"], row["unknown_costs"], row["total_requests"]) for row in names} == {
        "Course": (0, 2, 3),
        "Night": (None, 1, 1),
    }
    tree = await ask(running, "GET", "/v1/session/s/tree")
    assert {node["path"]: told(node, "cost") for node in tree["nodes"]} == {
        "/": [0, 0, 0, 0, 1],
        "/dark": [None, None, None, None, 1],
        "/light": [0, 0, 0, 0, 0],
    }


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=MAX_DEPTH + 3), min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
def test_a_tree_has_every_request_once_and_each_node_behind_its_parent(paths: list[list[str]]) -> None:
    rows = [
        dict.fromkeys(("ended_at", "latency", "cost_nano_usd", "prompt_tokens", "completion_tokens", "total_tokens"))
        | dict.fromkeys(("trace_id", "span_id", "annotations"))
        | {"session_path": "/".join(way), "received_at": number, "outcome": "ok"}
        for number, way in enumerate(paths)
    ]
    nodes = tree(rows)
    seen: set[str] = set()
    for node in nodes:
        assert node.parent is None or node.parent in seen
        assert node.path not in seen
        seen.add(node.path)
        assert node.depth <= MAX_DEPTH
    assert sorted(place for node in nodes for place in node.own) == [*range(len(rows))]
    for node in nodes:
        below = sum(child.requests for child in nodes if child.parent == node.path)
        assert node.requests == below + len(node.own)
        assert all(written(labels(rows[place]["session_path"])) == node.path for place in node.own)


def spans(*said: tuple[str, str, str | None]) -> list[dict[str, Any]]:
    """Rows of a trace: path, span, and the span that the path goes on from."""
    return [
        {
            "session_path": path,
            "trace_id": "t",
            "span_id": span,
            "annotations": None if above is None else {ABOVE: above},
        }
        for path, span, above in said
    ]


def test_a_path_goes_on_from_the_span_above_it_wherever_that_is() -> None:
    rows = spans(("/llm", "4", "3"), ("/agent", "1", None), ("/step/tool", "3", "1"), ("/late", "5", "9"))
    assert list(map(written, ways(rows))) == ["/agent/step/tool/llm", "/agent", "/agent/step/tool", "/late"]
    rows[2]["trace_id"] = "another"
    assert written(ways(rows)[0]) == "/llm", "ids of spans are of their trace"


@given(st.lists(st.integers(0, 9), min_size=1, max_size=10), st.integers(0, MAX_DEPTH))
def test_paths_that_go_round_in_circles_end(above: list[int], depth: int) -> None:
    rows = spans(*(("/a" * depth + "/b", str(number), str(span)) for number, span in enumerate(above)))
    found = ways(rows)
    assert len(found) == len(rows)
    assert all(0 < len(way) <= MAX_DEPTH and way[-1].endswith("b") for way in found)


async def test_a_session_is_tagged_and_rated(running: RunningGateway, exchange: Build) -> None:
    assert await ask(running, "GET", "/v1/session/has-session") is False
    later = of_session(exchange, "s", received_at=START + 1)
    first = of_session(exchange, "s", received_at=START)
    await log_all(running.gateway.database, [later, first])
    assert await ask(running, "GET", "/v1/session/has-session") is True
    assert await ask(running, "GET", "/v1/session/s/tag") is None
    for tag in ("one", "two"):
        await ask(running, "POST", "/v1/session/s/tag", {"tag": tag})
    assert await ask(running, "GET", "/v1/session/s/tag") == "two"
    await ask(running, "POST", "/v1/session/s/feedback", {"rating": True})
    rated = await ask(running, "GET", f"/v1/request/{first.id}")
    assert rated["properties"]["Helicone-Session-Feedback"] == "1"
    other = await ask(running, "GET", f"/v1/request/{later.id}")
    assert "Helicone-Session-Feedback" not in other["properties"]
    for path, body in (("tag", {"tag": "x"}), ("feedback", {"rating": False})):
        await ask(running, "POST", f"/v1/session/nothing/{path}", body, status=404)


async def test_users_and_what_they_used(running: RunningGateway, exchange: Build) -> None:
    day = 86_400
    done = [
        exchange(headers={"Helicone-User-Id": user}, received_at=START + at, cost=cost)
        for user, at, cost in (
            ("ann", 0, Cost(10**9)),
            ("ann", day, Cost(10**9)),
            ("ann", day + 1, None),
            ("bob", 2 * day, Cost(5 * 10**9)),
        )
    ]
    await log_all(running.gateway.database, done)
    users = await ask(running, "POST", "/v1/user/query", {})
    assert [(user["user_id"], user["count"], user["cost"]) for user in users] == [("bob", 1, 5), ("ann", 3, 2)]
    assert [user["user_id"] for user in await ask(running, "POST", "/v1/user/query", {"userIds": ["ann", "eve"]})] == [
        "ann"
    ]
    during = {"startTimeUnixSeconds": START, "endTimeUnixSeconds": START + day}
    (user,) = await ask(running, "POST", "/v1/user/query", {"timeFilter": during})
    assert (user["user_id"], user["count"], user["cost"]) == ("ann", 1, 1)

    async def metrics(**asked: Any) -> Any:
        return await ask(running, "POST", "/v1/user/metrics/query", {"filter": "all", **asked})

    found = await metrics()
    assert (found["count"], found["hasUsers"]) == (2, True)
    assert [user["user_id"] for user in found["users"]] == ["bob", "ann"]
    ann = found["users"][1]
    assert (ann["active_for"], ann["total_requests"], ann["unknown_costs"]) == (2, 3, 1)
    assert ann["average_requests_per_day_active"] == 1.5
    assert (ann["first_active"], ann["last_active"]) == (
        "2026-01-01T00:00:00.000+00:00",
        "2026-01-02T00:00:01.000+00:00",
    )
    assert [user["user_id"] for user in (await metrics(sort={"total_requests": "desc"}))["users"]] == ["ann", "bob"]
    busy = {"users_view": {"user_total_requests": {"gt": 1}}}
    assert [user["user_id"] for user in (await metrics(filter=busy))["users"]] == ["ann"]
    dear = {"request_response_rmt": {"cost": {"gt": 2}}}
    assert [user["user_id"] for user in (await metrics(filter=dear))["users"]] == ["bob"]
    some = await metrics(timeFilter={"startTimeUnixSeconds": START + 1, "endTimeUnixSeconds": START + 3 * day})
    assert [(user["user_id"], user["total_requests"], user["active_for"]) for user in some["users"]] == [
        ("ann", 2, 1),
        ("bob", 1, 1),
    ]
    assert some["count"] == 2
    await ask(running, "POST", "/v1/user/metrics/query", {"filter": "all", "limit": 1001}, status=400)
    overview = await ask(running, "POST", "/v1/user/metrics-overview/query", {"filter": "all", "pSize": "p99"})
    assert sum(row["value"] for row in overview["request_count"]) == 2
    assert sum(row["value"] for row in overview["user_cost"]) == 2


async def test_what_a_user_cost_is_unknown_where_nothing_of_it_is_known(
    running: RunningGateway, exchange: Build
) -> None:
    costs: dict[str, list[Cost | None]] = {"ann": [None, None], "bob": [None, Cost(0)], "eve": [Cost(10**9), None]}
    done = [
        exchange(headers={"Helicone-User-Id": user}, received_at=START, cost=cost)
        for user, each in costs.items()
        for cost in each
    ]
    await log_all(running.gateway.database, done)
    during = {"timeFilter": {"startTimeUnixSeconds": START, "endTimeUnixSeconds": START + 1}}
    everything: list[dict[str, Any]] = [{}, during]
    for asked in everything:
        users = await ask(running, "POST", "/v1/user/query", asked)
        measured = await ask(running, "POST", "/v1/user/metrics/query", {"filter": "all", **asked})
        for found in (users, measured["users"]):
            assert {user["user_id"]: user["cost"] for user in found} == {"ann": None, "bob": 0, "eve": 1}


async def test_a_users_tokens_are_unknown_where_nothing_of_them_is_known(
    running: RunningGateway, exchange: Build
) -> None:
    used: dict[str, list[dict[str, Any]]] = {"ann": [{"usage": None}, {"usage": None}], "bob": [{"usage": None}, {}]}
    done = [
        exchange(headers={"Helicone-User-Id": user}, received_at=START, cost=None, **options)
        for user, each in used.items()
        for options in each
    ]
    await log_all(running.gateway.database, done)
    during = {"timeFilter": {"startTimeUnixSeconds": START, "endTimeUnixSeconds": START + 1}}
    everything: list[dict[str, Any]] = [{}, during]
    for asked in everything:
        users = {one["user_id"]: one for one in await ask(running, "POST", "/v1/user/query", asked)}
        assert (users["ann"]["prompt_tokens"], users["ann"]["completion_tokens"]) == (None, None)
        assert (users["bob"]["prompt_tokens"], users["bob"]["completion_tokens"]) == (10, 5)
        measured = await ask(running, "POST", "/v1/user/metrics/query", {"filter": "all", **asked})
        told = {
            user["id"]: (user["total_prompt_tokens"], user["average_tokens_per_request"], user["unknown_tokens"])
            for user in measured["users"]
        }
        assert told == {"ann": (None, None, 2), "bob": (10, 7.5, 1)}


async def test_other_organizations_see_none_of_them(tmp_path: Path, exchange: Build) -> None:
    plugins: list[Any] = ["logging", {"security": {"keys": KEYS}}]
    async with GatewayFactory(tmp_path)(plugins) as running:
        await log_all(running.gateway.database, [of_session(exchange, "s", user="ann")])
        for headers, many in ((ALICE, 1), (EVE, 0)):
            rows = await ask(running, "POST", "/v1/session/query", {"timeFilter": EVER}, headers=headers)
            assert len(rows) == many
            names = await ask(running, "POST", "/v1/session/name/query", {"timeFilter": EVER}, headers=headers)
            assert len(names) == many
            assert await ask(running, "GET", "/v1/session/has-session", headers=headers) is bool(many)
            status = 200 if many else 404
            await ask(running, "GET", "/v1/session/s/tree", headers=headers, status=status)
            await ask(running, "POST", "/v1/session/s/tag", {"tag": "x"}, headers=headers, status=status)
            await ask(running, "POST", "/v1/session/s/feedback", {"rating": True}, headers=headers, status=status)
            users = await ask(running, "POST", "/v1/user/metrics/query", {"filter": "all"}, headers=headers)
            assert (users["count"], users["hasUsers"]) == (many, bool(many))
        assert await ask(running, "GET", "/v1/session/s/tag", headers=EVE) is None

"""Metrics: series, percentiles and rankings, the same from sums and from rows, as plain Python counts them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, tzinfo
from itertools import cycle
from pathlib import Path
from typing import Any, get_args

import pytest
from sqlalchemy import select

from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw.model import Cost, Outcome, Usage
from helicone_gw.testing import GatewayFactory, RunningGateway
from helicone_gw_logging.packing import pack
from helicone_gw_logging.plugin import VERSIONS
from helicone_gw_logging.query import active as active_users
from helicone_gw_logging.query import percentiles, plan, sums
from helicone_gw_logging.query.active import active
from helicone_gw_logging.query.buckets import Increment
from helicone_gw_logging.query.cuts import cuts, steps, zone
from helicone_gw_logging.query.filters import read_filter
from helicone_gw_logging.query.largest import largest
from helicone_gw_logging.query.nodes import FilterError
from helicone_gw_logging.query.percentiles import counted
from helicone_gw_logging.query.plan import By, Group, Question, planned
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.spans import Span
from helicone_gw_logging.query.sums import summed
from helicone_gw_logging.tables import PROPERTY, REQUEST
from tests.plugins.logging.asking import START, log_all, many
from tests.plugins.logging.calling import ALICE, EVE, KEYS, ask, migrated
from tests.plugins.logging.conftest import build
from tests.plugins.logging.sums import expected

Build = Callable[..., Exchange]
AT, HOUR, MINUTE = round(START * 1000), 3_600_000, 60_000
WHOLE = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T03:00:00Z"}
SPANS = [
    Span(AT, AT + 3 * HOUR),
    Span(AT - 40 * 24 * HOUR, AT + 40 * 24 * HOUR),
    Span(AT + 17 * MINUTE + 1, AT + 2 * HOUR + 12_345),
    Span(AT + 5 * MINUTE, AT + 9 * MINUTE),
    Span(AT, AT),
    Span(AT + 10 * MINUTE + 1, AT + 2 * HOUR + 50 * MINUTE),
]
FILTERS: list[Any] = [
    "all",
    {"request_response_rmt": {"model": {"equals": "gpt-4o-2024-08-06"}}},
    {"request_response_rmt": {"provider": {"not-equals": "openai"}, "status": {"gte": 400}}},
    {"request_response_rmt": {"status": {"lt": 500}}},
    {"request_response_rmt": {"status": {"equals": -2}}},
    {"request_response_rmt": {"key_owner": {"equals": "null"}}},
    {"request_response_rmt": {"user_id": {"equals": "ann"}}},
    {"properties": {"app": {"equals": "shop"}}},
    {"request_response_rmt": {"properties": {"stage": {"is": "null"}}, "latency": {"gt": 3}}},
    {"request_response_rmt": {"request_created_at": {"gte": "2026-01-01T01:30:00Z", "lt": "2026-01-01T02:15:00Z"}}},
    {"request_response_rmt": {"model": {"contains": "gpt"}, "source": {"in": ["gateway", "async"]}}},
]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any], dict[int, Any]]:
    """Where a log is, its requests, and their properties by number."""
    path = tmp_path_factory.mktemp("metrics") / "log.db"

    async def write() -> tuple[list[Any], dict[int, Any]]:
        database = Database(f"sqlite:///{path}")
        await database.migrate("logging", VERSIONS)
        await log_all(database, many(build, 200))
        async with database.connect() as connection:
            rows = [*(await connection.execute(select(REQUEST))).all()]
            properties: dict[int, dict[str, str]] = {row.seq: {} for row in rows}
            for row in await connection.execute(select(PROPERTY)):
                properties[row.seq][row.key_lower] = row.value
        await database.close()
        return rows, properties

    return path, *asyncio.run(write())


@pytest.fixture
async def filled(
    written: tuple[Path, list[Any], dict[int, Any]],
) -> AsyncIterator[tuple[Database, list[Any], dict[int, Any]]]:
    """The log, its requests, and their properties by number."""
    path, rows, properties = written
    database = Database(f"sqlite:///{path}")
    yield database, rows, properties
    await database.close()


def holding(rows: Sequence[Any], properties: dict[int, Any], asked: Any, span: Span) -> list[Any]:
    """The requests of an organization and time for which a filter holds, by its text in `FILTERS`."""
    conditions: dict[int, Callable[[Any], bool]] = {
        0: lambda row: True,
        1: lambda row: row.model == "gpt-4o-2024-08-06",
        2: lambda row: row.provider != "openai" and (row.status or -1) >= 400,
        3: lambda row: (row.status or -1) < 500,
        4: lambda row: row.status is None and row.outcome == "timeout",
        5: lambda row: row.key_owner is None,
        6: lambda row: row.user_id == "ann",
        7: lambda row: properties[row.seq].get("app") == "shop",
        8: lambda row: "stage" not in properties[row.seq] and (row.latency or 0) > 3,
        9: lambda row: AT + 90 * MINUTE <= row.received_at < AT + 135 * MINUTE,
        10: lambda row: "gpt" in (row.model or row.request_model or ""),
    }
    holds = conditions[FILTERS.index(asked)]
    return [
        row
        for row in rows
        if row.organization_id == "default" and span.start <= row.received_at < span.end and holds(row)
    ]


def value_of(row: Any, group: Group, properties: dict[int, Any]) -> Any:
    match group.by:
        case "property":
            return properties[row.seq].get(group.key.lower())
        case "model":
            return row.model or row.request_model or ""
        case "status":
            return row.status or 0
        case "owner":
            return row.key_owner or ""
        case "cached":
            return row.cache_status in ("hit", "joined")
        case "error":
            return None if row.outcome == "ok" else row.error_code or row.outcome
    column = {
        "user": "user_id",
        "prompt": "prompt_id",
        "country": "country_code",
        "key": "key_id",
        "session": "session_id",
    }.get(group.by, group.by)
    found = getattr(row, column)
    return found or "" if group.by == "provider" else found


@pytest.mark.parametrize("asked", FILTERS, ids=range(len(FILTERS)))
@pytest.mark.parametrize("source", ["sums", "rows"])
async def test_sums_are_those_of_the_rows(
    filled: tuple[Database, list[Any], dict[int, Any]], monkeypatch: pytest.MonkeyPatch, asked: Any, source: str
) -> None:
    database, rows, properties = filled
    if source == "rows":
        from_rows(monkeypatch)
    scope, node = Scope(), read_filter(asked)
    async with database.connect() as connection:
        for span in SPANS:
            there = holding(rows, properties, asked, span)
            found = await summed(connection, Question(scope, span, node))
            assert found == ({(0, None): expected(there)} if there else {})
            users = await active(connection, Question(scope, span, node))
            assert users.get(0, 0) == len({row.user_id for row in there} - {None})
            for metric in ("latency", "time_to_first_token", "total_tokens"):
                counts = await counted(connection, Question(scope, span, node), metric)
                numbers = sum(getattr(row, metric) is not None for row in there)
                assert sum(counts.get((0, None), {}).values()) == numbers


def from_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be answered by sums."""

    async def rows_only(connection: Any, question: Question) -> plan.Plan:
        return plan._of_rows(question)

    for module in (sums, percentiles, active_users):
        monkeypatch.setattr(module, "planned", rows_only)


@pytest.mark.parametrize("by", get_args(By))
async def test_groups_are_those_of_the_rows(filled: tuple[Database, list[Any], dict[int, Any]], by: By) -> None:
    database, rows, properties = filled
    group = Group(by, "App" if by == "property" else "")
    async with database.connect() as connection:
        for asked in (FILTERS[0], FILTERS[3], FILTERS[7]):
            for span in (SPANS[1], SPANS[2], SPANS[5]):
                there: dict[Any, list[Any]] = {}
                for row in holding(rows, properties, asked, span):
                    if (value := value_of(row, group, properties)) is not None:
                        there.setdefault(value, []).append(row)
                question = Question(Scope(), span, read_filter(asked), group)
                found = await summed(connection, question)
                assert found == {(0, value): expected(some) for value, some in there.items()}
                counts = await counted(connection, question, "latency")
                assert {value: sum(each.values()) for (_, value), each in counts.items()} == {
                    value: len(some) for value, some in there.items()
                }


@pytest.mark.parametrize("increment", get_args(Increment))
@pytest.mark.parametrize(
    "where",
    [zone("UTC"), zone("Europe/Berlin"), zone("America/Noronha"), zone(None, -90)],
    ids=["0", "1", "-2", "-1:30"],
)
async def test_buckets_are_those_of_the_rows(
    filled: tuple[Database, list[Any], dict[int, Any]], increment: Increment, where: tzinfo
) -> None:
    database, rows, properties = filled
    async with database.connect() as connection:
        for asked in (FILTERS[0], FILTERS[9]):
            for span in (SPANS[1 if increment in ("day", "week", "month", "year") else 0], SPANS[2], SPANS[5]):
                begins = cuts(span, increment, where)
                there: dict[int, list[Any]] = {}
                for row in holding(rows, properties, asked, span):
                    there.setdefault(sum(cut <= row.received_at for cut in begins) - 1, []).append(row)
                question = Question(Scope(), span, read_filter(asked), cuts=tuple(begins))
                found = await summed(connection, question)
                assert found == {(number, None): expected(some) for number, some in there.items()}
                counts = await counted(connection, question, "latency")
                assert {at: sum(each.values()) for (at, _), each in counts.items()} == {
                    number: len(some) for number, some in there.items()
                }
                if len(begins) <= 240:
                    users = {number: len({row.user_id for row in some} - {None}) for number, some in there.items()}
                    assert await active(connection, question) == {at: count for at, count in users.items() if count}


@pytest.mark.parametrize("length", [7 * MINUTE, HOUR, 90 * MINUTE, 6 * HOUR, 5 * 24 * HOUR])
async def test_buckets_of_any_length_are_those_of_the_rows(
    filled: tuple[Database, list[Any], dict[int, Any]], length: int
) -> None:
    database, rows, properties = filled
    async with database.connect() as connection:
        for span in (SPANS[0], SPANS[2], SPANS[5], Span(AT - 30 * 24 * HOUR, AT + 3 * HOUR)):
            if (span.end - span.start) // length > 1000:
                continue
            there: dict[int, list[Any]] = {}
            for row in holding(rows, properties, "all", span):
                there.setdefault((row.received_at - span.start) // length, []).append(row)
            question = Question(Scope(), span, cuts=tuple(steps(span, length)))
            found = await summed(connection, question)
            assert found == {(number, None): expected(some) for number, some in there.items()}
            counts = await counted(connection, question, "latency")
            assert {at: sum(each.values()) for (at, _), each in counts.items()} == {
                number: len(some) for number, some in there.items()
            }


def test_buckets_begin_when_clocks_say_so() -> None:
    berlin = zone("Europe/Berlin")
    spring = Span(moment("2026-03-28T12:00+01:00"), moment("2026-03-31T00:00+02:00"))
    assert cuts(spring, "day", berlin) == [
        moment("2026-03-28T00:00+01:00"),
        moment("2026-03-29T00:00+01:00"),
        moment("2026-03-30T00:00+02:00"),
    ]
    week = cuts(Span(moment("2026-01-01T00:00Z"), moment("2026-01-13T00:00Z")), "week", zone(None, 0))
    assert week == [moment("2025-12-29T00:00Z"), moment("2026-01-05T00:00Z"), moment("2026-01-12T00:00Z")]
    months = cuts(Span(moment("2026-01-31T00:00Z"), moment("2026-03-02T00:00Z")), "month", zone("UTC"))
    assert months == [moment("2026-01-01T00:00Z"), moment("2026-02-01T00:00Z"), moment("2026-03-01T00:00Z")]
    lord_howe = cuts(
        Span(moment("2026-04-04T13:00Z"), moment("2026-04-04T18:00Z")), "hour", zone("Australia/Lord_Howe")
    )
    assert lord_howe == sorted(set(lord_howe))


def moment(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


async def test_a_series_has_every_bucket_and_the_time_before(tmp_path: Path, exchange: Build) -> None:
    async with GatewayFactory(tmp_path)(["logging"]) as running:
        ends = [exchange(received_at=START + 60 * minute, user="ann") for minute in (5, 70, 75)]
        await log_all(running.gateway.database, [*ends, exchange(received_at=START + 60 * 130, cost=None)])
        at = {"start": "2026-01-01T01:00:00Z", "end": "2026-01-01T03:00:00Z"}
        data = await ask(
            running,
            "POST",
            "/v1/metrics/series/query",
            {"timeFilter": at, "dbIncrement": "hour", "previous": True, "users": True, "by": "model"},
        )
    one, two = data["buckets"]
    assert (one["at"], one["requests"], one["cost"]) == ("2026-01-01T01:00:00.000+00:00", 2, pytest.approx(15e-6))
    assert one["latency"] == pytest.approx(1234)
    assert (two["requests"], two["cost"], two["unknown_costs"]) == (1, None, 1)
    assert (data["totals"]["requests"], data["totals"]["cost"]) == (3, pytest.approx(15e-6))
    assert data["previous"]["totals"]["requests"] == 1
    assert [bucket["at"][11:16] for bucket in data["previous"]["buckets"]] == ["23:00", "00:00"]
    assert data["previous"]["buckets"][0] == {
        **data["previous"]["buckets"][0],
        "requests": 0,
        "latency": None,
        "cost": 0,
    }
    (group,) = data["groups"]
    assert (group["value"], group["totals"]["requests"]) == ("gpt-4o-2024-08-06", 3)
    assert data["source"] == "sums"


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_what_is_unknown_of_a_bucket_is_null(
    request: pytest.FixtureRequest, tmp_path: Path, exchange: Build, kind: str
) -> None:
    url = f"sqlite:///{tmp_path}/api.db" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    hours: list[list[tuple[Usage | None, Cost | None]]] = [
        [(None, None), (None, None)],
        [(None, None), (Usage(10, 5, reasoning_tokens=4), Cost(10**9))],
        [(None, None), (Usage(0, 0), Cost(0))],
        [],
    ]
    done = [
        exchange(received_at=START + 3600 * hour + place, usage=usage, cost=cost)
        for hour, each in enumerate(hours)
        for place, (usage, cost) in enumerate(each)
    ]
    names = "cost", "prompt_tokens", "completion_tokens", "total_tokens", "reasoning_tokens", "prompt_audio_tokens"

    def told(amounts: dict[str, Any]) -> list[Any]:
        assert amounts["unknown_tokens"] == amounts["unknown_costs"]
        return [amounts["unknown_tokens"], *(amounts[name] for name in names)]

    async with migrated(url), GatewayFactory(tmp_path)(["logging"], config={"database": {"url": url}}) as running:
        await log_all(running.gateway.database, done)
        at = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T04:00:00Z"}
        asked: dict[str, Any] = {"timeFilter": at, "dbIncrement": "hour", "by": "model"}
        rows = {"request_response_rmt": {"latency": {"gte": 0}}}
        for source, filter_ in (("sums", "all"), ("rows", rows)):
            data = await ask(running, "POST", "/v1/metrics/series/query", {**asked, "userFilter": filter_})
            assert data["source"] == source
            (group,) = data["groups"]
            for lane in (data, group):
                assert [told(bucket) for bucket in lane["buckets"]] == [
                    [2, None, None, None, None, None, None],
                    [1, 1, 10, 5, 15, 4, 0],
                    [1, 0, 0, 0, 0, 0, 0],
                    [0, 0, 0, 0, 0, 0, 0],
                ]
                assert told(lane["totals"]) == [4, 1, 10, 5, 15, 4, 0]
        during = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T01:00:00Z"}
        top = await ask(running, "POST", "/v1/metrics/top/query", {"timeFilter": during, "by": "model"})
        assert told(top["values"][0]) == told(top["totals"]) == [2, None, None, None, None, None, None]


async def test_percentiles_in_all_over_time_and_by_model(tmp_path: Path, exchange: Build) -> None:
    async with GatewayFactory(tmp_path)(["logging"]) as running:
        done = [
            exchange(received_at=START + number, ended_at=START + number + number / 1000) for number in range(1, 101)
        ]
        await log_all(running.gateway.database, done)
        body = {"timeFilter": WHOLE, "percentiles": [50, 99.9], "dbIncrement": "hour", "by": "model", "previous": True}
        data = await ask(running, "POST", "/v1/metrics/percentiles/query", body)
        plain = await ask(running, "POST", "/v1/metrics/percentiles/query", {"timeFilter": WHOLE})
    assert data["count"] == 100
    assert data["values"] == {"p50": pytest.approx(50, rel=0.01), "p99.9": pytest.approx(100, rel=0.01)}
    assert [bucket["count"] for bucket in data["buckets"]] == [100, 0, 0]
    assert data["buckets"][1]["values"] == {"p50": None, "p99.9": None}
    assert [(group["value"], group["count"]) for group in data["groups"]] == [("gpt-4o-2024-08-06", 100)]
    assert data["previous"]["count"] == 0
    assert (plain["buckets"], plain["groups"], [*plain["values"]]) == (None, None, ["p50", "p75", "p90", "p95", "p99"])


async def test_the_largest_values_come_first(tmp_path: Path, exchange: Build) -> None:
    async with GatewayFactory(tmp_path)(["logging"]) as running:
        done = [
            exchange(headers={"Helicone-User-Id": user}, cost=Cost(cost), received_at=START + number)
            for number, (user, cost) in enumerate((("ann", 5), ("bob", 70), ("bob", 1), ("cyd", 30)))
        ]
        await log_all(
            running.gateway.database, [*done, exchange(received_at=START - 60, headers={"Helicone-User-Id": "bob"})]
        )

        async def top(**asked: Any) -> Any:
            body = {"timeFilter": WHOLE, "by": "user", **asked}
            return await ask(running, "POST", "/v1/metrics/top/query", body)

        dearest = await top(sort="cost", limit=2, previous=True)
        assert [one["value"] for one in dearest["values"]] == ["bob", "cyd"]
        assert dearest["values"][0]["cost"] == pytest.approx(71e-9)
        assert [one["previous"]["requests"] for one in dearest["values"]] == [1, 0]
        assert (dearest["totals"]["requests"], dearest["previous"]["requests"]) == (4, 1)
        assert [one["value"] for one in (await top(sort="cost", limit=2, offset=1))["values"]] == ["cyd", "ann"]
        assert [one["value"] for one in (await top())["values"]] == ["bob", "ann", "cyd"]
        assert (await top(by="country"))["values"] == []
        error = await ask(running, "POST", "/v1/metrics/top/query", {"timeFilter": WHOLE, "by": "property"}, status=400)
        assert error.startswith("propertyKey:")


async def test_values_that_no_sums_tell_are_those_of_the_newest_requests(
    running: RunningGateway, exchange: Build
) -> None:
    users = ["ann", "bob", "bob", "eve", "eve"]
    log = [exchange(received_at=START + at, user=user) for at, user in enumerate(users)]
    await log_all(running.gateway.database, log)
    body: dict[str, Any] = {"timeFilter": WHOLE, "by": "user", "previous": True}
    model = {"request_response_rmt": {"model": {"equals": "gpt-4o-2024-08-06"}}}

    async def told(**asked: Any) -> Any:
        found = await ask(running, "POST", "/v1/metrics/top/query", {**body, **asked})
        values = {one["value"]: (one["requests"], one["previous"]["requests"]) for one in found["values"]}
        return values, found["totals"]["requests"], found["since"], found["source"]

    everybody = {"ann": (1, 0), "bob": (2, 0), "eve": (2, 0)}
    assert await told(newest=3) == (everybody, 5, None, "sums")
    assert await told(newest=5, userFilter=model) == (everybody, 5, None, "rows")
    newest = {"bob": (1, 1), "eve": (2, 0)}  # compared with as long a time before those
    assert await told(newest=3, userFilter=model) == (newest, 3, "2026-01-01T00:00:01.001+00:00", "rows")


async def test_metrics_are_those_of_the_callers_organization(tmp_path: Path, exchange: Build) -> None:
    plugins: list[Any] = ["logging", {"security": {"keys": KEYS}}]
    async with GatewayFactory(tmp_path)(plugins) as running:
        await log_all(running.gateway.database, many(exchange, 30))
        for headers, organization in ((ALICE, 24), (EVE, 6)):
            for path, more in (("series", {}), ("top", {"by": "provider"})):
                data = await ask(
                    running, "POST", f"/v1/metrics/{path}/query", {"timeFilter": WHOLE, **more}, headers=headers
                )
                assert data["totals"]["requests"] == organization
            data = await ask(running, "POST", "/v1/metrics/percentiles/query", {"timeFilter": WHOLE}, headers=headers)
            assert data["count"] == organization


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"timeZone": "Mars/Olympus"}, "timeZone"),
        ({"timeZone": "../../etc/passwd"}, "timeZone"),
        ({"dbIncrement": "min", "timeFilter": {"start": "2020-01-01", "end": "2026-01-01"}}, "dbIncrement"),
        ({"users": True, "dbIncrement": "min"}, "users"),
        ({"bucketMilliseconds": 1000}, "bucketMilliseconds"),
        ({"bucketMilliseconds": 999}, "bucketMilliseconds"),
        ({"timeFilter": {"start": "yesterday", "end": "2026-01-01"}}, "timeFilter.start"),
        ({"by": "colour"}, "by"),
        ({"more": 1}, "more"),
    ],
)
async def test_what_cannot_be_asked_is_named(running: RunningGateway, body: dict[str, Any], named: str) -> None:
    at = {"start": "2026-01-01", "end": "2026-01-02"}
    error = await ask(running, "POST", "/v1/metrics/series/query", {"timeFilter": at, **body}, status=400)
    assert named in error


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.full)])
async def running(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RunningGateway]:
    url = f"sqlite:///{tmp_path}/api.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    async with migrated(url), GatewayFactory(tmp_path)(["logging"], config={"database": {"url": url}}) as running:
        yield running


async def test_what_caches_spared_and_what_limits_refused(running: RunningGateway, exchange: Build) -> None:
    hit = exchange(received_at=START + 1, user="ann")
    hit.annotate("cache.status", "hit")
    hit.annotate("cache.saved_nano_usd", 3 * 10**9)
    refused = exchange(received_at=START + 3700, user="bob", outcome=Outcome("refused", 429))
    await log_all(running.gateway.database, [hit, refused, exchange(received_at=START)])
    body = {"timeFilter": WHOLE, "dbIncrement": "hour"}
    cache = await ask(running, "POST", "/v1/metrics/cache/query", body)
    assert (cache["totals"]["cache_hits"], cache["totals"]["saved"]) == (1, 3)
    assert [bucket["cache_hits"] for bucket in cache["buckets"]] == [1, 0, 0]
    assert [(one["value"], one["cache_hits"]) for one in cache["models"]] == [("gpt-4o-2024-08-06", 1)]
    assert [one["value"] for one in cache["users"]] == ["ann"]
    limits = await ask(running, "POST", "/v1/metrics/rate-limit/query", body)
    assert [bucket["rate_limited"] for bucket in limits["buckets"]] == [0, 1, 0]
    assert [one["value"] for one in limits["users"]] == ["bob"]
    assert limits["keys"] == []


async def test_models_with_what_they_were_used_for(running: RunningGateway, exchange: Build) -> None:
    await log_all(running.gateway.database, [exchange(), exchange(), exchange(model=None, attempts=[])])
    one = await ask(running, "POST", "/v1/metrics/models/query", {"timeFilter": WHOLE})
    assert [(each["model"], each["requests"]) for each in one] == [("gpt-4o-2024-08-06", 3)]
    assert one[0]["latencies"]["values"]["p50"] == pytest.approx(1234, rel=0.01)
    assert one[0]["first_tokens"]["count"] == 0


async def test_scores_are_averaged_over_time(running: RunningGateway, exchange: Build) -> None:
    done = [exchange(received_at=START + at) for at in (0, 10, 3600)]
    await log_all(running.gateway.database, done)
    for one, scores in zip(done, ({"good": 1}, {"good": 4, "fast": True}, {"good": 7}), strict=True):
        await ask(running, "POST", f"/v1/request/{one.id}/score", {"scores": scores}, status=201)
    body = {"timeFilter": WHOLE, "userFilter": "all", "dbIncrement": "hour", "timeZoneDifference": 0}
    assert await ask(running, "POST", "/v1/dashboard/scores/query", body) == [
        {"score_key": "fast", "score_sum": 1.0, "created_at_trunc": "2026-01-01T00:00:00.000+00:00"},
        {"score_key": "good", "score_sum": 2.5, "created_at_trunc": "2026-01-01T00:00:00.000+00:00"},
        {"score_key": "good", "score_sum": 7.0, "created_at_trunc": "2026-01-01T01:00:00.000+00:00"},
    ]


async def test_decades_by_the_day_of_another_zone(filled: tuple[Database, list[Any], dict[int, Any]]) -> None:
    database, rows, _ = filled
    span = Span(moment("2003-01-01T00:00Z"), moment("2029-01-01T00:00Z"))
    question = Question(Scope(), span, cuts=tuple(cuts(span, "day", zone("America/Noronha"))))
    there = [row for row in rows if row.organization_id == "default"]
    async with database.connect() as connection:
        found = await summed(connection, question)
        counts = await counted(connection, question, "latency")
        with pytest.raises(FilterError, match="users"):
            await active(connection, question)
    assert sum(sums["requests"] for sums in found.values()) == len(there)
    assert {at: sum(each.values()) for (at, _), each in counts.items()} == {
        at: sums["requests"] for (at, _), sums in found.items()
    }
    assert len(found) == 2


async def test_sums_and_rows_tell_the_same_on_every_database(
    any_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log_all(any_database, many(build, 120))
    groups: list[Group | None] = [None, *(Group(by, "app" if by == "property" else "") for by in get_args(By))]
    increments: tuple[Increment, ...] = ("hour", "day", "week", "month")
    questions = [
        Question(Scope(), span, read_filter(asked), group, tuple(cuts(span, increment, zone(None, -90))))
        for asked, span, increment, group in zip(
            cycle(FILTERS), cycle((*SPANS[:3], SPANS[5])), cycle(increments), groups, strict=False
        )
        if (span.end - span.start) < 10**8 or increment != "hour"
    ]
    odd = SPANS[2]
    questions += [Question(Scope(), odd, group=Group("user"), cuts=tuple(steps(odd, 13 * MINUTE)))]
    answers: list[list[Any]] = []
    for source in ("sums", "packed", "rows"):
        if source == "packed":
            assert [done async for done in pack(any_database, START + 2 * 86_400)]
        elif source == "rows":
            from_rows(monkeypatch)
        async with any_database.connect() as connection:
            answers.append([])
            for question in questions:
                counts = await counted(connection, question, "latency")
                users = await active(connection, question)
                answers[-1].append((await summed(connection, question), counts, users))
                plan_ = await planned(connection, question)
                answers[-1].append(await largest(connection, question, plan_, ("cost_nano_usd", "requests"), 5))
    assert answers[0] == answers[1] == answers[2]
    assert any(answer for answer in answers[0])

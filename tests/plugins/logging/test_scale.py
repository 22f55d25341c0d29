"""Many rows: what charts and lists need is in few rows and behind an index; percentiles are within one per cent.

Figures at full size (a million rows) are printed and held against what is promised, in CPU time of this process.
"""

from __future__ import annotations

import asyncio
import math
import random
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Select, desc, func, select
from sqlalchemy.dialects import sqlite

from helicone_gw.database import Database
from helicone_gw_logging.histograms import percentile
from helicone_gw_logging.insert import Knowledge, Rows, prepare, write
from helicone_gw_logging.measures import HOUR_MS
from helicone_gw_logging.plugin import VERSIONS
from helicone_gw_logging.record import record
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.totals import ALL, DIMENSION_DAY, HISTOGRAM_DAY, ROLLUP, SESSION, USER
from tests.plugins.logging.conftest import build

START = 1_767_225_600_000
DAYS = 30
FIRST = START // HOUR_MS
BATCH, FULL = 2000, 1_000_000
_CODES = "server_error", "overloaded", "timeout"
_NAMES = [column.name for column in REQUEST.columns if column.name != "seq"]


def batch(at: int, size: int, rows: int, dice: random.Random) -> list[Rows]:
    """``size`` requests beginning with number ``at``, spread over `DAYS`: models, users and sessions of all kinds."""
    headers = {"Helicone-Property-App": "shop", "Helicone-Session-Name": "chat"}
    template = prepare(record(build(headers=headers, stream=True), bodies=False), (), 1000)
    made = []
    for number in range(at, at + size):
        received_at = START + number * DAYS * 86_400_000 // rows
        latency = int(dice.lognormvariate(6.5, 0.9))
        failed = dice.random() < 0.03
        values = dict(zip(_NAMES, template.request, strict=True)) | {
            "id": f"{received_at:012x}-{number:012x}",
            "request_id": f"{received_at:012x}-{number:012x}",
            "received_at": received_at,
            "hour": received_at // HOUR_MS,
            "latency": latency,
            "time_to_first_token": latency // 3,
            "total_tokens": int(dice.lognormvariate(6, 1.2)),
            "user_id": f"user-{int(dice.expovariate(0.01))}",
            "session_id": f"session-{number // 5}",
            "session_name": f"name-{number // 5 % 40}",
            "model": f"model-{min(11, int(dice.expovariate(0.5)))}",
            "status": 500 if failed else 200,
            "outcome": "upstream_error" if failed else "ok",
            "error_code": dice.choice(_CODES) if failed else None,
            "cache_status": "hit" if number % 10 == 0 else "miss" if number % 2 else None,
            "cache_reference_id": f"{number % 500:012x}" if number % 10 == 0 else None,
        }
        values["cost_nano_usd"] = values["total_tokens"] * (1000 + 200 * int(values["model"][6:]))
        beside = [
            [(row[0], received_at, *row[2:]) for row in rows] for rows in (template.attempts, template.properties)
        ]
        made.append(Rows(values["id"], tuple(values.values()), *beside))
    return made


@pytest.fixture(
    scope="module", params=[pytest.param(6_000, id="few"), pytest.param(1_000_000, id="many", marks=pytest.mark.full)]
)
def log(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """A month's requests, to be asked without anything between."""
    path: Path = tmp_path_factory.mktemp("scale") / "log.db"
    took = asyncio.run(fill(path, request.param))
    pace, size = request.param / took, path.stat().st_size
    print(f"\n{request.param:,} rows, {pace:,.0f} rows a second of CPU time, {size:,} bytes")
    if request.param >= FULL:
        assert pace >= 5000
    connection = sqlite3.connect(path)
    yield connection
    connection.close()


async def fill(where: Path | str, rows: int) -> float:
    """Write a log, into a SQLite file or where a URL says; returns the seconds of CPU time that took."""
    database = Database(where if isinstance(where, str) else f"sqlite:///{where}")
    await database.migrate("logging", VERSIONS)
    knowledge, dice, took = Knowledge(now=lambda: START / 1000 + DAYS * 86_400), random.Random(3), 0.0
    for at in range(0, rows, BATCH):
        some = batch(at, min(BATCH, rows - at), rows, dice)
        began = time.process_time()
        await write(database, some, knowledge)
        took += time.process_time() - began
    await database.close()
    return took


@dataclass
class Question:
    """A query of a chart or a list; ``milliseconds`` is what it may take with a million rows."""

    name: str
    query: Select[Any]
    milliseconds: float


_DAY, _SINCE = ROLLUP.c.hour // 24, (ROLLUP.c.organization_id == "default", ROLLUP.c.hour >= FIRST)
_OF_ALL = (
    HISTOGRAM_DAY.c.organization_id == "default",
    HISTOGRAM_DAY.c.metric == "latency",
    HISTOGRAM_DAY.c.model == ALL,
)
_OWN = select(REQUEST).where(REQUEST.c.organization_id == "default")
_NEWEST = (desc(REQUEST.c.received_at), desc(REQUEST.c.seq))
_USERS = DIMENSION_DAY.c
QUESTIONS = [
    Question(
        "requests, errors and cost by the day",
        select(_DAY, func.sum(ROLLUP.c.requests), func.sum(ROLLUP.c.errors), func.sum(ROLLUP.c.cost_nano_usd))
        .where(*_SINCE)
        .group_by(_DAY),
        50,
    ),
    Question(
        "by model", select(ROLLUP.c.model, func.sum(ROLLUP.c.requests)).where(*_SINCE).group_by(ROLLUP.c.model), 50
    ),
    Question(
        "by status", select(ROLLUP.c.status, func.sum(ROLLUP.c.requests)).where(*_SINCE).group_by(ROLLUP.c.status), 50
    ),
    Question(
        "the dearest users",
        select(_USERS.value, func.sum(_USERS.cost_nano_usd))
        .where(_USERS.organization_id == "default", _USERS.dimension == "user", _USERS.day >= FIRST // 24)
        .group_by(_USERS.value)
        .order_by(func.sum(_USERS.cost_nano_usd).desc())
        .limit(10),
        50,
    ),
    Question(
        "latencies by the day",
        select(HISTOGRAM_DAY.c.day, HISTOGRAM_DAY.c.bucket, HISTOGRAM_DAY.c["count"]).where(
            *_OF_ALL, HISTOGRAM_DAY.c.provider == ALL
        ),
        50,
    ),
    Question(
        "sessions, the newest first",
        select(SESSION).where(SESSION.c.organization_id == "default").order_by(SESSION.c.last_at.desc()).limit(50),
        50,
    ),
    Question(
        "users, the last one first",
        select(USER).where(USER.c.organization_id == "default").order_by(USER.c.last_at.desc()).limit(50),
        50,
    ),
    Question("the newest", _OWN.order_by(*_NEWEST).limit(50), 100),
    Question("failed ones", _OWN.where(REQUEST.c.status == 500).order_by(*_NEWEST).limit(50), 100),
    Question("of a model", _OWN.where(REQUEST.c.model == "model-11").order_by(*_NEWEST).limit(50), 100),
    Question("of a user", _OWN.where(REQUEST.c.user_id == "user-77").order_by(*_NEWEST).limit(50), 100),
    Question("of a session", _OWN.where(REQUEST.c.session_id == "session-7").order_by(*_NEWEST).limit(50), 100),
    Question("slow ones", _OWN.where(REQUEST.c.latency > 20_000).order_by(*_NEWEST).limit(50), 100),
]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_a_question_is_answered_from_an_index(log: sqlite3.Connection, question: Question) -> None:
    sql = literal(question.query)
    plan = [row[3] for row in log.execute(f"EXPLAIN QUERY PLAN {sql}")]
    best = math.inf
    for _ in range(3):
        began = time.process_time()
        rows = log.execute(sql).fetchall()
        best = min(best, time.process_time() - began)
    assert not [step for step in plan if step.startswith("SCAN")], plan
    assert rows
    print(f"\n{question.name}: {1000 * best:.1f} ms of CPU time, {len(rows)} rows; {plan}")
    if count(log) >= FULL:
        assert 1000 * best <= question.milliseconds


@pytest.mark.parametrize("share", [0.5, 0.75, 0.9, 0.95, 0.99, 0.999])
@pytest.mark.parametrize(("metric", "column"), [("latency", "latency"), ("first_token", "time_to_first_token")])
def test_percentiles_of_the_log_are_within_one_per_cent(
    log: sqlite3.Connection, metric: str, column: str, share: float
) -> None:
    columns = HISTOGRAM_DAY.c
    counts = select(columns.bucket, func.sum(columns["count"])).where(
        columns.organization_id == "default", columns.metric == metric, columns.provider == ALL, columns.model == ALL
    )
    estimated = percentile(dict(log.execute(literal(counts.group_by(columns.bucket)))), share)
    numbers = sorted(row[0] for row in log.execute(literal(select(REQUEST.c[column]))))
    assert len(numbers) == count(log)
    assert estimated == pytest.approx(numbers[math.ceil(share * len(numbers)) - 1], rel=0.01)


def literal(query: Select[Any]) -> str:
    return str(query.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))  # type: ignore[no-untyped-call]


def count(log: sqlite3.Connection) -> int:
    number: int = log.execute("SELECT max(seq) FROM request").fetchone()[0]
    return number

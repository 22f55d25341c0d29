"""Exchanges of all kinds, and what the tables of sums must say of them, computed from the rows, plainly and slowly."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import select

from helicone_gw.access import GatewayKey
from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw.model import Cost, Outcome, Usage
from helicone_gw_logging.histograms import bucket
from helicone_gw_logging.tables import PROPERTY, REQUEST
from helicone_gw_logging.totals import (
    ALL,
    DIMENSION,
    DIMENSION_DAY,
    HISTOGRAM,
    HISTOGRAM_DAY,
    NAME_DAY,
    NAME_SUMS,
    PROPERTY_KEY,
    ROLLUP,
    ROLLUP_DAY,
    SESSION,
    SUMS,
    TOKENS,
    USER,
)

Build = Callable[..., Exchange]
HOUR = 3600.0
START = 1_767_225_600.0  # 2026-01-01T00:00:00Z


def many(exchange: Build, count: int, seed: int = 6) -> list[Exchange]:
    """Exchanges of all kinds, over three hours and two organizations, in no order."""
    dice = random.Random(seed)
    made = []
    for _ in range(count):
        headers = {"Helicone-Property-App": dice.choice(("shop", "blog"))}
        if dice.random() < 0.5:
            headers |= {"Helicone-User-Id": dice.choice("abc"), "Helicone-Session-Id": dice.choice("xy")}
        if dice.random() < 0.3:
            headers["Helicone-Session-Name"] = "Course"
        at = START + dice.random() * 3 * HOUR
        done = exchange(
            headers=headers,
            received_at=at,
            stream=dice.random() < 0.5,
            model=dice.choice(("gpt-4o", "gpt-4o-mini", None)),
            organization=dice.choice(("default", "acme")),
            outcome=dice.choice(
                (
                    Outcome("ok", 200),
                    Outcome("upstream_error", 500),
                    Outcome("refused", 429, code="rate_limited"),
                    Outcome("interrupted", None),
                )
            ),
            usage=dice.choice((None, Usage(dice.randrange(100), 5), Usage(7, 3, 2, 1, 1, 2, estimated=True))),
            cost=dice.choice((None, Cost(dice.randrange(10**9)), Cost(0))),
            key=dice.choice((None, GatewayKey("1", "alice", "team-a"))),
        )
        if dice.random() < 0.3:
            done.annotate("cache.status", dice.choice(("hit", "miss")))
            done.annotate("cache.saved_nano_usd", dice.choice((None, 17)))
            done.annotate("cache.saved_ms", 5)
        made.append(done)
    return made


def expected(rows: Sequence[Any]) -> dict[str, int]:
    """The sums of an hour, as their documentation says it."""
    sums = {
        "requests": len(rows),
        "errors": sum(row.outcome != "ok" for row in rows),
        "unknown_tokens": sum(row.total_tokens is None for row in rows),
        "estimated_tokens": sum(row.usage_estimated for row in rows),
        "cost_nano_usd": sum(row.cost_nano_usd or 0 for row in rows),
        "unknown_costs": sum(row.cost_nano_usd is None for row in rows),
        "cache_hits": sum(row.cache_status == "hit" for row in rows),
        "latency_sum": sum(row.latency or 0 for row in rows),
        "latency_count": sum(row.latency is not None for row in rows),
        "first_token_sum": sum(row.time_to_first_token or 0 for row in rows),
        "first_token_count": sum(row.time_to_first_token is not None for row in rows),
        "threats": sum(bool(row.threat) for row in rows),
        "ratelimited": sum(row.status == 429 for row in rows),
    }
    for name in (*TOKENS, "saved_nano_usd", "saved_ms", "saved_prompt_tokens", "saved_completion_tokens"):
        sums[name] = sum(getattr(row, name) or 0 for row in rows)
    return sums


async def check(database: Database) -> None:
    """Every sum of every table against the rows."""
    async with database.connect() as connection:
        rows = (await connection.execute(select(REQUEST))).all()
        properties = (await connection.execute(select(PROPERTY))).all()
        tables = {
            table.name: (await connection.execute(select(table))).all()
            for table in (
                ROLLUP,
                ROLLUP_DAY,
                DIMENSION,
                DIMENSION_DAY,
                HISTOGRAM,
                HISTOGRAM_DAY,
                NAME_DAY,
                SESSION,
                USER,
                PROPERTY_KEY,
            )
        }

    def grouped(key: Callable[[Any], Any]) -> dict[Any, list[Any]]:
        groups: dict[Any, list[Any]] = {}
        for row in rows:
            groups.setdefault(key(row), []).append(row)
        return groups

    def told(row: Any) -> dict[str, int]:
        return {name: getattr(row, name) for name in SUMS}

    for name, hours in (("rollup_hour", 1), ("rollup_day", 24)):
        by_key: dict[Any, list[Any]] = {}
        for row in rows:
            key: Any = (
                *(row.organization_id, row.hour // hours, row.key_owner or "", row.provider or "", row.model or ""),
                *(row.status or 0, row.cache_status == "hit", row.source),
            )
            by_key.setdefault(key, []).append(row)
        assert {tuple(row[:8]): told(row) for row in tables[name]} == {
            key: expected(group) for key, group in by_key.items()
        }
    dimensions: dict[Any, list[Any]] = {}
    by_seq = {row.seq: row for row in rows}
    for dimension, column in (
        ("user", "user_id"),
        ("session", "session_name"),
        ("prompt", "prompt_id"),
        ("key", "key_id"),
    ):
        for (organization, hour, value), group in grouped(
            lambda row, column=column: (row.organization_id, row.hour, getattr(row, column))
        ).items():
            if value:
                dimensions[organization, dimension, hour, value] = group
    for row in rows:
        dimensions.setdefault((row.organization_id, "all", row.hour, ALL), []).append(row)
        if row.outcome != "ok":
            failure = row.organization_id, "error", row.hour, row.error_code or row.outcome
            dimensions.setdefault(failure, []).append(row)
    for prop in properties:
        if prop.key_lower not in ("helicone-session-id", "helicone-session-path"):
            row = by_seq[prop.seq]
            key = row.organization_id, f"property:{prop.key_lower}", row.hour, prop.value
            dimensions.setdefault(key, []).append(row)
    assert {tuple(row[:4]): told(row) for row in tables["rollup_dimension_hour"]} == {
        key: expected(group) for key, group in dimensions.items()
    }
    days: dict[Any, list[Any]] = {}
    for (organization, dimension, hour, value), group in dimensions.items():
        days.setdefault((organization, dimension, hour // 24, value), []).extend(group)
    assert {tuple(row[:4]): told(row) for row in tables["rollup_dimension_day"]} == {
        key: expected(group) for key, group in days.items()
    }
    for name, hours in (("histogram_hour", 1), ("histogram_day", 24)):
        counted: Counter[Any] = Counter()
        for row in rows:
            for metric, number in (
                ("latency", row.latency),
                ("first_token", row.time_to_first_token),
                ("total_tokens", row.total_tokens),
            ):
                for whose in ((row.provider or "", row.model or ""), (ALL, ALL)) if number is not None else ():
                    counted[row.organization_id, metric, *whose, row.hour // hours, bucket(number)] += 1
        assert {tuple(row[:6]): row.count for row in tables[name]} == dict(counted)
    summaries: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
        ("user_summary", "user_id", lambda row: (row.organization_id, row.user_id)),
        ("session_summary", "session_id", lambda row: (row.organization_id, row.session_id, row.session_name or "")),
    )
    for table, name, of in summaries:
        groups = {k: group for k, group in grouped(of).items() if k[1]}
        assert len(tables[table]) == len(groups), name
        for row in tables[table]:
            group = groups[tuple(row[: len(next(iter(groups)))])]
            sums = expected(group)
            assert (row.first_at, row.last_at) == (
                min(each.received_at for each in group),
                max(each.received_at for each in group),
            )
            assert {name: getattr(row, name) for name in row._fields if name in sums} == {
                name: sums[name] for name in row._fields if name in sums
            }
    names: dict[Any, list[Any]] = {}
    for session in tables["session_summary"]:
        key = session.organization_id, session.last_at // 86_400_000, session.session_name
        names.setdefault(key, []).append(session)
    told_of = {tuple(row[:3]): row for row in tables["session_name_day"] if row.sessions}
    assert told_of.keys() == names.keys()
    for key, group in names.items():
        assert told_of[key].sessions == len(group)
        for name in NAME_SUMS[1:]:
            assert getattr(told_of[key], name) == sum(getattr(each, name) for each in group)
        later = [each for whose, some in names.items() if (whose[0], whose[2]) == key[::2] for each in some]
        assert min(each.first_at for each in later) <= told_of[key].first_at <= min(each.first_at for each in group)

"""Requests to be asked for, and what a filter says of one of them, told without SQL."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from typing import Any

from helicone_gw.access import GatewayKey
from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw.model import Cost, Outcome, Usage
from helicone_gw_logging.insert import prepare, write
from helicone_gw_logging.record import record

Build = Callable[..., Exchange]
START = 1_767_225_600.0  # 2026-01-01T00:00:00Z


async def log_all(database: Database, exchanges: Iterable[Exchange]) -> None:
    """Write them, in order."""
    await write(database, [prepare(record(one), (), 100_000) for one in exchanges])


def many(exchange: Build, count: int, seed: int = 6) -> list[Exchange]:
    """Exchanges of all kinds, over three hours and two organizations, in no order."""
    dice = random.Random(seed)
    made = []
    for number in range(count):
        headers = {"Helicone-Property-App": dice.choice(("shop", "Shop", "blog", "a%b", "a_b", "[x]*?"))}
        if dice.random() < 0.4:
            headers["Helicone-Property-Stage"] = dice.choice(("prod", "test"))
        if dice.random() < 0.5:
            headers["Helicone-User-Id"] = dice.choice(("ann", "Ann", "bob"))
        if dice.random() < 0.5:
            headers |= {
                "Helicone-Session-Id": dice.choice("xy"),
                "Helicone-Session-Name": dice.choice(("Course", "Trip")),
            }
        made.append(
            exchange(
                headers=headers,
                received_at=START + dice.randrange(3 * 3600 * 1000) / 1000,
                stream=dice.random() < 0.5,
                model=dice.choice(("gpt-4o", "gpt-4o-mini", None)),
                organization="default" if number % 5 else "acme",
                outcome=dice.choice(
                    (
                        Outcome("ok", 200),
                        Outcome("upstream_error", 500),
                        Outcome("refused", 429),
                        Outcome("client_disconnected", None),
                        Outcome("timeout", None),
                        Outcome("interrupted", None),
                    )
                ),
                usage=dice.choice((None, Usage(dice.randrange(100), 5), Usage(7, 3, 2, 1, 1, 2, estimated=True))),
                cost=dice.choice((None, Cost(dice.randrange(10**9)), Cost(0))),
                key=dice.choice((None, GatewayKey("1", "alice", "team-a"))),
            )
        )
    return made


def holds(operator: str, held: Any, value: Any) -> bool:
    """Whether a held value, ``None`` if unknown, is what was asked for."""
    if value in (None, "null") and operator in ("equals", "not-equals", "is"):
        return (held is not None) if operator == "not-equals" else held is None
    if operator in ("equals", "is"):
        return held is not None and held == value
    if operator == "not-equals":
        return held is None or held != value
    if operator == "not-contains":
        return held is None or value.lower() not in held.lower()
    if held is None:
        return False
    if operator == "in":
        return held in value
    if operator == "contains":
        return value.lower() in held.lower()
    if operator in ("like", "ilike"):
        return matches(value, held, caseless=operator == "ilike")
    return {"gt": held > value, "gte": held >= value, "lt": held < value, "lte": held <= value}[operator]


def matches(pattern: str, held: str, *, caseless: bool) -> bool:
    """SQL's LIKE, with a backslash as its escape."""
    expression, escaped = "", False
    for each in pattern:
        if not escaped and each == "\\":
            escaped = True
            continue
        expression += re.escape(each) if escaped else {"%": ".*", "_": "."}.get(each, re.escape(each))
        escaped = False
    if escaped:
        expression += re.escape("\\")
    return re.fullmatch(expression, held, re.DOTALL | (re.IGNORECASE if caseless else 0)) is not None

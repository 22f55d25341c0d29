"""Rules: what counts in the end, whatever became of the attempts."""

from __future__ import annotations

from typing import Any

import pytest

from helicone_gw import (
    Attempt,
    Cost,
    Exchange,
    GatewayError,
    Headers,
    HeliconeHeaders,
    PermissionDenied,
    Request,
    Response,
    Target,
    UpstreamConnectError,
    UpstreamProtocolError,
    UpstreamStatus,
    UpstreamStreamError,
    UpstreamTimeout,
    Usage,
)
from helicone_gw_ratelimit.policy import SUBUNITS, parse_policy
from helicone_gw_ratelimit.rules import PolicyRule, served, used_tokens

TARGET = Target("openai", "gpt-4o")
FREE = Cost(0, source="no charge")


class Nothing:
    def tokens(self, exchange: Any) -> int:
        return 5

    def nano_usd(self, exchange: Any) -> int | None:
        return None


def exchange(*attempts: Attempt) -> Exchange:
    made = Exchange(
        "id", Request("POST", "/", "", Headers(), b"{}", "openai", "chat", HeliconeHeaders(), model="m"), received_at=0
    )
    made.attempts.extend(attempts)
    return made


def attempt(
    status: int | None = 200, error: GatewayError | None = None, tokens: int | None = None, cost: int | None = None
) -> Attempt:
    usage = None if tokens is None else Usage(input_tokens=tokens)
    return Attempt(1, TARGET, 0.0, status=status, error=error, usage=usage, cost=None if cost is None else Cost(cost))


def refused(status: int) -> Attempt:
    return Attempt(1, TARGET, 0.0, status=status, error=UpstreamStatus(Response(status)), cost=FREE)


@pytest.mark.parametrize(
    ("last", "counts"),
    [
        (attempt(), True),
        (refused(400), True),
        (refused(401), True),
        (refused(404), True),
        (refused(408), False),
        (refused(429), False),
        (refused(500), False),
        (refused(503), False),
        (attempt(None, UpstreamConnectError("away")), False),
        (attempt(None, UpstreamTimeout("slow")), False),
        (attempt(None, PermissionDenied("no")), False),
        (attempt(200, UpstreamProtocolError("cut")), True),
        (attempt(200, UpstreamStreamError("overloaded", event=b"")), False),
        (attempt(None), True),  # its client left while it was asked
    ],
)
def test_a_request_counts_when_a_provider_served_it(last: Attempt, counts: bool) -> None:
    assert served(exchange(refused(503), last)) is counts


def test_a_hedge_that_lost_does_not_undo_the_one_that_won() -> None:
    assert served(exchange(attempt(200), attempt(None, UpstreamConnectError("cancelled"))))


def test_counting_tokens_uses_none() -> None:
    it, counted = rule("tokens", "token-bucket"), exchange(attempt(tokens=5000))
    counted.request = counted.request.replace(operation="count_tokens")
    assert it.used(counted) == (0, True)


def test_an_error_inside_a_stream_that_had_begun_counts() -> None:
    it = exchange(attempt(200, UpstreamStreamError("overloaded", event=b"")))
    it.first_chunk_at = 1.0
    assert served(it)


@pytest.mark.parametrize(
    ("attempts", "tokens", "known"),
    [
        ([attempt(tokens=10)], 10, True),
        ([refused(503), attempt(tokens=10)], 10, True),
        ([attempt(tokens=5), attempt(tokens=10)], 15, True),
        ([attempt(None, UpstreamTimeout("slow")), attempt(tokens=10)], 10, False),
        ([attempt()], 0, False),
    ],
)
def test_tokens_of_all_attempts(attempts: list[Attempt], tokens: int, known: bool) -> None:
    assert used_tokens(exchange(*attempts), 1) == (tokens, known)


def rule(unit: str, algorithm: Any) -> PolicyRule:
    return PolicyRule(parse_policy(f"100;w=60;u={unit}"), algorithm, name="it", words=("it",), estimates=Nothing())


@pytest.mark.parametrize("algorithm", ["token-bucket", "moving-window"])
@pytest.mark.parametrize(
    ("unit", "attempts", "used"),
    [
        ("request", [], 0),
        ("request", [attempt()], None),
        ("request", [refused(500)], 0),
        ("tokens", [attempt(tokens=10)], 10),
        ("tokens", [attempt(tokens=5)], None),
        ("tokens", [attempt()], None),  # unknown: what was reserved stays
        ("tokens", [attempt(None, UpstreamTimeout("slow")), attempt(tokens=3)], None),
        ("tokens", [attempt(None, UpstreamTimeout("slow")), attempt(tokens=30)], 30),
        ("cents", [attempt(cost=70_000_000)], 7),
        ("cents", [attempt(cost=-5)], 0),
        ("cents", [attempt(cost=20_000_000), refused(503)], 2),
    ],
)
async def test_what_was_taken_becomes_what_was_used(
    algorithm: Any, unit: Any, attempts: list[Attempt], used: int | None
) -> None:
    """``None``: nothing is settled, because nothing differs, or because nobody knows."""
    it, scale = rule(unit, algorithm), SUBUNITS[unit]
    first = exchange()
    claim = it.claim(first)
    claim.admitted = True
    taken = 5 if unit == "tokens" else 1 if unit == "request" else 0
    if algorithm == "moving-window":
        claim.fields = [0, taken * scale, 0, b"entry"]
    else:
        whole, rest = divmod(taken * scale * 60_000_000, it.policy.quota)
        claim.fields = [0, 0, whole, rest]
    first.attempts.extend(attempts)
    settled = it.settlement(first, claim)
    if used is None or used == taken:
        assert settled is None
    else:
        assert settled is not None
        assert settled[-1] == (used - taken) * scale


@pytest.mark.parametrize("algorithm", ["token-bucket", "moving-window"])
def test_what_was_refused_or_never_answered_is_not_settled(algorithm: Any) -> None:
    it = rule("request", algorithm)
    claim = it.claim(exchange())
    assert it.settlement(exchange(), claim) is None
    claim.admitted, claim.fields = False, [0, 0, 0, 0]
    assert it.settlement(exchange(), claim) is None

"""The cases: chosen by name, and who is measured in which."""

from __future__ import annotations

import pytest

from helicone_gw.bench.cases import CASES, UnknownCase, chosen, why_not
from helicone_gw.bench.measure import Effort
from helicone_gw.bench.subjects import Profile

EVERY: tuple[Profile, ...] = ("default", "minimal", "no bodies")


def test_all_that_are_default_or_those_that_were_named() -> None:
    assert [case.name for case in chosen(None)] == [name for name, case in CASES.items() if case.default]
    assert [case.name for case in chosen("start, unary-1k")] == ["unary-1k", "start"]
    with pytest.raises(UnknownCase, match="no case 'nary'; there are unary-1k,"):
        chosen("unary-1k,nary")


@pytest.mark.parametrize(
    ("case", "gateway", "weight", "cache", "reason"),
    [
        ("unary-1k", True, 1.0, False, None),
        ("unary-1k", False, 0.04, False, None),
        ("pass-through", True, 1.0, False, None),
        ("pass-through", False, 1.0, False, ""),
        ("cache-hit", True, 1.0, False, "no cache plugin is configured"),
        ("cache-hit", True, 1.0, True, None),
        ("sse-paced", False, 0.04, False, "too slow to keep up with the rate"),
        ("sse-paced", False, 0.5, False, None),
    ],
)
def test_who_is_measured(case: str, gateway: bool, weight: float, cache: bool, reason: str | None) -> None:
    profiles = EVERY if gateway else EVERY[:1]
    assert why_not(CASES[case], gateway=gateway, weight=weight, profiles=profiles, cache=cache) == reason


def test_how_much_is_asked() -> None:
    unary, rate, streams = CASES["unary-1k"], CASES["rate-100"], CASES["streams-256"]
    assert Effort().requests_of(unary, 1.0) == 5000
    assert Effort().requests_of(unary, 0.04) == 200
    assert Effort(share=0.05).requests_of(unary, 1.0) == 250
    assert Effort(requests=100).requests_of(unary, 1.0) == 100
    assert Effort().requests_of(rate, 0.5) == 1000
    assert Effort(share=0.05).requests_of(streams, 1.0) == streams.connections == 256
    assert Effort(connections=2, requests=1).requests_of(streams, 1.0) == 2

"""What the turns of a case come to: how many there are, and the figure that counts."""

from typing import cast

import pytest

from helicone_gw.bench.cases import CASES
from helicone_gw.bench.helpers import LoadGenerator
from helicone_gw.bench.measure import Effort, Measurement, Place, Turn
from helicone_gw.bench.plan import Outcome

NOWHERE = Place(subject="helicone-gw", port=1, pid=None, headers={}, exact=True)


def turn(microseconds: float | None, *, bad: int = 0, requests: int = 10, events: int = 0) -> Turn:
    outcome = Outcome(
        requests=requests, bad=bad, faults={}, events=events, reconnects=0, seconds=1, latency=None, first_byte=None
    )
    return Turn(requests, outcome, None if microseconds is None else microseconds * requests / 1e6)


@pytest.fixture
def measurement() -> Measurement:
    return Measurement(NOWHERE, cast(LoadGenerator, None), Effort())


def test_the_lower_quartile_of_the_turns_counts(measurement: Measurement) -> None:
    row = measurement.closed(CASES["unary-1k"], [turn(us) for us in (900, 400, 500, 300, 800, 450, 2000)])
    assert row.cpu_us_request == 400
    assert row.cpu_us_runs == [900, 400, 500, 300, 800, 450, 2000]
    assert row.requests == 70


def test_of_a_stream_each_event_has_its_share(measurement: Measurement) -> None:
    row = measurement.closed(CASES["sse-burst"], [turn(1000, events=1000), turn(2000, events=1000)])
    assert (row.cpu_us_request, row.cpu_us_event, row.events) == (1000, 10, 2000)


def test_the_worst_turn_tells_of_bad_answers(measurement: Measurement) -> None:
    assert measurement.closed(CASES["unary-1k"], [turn(1), turn(1, bad=3), turn(1)]).bad == 3


def test_without_a_process_to_look_at_there_is_no_figure(measurement: Measurement) -> None:
    row = measurement.closed(CASES["unary-1k"], [turn(None)])
    assert (row.cpu_us_request, row.cpu_us_runs) == (None, [])


def test_what_keeps_a_pace_has_a_fifth_of_the_turns() -> None:
    assert [Effort(turns=15).turns_of(CASES[name]) for name in ("unary-1k", "streams-256")] == [15, 3]
    assert Effort(turns=1).turns_of(CASES["streams-256"]) == 1

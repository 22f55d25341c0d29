"""Health of targets: who rests, who is busy, who is quick."""

from __future__ import annotations

import pytest

from helicone_gw import Health, Target, health
from helicone_gw.testing import VirtualClock

A, B = Target("openai", "a"), Target("openai", "b")


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def test_a_target_never_seen_is_healthy_and_idle(clock: VirtualClock) -> None:
    one = Health(clock)
    assert one.available(A)
    assert one.of(A).in_flight == 0
    assert one.of(A).latency is None


def test_a_target_rests_for_as_long_as_it_was_told(clock: VirtualClock) -> None:
    one = Health(clock)
    one.cool_down(A, 10, "429")
    assert not one.available(A)
    assert one.available(B)
    assert one.of(A).reason == "429"
    clock.advance(9.9)
    assert not one.available(A)
    clock.advance(0.1)
    assert one.available(A)


def test_a_shorter_rest_does_not_end_a_longer_one(clock: VirtualClock) -> None:
    one = Health(clock)
    one.cool_down(A, 10, "long")
    one.cool_down(A, 1, "short")
    clock.advance(5)
    assert not one.available(A)


def test_the_wall_clock_has_no_say(clock: VirtualClock) -> None:
    one = Health(clock)
    one.cool_down(A, 10, "429")
    clock.set_wall_clock(clock.now() + 3600)
    assert not one.available(A)


def test_recovering_ends_a_rest(clock: VirtualClock) -> None:
    one = Health(clock)
    one.recover(A)
    one.cool_down(A, 10, "429")
    one.recover(A)
    assert one.available(A)
    assert one.of(A).reason == ""


def test_attempts_in_flight_are_counted(clock: VirtualClock) -> None:
    one = Health(clock)
    one.started(A)
    one.started(A)
    one.ended(A, None)
    assert one.of(A).in_flight == 1
    assert one.of(A).latency is None


def test_latency_is_a_moving_average(clock: VirtualClock) -> None:
    one = Health(clock)
    for seconds in (1.0, 2.0):
        one.started(A)
        one.ended(A, seconds)
    assert one.of(A).latency == pytest.approx(1.2)
    one.started(A)
    one.ended(A, None)
    assert one.of(A).latency == pytest.approx(1.2)


def test_what_is_remembered_is_bounded_and_the_busy_are_never_forgotten(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "MAX_TARGETS", 3)
    one = Health(clock)
    one.started(A)
    for number in range(5):
        one.cool_down(Target("openai", str(number)), 100, "429")
    assert one.of(A).in_flight == 1
    assert [one.available(Target("openai", str(number))) for number in range(5)] == [True, True, True, False, False]
    one.ended(A, 0.1)
    assert one.of(A).in_flight == 0

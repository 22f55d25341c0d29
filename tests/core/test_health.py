"""Health of targets: who rests, who is busy, who is quick."""

from __future__ import annotations

from math import e

import pytest
import structlog

from helicone_gw import (
    BadRequest,
    GatewayError,
    Headers,
    Health,
    Response,
    Target,
    UpstreamConnectError,
    UpstreamError,
    UpstreamStatus,
    UpstreamStreamError,
    health,
)
from helicone_gw.breaker import BreakerPolicy
from helicone_gw.store import MemoryStore
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


def test_latency_follows_a_peak_at_once_and_forgets_it_slowly(clock: VirtualClock) -> None:
    one = Health(clock)

    def measure(seconds: float) -> float | None:
        one.started(A)
        one.ended(A, seconds)
        return one.of(A).latency

    assert [measure(1.0), measure(2.0)] == [1.0, 2.0]
    clock.advance(health.LATENCY_DECAY)
    assert measure(1.0) == pytest.approx(1 + 1 / e)
    assert measure(1.0) == pytest.approx(1 + 0.95 / e)
    one.started(A)
    one.ended(A, None)
    assert one.of(A).latency == pytest.approx(1 + 0.95 / e)


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


def status(code: int, retry_after: float | None = None) -> UpstreamStatus:
    error = UpstreamStatus(Response(code, Headers()), target=A)
    error.retry_after = retry_after
    return error


DOWN = UpstreamConnectError("no connection")


def failed(one: Health, error: GatewayError, times: int = 1, target: Target = A) -> None:
    for _ in range(times):
        one.started(target)
        one.observe(target, error)
        one.ended(target, None)


@pytest.mark.parametrize("error", [DOWN, status(500), status(429), UpstreamStreamError("no", event=b"", status=529)])
def test_failures_in_a_row_set_a_target_aside(clock: VirtualClock, error: UpstreamError) -> None:
    one = Health(clock, BreakerPolicy(failures=3, rest=10))
    failed(one, error, 2)
    assert one.available(A)
    failed(one, error)
    assert not one.available(A)
    assert one.available(B)
    assert (one.why(A) or "").startswith("failed too often (last: ")
    assert list(one.resting()) == ["openai/a"]


def test_a_success_in_between_begins_anew(clock: VirtualClock) -> None:
    one = Health(clock, BreakerPolicy(failures=3))
    failed(one, DOWN, 2)
    one.observe(A, None)
    failed(one, DOWN, 2)
    assert one.available(A)


@pytest.mark.parametrize(
    "error",
    [status(400), status(404), status(422), UpstreamStreamError("no", event=b"", status=400), BadRequest("ours")],
)
def test_what_is_wrong_with_a_request_says_nothing_of_the_target(clock: VirtualClock, error: GatewayError) -> None:
    one = Health(clock, BreakerPolicy(failures=1))
    failed(one, error, 50)
    assert one.available(A)


def test_too_large_a_share_of_failures_sets_it_aside(clock: VirtualClock) -> None:
    one = Health(clock, BreakerPolicy(failures=100, error_rate=0.5, min_outcomes=10, window=30))
    for _ in range(5):
        one.observe(A, None)
        failed(one, DOWN)
        if one.of(A).breaker.opened:
            break
    assert not one.available(A)


def test_old_failures_do_not_count(clock: VirtualClock) -> None:
    one = Health(clock, BreakerPolicy(failures=100, error_rate=0.5, min_outcomes=10, window=30))
    failed(one, DOWN, 9)
    clock.advance(31)
    for _ in range(5):
        one.observe(A, None)
    failed(one, DOWN, 4)
    assert one.available(A)


def test_one_probe_at_a_time_and_recovery(clock: VirtualClock) -> None:
    one = Health(clock, BreakerPolicy(failures=1, rest=10))
    failed(one, DOWN)
    clock.advance(10)
    assert one.available(A)
    one.started(A)
    assert not one.available(A)
    assert "a probe is under way" in (one.why(A) or "")
    one.observe(A, None)
    one.ended(A, 0.1)
    assert one.available(A)
    assert one.why(A) is None
    failed(one, UpstreamStatus(Response(404, Headers())))
    assert one.available(A)


def test_a_probe_that_never_ends_does_not_lock_a_target_out(clock: VirtualClock) -> None:
    one = Health(clock, BreakerPolicy(failures=1, rest=10))
    failed(one, DOWN)
    clock.advance(10)
    one.started(A)
    assert not one.available(A)
    clock.advance(10)
    assert one.available(A)


def test_all_is_well_again_when_a_rest_is_over(clock: VirtualClock) -> None:
    one = Health(clock, BreakerPolicy(failures=2))
    assert one.well
    failed(one, status(429, 5))
    assert not one.well
    clock.advance(5)
    assert one.available(A)
    assert one.well, "and nobody need look any more"
    failed(one, DOWN)
    clock.advance(10)
    assert one.available(A)
    assert not one.well, "a breaker that is open needs its probe"


def test_each_failed_probe_doubles_the_rest(clock: VirtualClock) -> None:
    one = Health(clock, BreakerPolicy(failures=1, rest=10, max_rest=35))
    for rest in (10, 20, 35, 35):
        failed(one, DOWN, 3)
        clock.advance(rest - 0.001)
        assert not one.available(A)
        clock.advance(0.001)
        assert one.available(A)


def test_many_that_fail_at_once_are_one_failure(clock: VirtualClock) -> None:
    one = Health(clock, BreakerPolicy(failures=5, rest=10))
    began = clock.now()
    for _ in range(100):
        one.started(A)
    clock.advance(1)
    for _ in range(100):
        one.observe(A, DOWN, started_at=began)
        one.ended(A, None)
    clock.advance(10)
    assert one.available(A), "the first rest is the shortest"


def test_what_began_before_says_nothing_and_what_began_since_does(clock: VirtualClock) -> None:
    one = Health(clock, BreakerPolicy(failures=1, rest=10))
    began = clock.now()
    clock.advance(1)
    failed(one, DOWN)
    one.observe(A, None, started_at=began)
    assert not one.available(A), "a straggler"
    clock.advance(1)
    one.observe(A, None, started_at=clock.now())
    assert one.available(A), "tried as the last resort, and it works"


def test_retry_after_is_honoured_within_bounds(clock: VirtualClock) -> None:
    one = Health(clock, BreakerPolicy(failures=5, max_rest=60))
    failed(one, status(429, 30))
    failed(one, status(503, 3600), target=B)
    clock.advance(29)
    assert not one.available(A)
    assert one.why(A) == "answered 429 with Retry-After, for another 1 s"
    clock.advance(31)
    assert one.available(A)
    assert one.available(B)


@pytest.mark.parametrize(
    ("error", "code"), [(status(401), 401), (status(402), 402), (UpstreamStreamError("no", event=b"", status=401), 401)]
)
def test_a_refused_key_rests_for_all_of_its_models_and_other_keys_do_not(
    clock: VirtualClock, error: UpstreamError, code: int
) -> None:
    one = Health(clock, BreakerPolicy(key_rest=300))
    failed(one, error)
    assert not one.available(A)
    assert not one.available(B)
    assert one.available(Target("openai", "a", deployment="second"))
    assert one.available(Target("groq", "a"))
    assert one.why(B) == f"the provider refuses the key ({code}), for another 300 s"
    clock.advance(300)
    assert one.available(A)


def test_a_forbidden_model_is_no_forbidden_key(clock: VirtualClock) -> None:
    one = Health(clock)
    failed(one, status(403))
    assert not one.available(A)
    assert one.available(B)


@pytest.mark.parametrize("code", [401, 402, 403, 429])
def test_what_a_provider_says_of_a_clients_own_key_concerns_that_client(clock: VirtualClock, code: int) -> None:
    one = Health(clock, BreakerPolicy(failures=1))
    one.observe(A, status(code, 30), own_key=True)
    assert one.available(A)
    one.observe(A, status(500), own_key=True)
    assert not one.available(A)


async def test_workers_tell_each_other(clock: VirtualClock) -> None:
    store, first, second = MemoryStore(clock), Health(clock, BreakerPolicy(failures=1)), Health(clock)
    await first.share(store)
    failed(first, DOWN)
    failed(second, status(401), target=Target("groq", "b"))
    for one in (first, second, first):
        await one.share(store)
    for one in (first, second):
        assert [one.available(each) for each in (A, B, Target("groq", "x"))] == [False, True, False]
    assert second.why(A) == "failed too often (last: upstream_unreachable), for another 10 s"

    clock.advance(10)
    assert second.available(A)
    second.started(A)
    assert not second.available(A), "the other one's rest ends with a probe as well"


async def test_a_rest_that_ends_early_ends_everywhere(clock: VirtualClock) -> None:
    store, first, second = MemoryStore(clock), Health(clock), Health(clock)
    first.cool_down(A, 60, "because")
    await first.share(store)
    await second.share(store)
    assert not second.available(A)
    first.recover(A)
    await first.share(store)
    await second.share(store)
    assert second.available(A)


async def test_what_one_heard_is_not_told_again(clock: VirtualClock) -> None:
    store, first, second = MemoryStore(clock), Health(clock), Health(clock)
    first.cool_down(A, 5, "because")
    await first.share(store)
    await second.share(store)
    first.recover(A)
    clock.advance(1)
    await first.share(store)
    for _ in range(2):
        await second.share(store)
        await first.share(store)
    assert first.available(A)
    assert second.available(A)


async def test_a_store_that_others_keep_writing_costs_nothing_but_time(clock: VirtualClock) -> None:
    class Busy(MemoryStore):
        async def compare_and_set(self, *arguments: object, **options: object) -> bool:  # type: ignore[override]
            return False

    one = Health(clock)
    one.cool_down(A, 5, "because")
    await one.share(Busy(clock))
    assert not one.available(A)


def test_the_log_says_when_and_why(clock: VirtualClock) -> None:
    one = Health(clock, BreakerPolicy(failures=1))
    with structlog.testing.capture_logs() as lines:
        failed(one, DOWN)
        clock.advance(10)
        one.observe(A, None)
    assert [(line["event"], line["target"]) for line in lines] == [
        ("target set aside", "openai/a"),
        ("target is used again", "openai/a"),
    ]


def test_why_targets_are_left_alone_in_a_word(clock: VirtualClock) -> None:
    one = Health(clock, BreakerPolicy())
    one.cool_down(A, 10, "429")
    for _ in range(5):
        one.observe(B, UpstreamConnectError("gone", target=B), started_at=clock.now())
    assert one.states() == {"openai/a": "resting", "openai/b": "open"}
    assert one.set_aside == 2
    clock.advance(11)
    assert one.states() == {"openai/b": "half_open"}
    one.recover(B)
    assert one.states() == {}

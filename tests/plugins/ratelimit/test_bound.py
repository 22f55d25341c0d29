"""How far spending can pass a hard budget at worst: what is published, and that it holds."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from helicone_gw.store.memory import MemoryStore
from helicone_gw.testing import VirtualClock
from helicone_gw_ratelimit.bound import bound, lines
from helicone_gw_ratelimit.budget_config import BudgetConfig, nano
from helicone_gw_ratelimit.ledger import BudgetKind, Ledger
from helicone_gw_ratelimit.limits import Limits, tagged

KEYS = (tagged("default", "budget", "b"), tagged("default", "budget", "b", "leases"))
KEEP = 86_400_000


def budget(**said: Any) -> BudgetConfig:
    return BudgetConfig.model_validate({"limit": 1, "period": "total", **said})


def test_what_is_reserved_as_the_largest_request_is_never_exceeded() -> None:
    assert bound(budget(reserve="largest", largest_request=0.1)).highest == 1_000_000_000


def test_estimates_may_be_exceeded_by_all_that_are_under_way() -> None:
    found = bound(budget(largest_request=0.05, in_flight=4))
    assert found.highest == 1_200_000_000
    assert found.streams_only is None


def test_streams_that_are_cut_exceed_by_a_slice_each() -> None:
    found = bound(budget(largest_request=0.05, in_flight=4, cut=True, slice=0.001))
    assert found.streams_only == 4_000_000


def test_without_the_settings_that_bound_it_there_is_no_bound_and_they_are_named() -> None:
    assert bound(budget()).missing == ("in_flight", "largest_request")
    assert bound(budget(in_flight=3)).missing == ("largest_request",)
    assert bound(budget(in_flight=3)).highest is None


def test_a_soft_budget_bounds_nothing() -> None:
    assert bound(budget(mode="soft")).highest is None


def test_check_says_so_for_every_budget() -> None:
    said = list(
        lines(
            {
                "team": budget(limit=100, period="month", timezone="Europe/Berlin", segment="key", in_flight=8),
                "day": budget(limit=5, period="day", largest_request=0.05, in_flight=4, cut=True),
                "exact": budget(period=None, window="12h", reserve="largest", largest_request=0.1),
                "tell": budget(mode="soft", segment="property:team"),
            },
            shared=False,
            workers=2,
            write_every=1.0,
        )
    )
    assert said == [
        (
            "budget team: $100.00 a month (Europe/Berlin) for each key, hard: spending may pass it by what requests "
            "under way cost more than reserved; set largest_request, or reserve: largest, to bound that"
        ),
        (
            "budget day: $5.00 a day (UTC), hard: at most $5.20 are spent: 4 requests under way, each $0.05 dearer "
            "than reserved ($5.04 if all are streams, which are cut)"
        ),
        "budget exact: $1.00 within any 12h, hard: at most $1.00 are spent (each request holds $0.10)",
        "budget tell: $1.00 in total for each team, soft: tells of it and refuses nothing",
        (
            "store.url is memory://: each of the 2 workers counts for itself, and hears what others spent when it "
            "writes down what it spent"
        ),
        (
            "store.url is memory://: what was settled in the last 1 s before a process is killed is forgotten, "
            "with what is under way then"
        ),
    ]


def test_a_store_that_is_shared_is_not_warned_of() -> None:
    assert len(list(lines({"b": budget()}, shared=True, workers=2, write_every=1.0))) == 1


EXCHANGES = st.lists(
    st.tuples(st.integers(0, 300_000_000), st.integers(0, 300_000_000), st.integers(0, 5)), min_size=1, max_size=60
)


@settings(max_examples=200, deadline=None)
@given(exchanges=EXCHANGES, reserve=st.sampled_from(["estimate", "largest"]), in_flight=st.integers(1, 8))
async def test_whatever_requests_cost_spending_stays_within_the_bound(
    exchanges: list[tuple[int, int, int]], reserve: str, in_flight: int
) -> None:
    """Any estimates, any costs up to the largest request, ending in any order: the rules of the ledger itself."""
    configured = budget(largest_request=0.3, in_flight=in_flight, reserve=reserve)
    highest = bound(configured).highest
    assert highest is not None
    store, limits, ledger = MemoryStore(VirtualClock()), Limits([BudgetKind()]), Ledger()
    await store.run(ledger.seed, KEYS, (0, KEEP, 0, 0, 0))
    under_way: list[tuple[str, int]] = []

    async def settle(index: int) -> None:
        each, cost = under_way.pop(index)
        await store.run(limits.settle_operation, KEYS, (1, "budget", 2, 6, each, cost, 0, KEEP, 0, 0))

    assert configured.largest_request is not None
    for number, (estimate, cost, ending) in enumerate(exchanges):
        name = str(number)
        held = nano(configured.largest_request) if reserve == "largest" else estimate
        given = ("budget", 2, 8, name, held, configured.nano, 0, KEEP, 0, 0, in_flight)
        if (await store.run(limits.reserve_operation, KEYS, (1, *given)))[0]:
            under_way.append((name, cost))
        if under_way and ending:
            await settle(ending % len(under_way))
    while under_way:
        await settle(0)
    assert (await store.run(ledger.read, KEYS, (0, 0)))[0] <= highest

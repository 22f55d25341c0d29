"""Routes, whatever the strategy: every choice once, those that rest behind those that do not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helicone_gw import Exchange, Headers, Health, HeliconeHeaders, Permits, Request, Target
from helicone_gw.testing import VirtualClock
from helicone_gw_router.config import RouterConfig, Strategy
from helicone_gw_router.grammar import ModelString
from helicone_gw_router.resolving import Resolved
from helicone_gw_router.routes import Routes
from helicone_gw_router.strategies import Choice

TARGETS = [Target(f"p{number % 3}", f"m{number}") for number in range(7)]
STRATEGIES = get_args(Strategy)


class Everything:
    """A resolver to which every model string means the same choices."""

    def __init__(self, choices: list[Choice], items: int = 1) -> None:
        self._items = tuple(tuple(choices[start::items]) for start in range(items))

    def resolve(self, text: str, exchange: Any) -> Resolved:
        items = tuple(item for item in self._items if item)
        return Resolved(ModelString(()), items, (False,) * len(items))


def exchange(permits: Permits | None = None) -> Exchange:
    request = Request(
        "POST", "/v1/chat/completions", "", Headers(), b"{}", "openai", "chat", HeliconeHeaders(), model="m"
    )
    one = Exchange("id", request, 0.0)
    one.permits = permits
    return one


def routes(choices: list[Choice], strategy: str, health: Health, items: int = 1) -> Routes:
    gateway = SimpleNamespace(health=health, clock=VirtualClock())
    config = RouterConfig.model_validate({"strategy": strategy})
    return Routes(cast(Any, gateway), config, cast(Any, Everything(choices, items)))


CHOICES = st.lists(
    st.builds(
        Choice,
        st.sampled_from(TARGETS),
        st.floats(0.1, 10),
        st.sampled_from([3.0, 4.0, 10.0]),
        st.none() | st.integers(0, 5),
    ),
    min_size=1,
    max_size=7,
    unique_by=lambda choice: choice.target,
)


@pytest.mark.parametrize("strategy", STRATEGIES)
@settings(deadline=None, max_examples=60)
@given(choices=CHOICES, resting=st.sets(st.sampled_from(TARGETS)), items=st.integers(1, 3), rounds=st.integers(1, 4))
def test_every_choice_once_and_the_resting_last(
    strategy: str, choices: list[Choice], resting: set[Target], items: int, rounds: int
) -> None:
    health = Health(VirtualClock())
    for number, target in enumerate(sorted(resting, key=str)):
        health.cool_down(target, 10 + number, "because")
    asked = routes(choices, strategy, health, items)
    for _ in range(rounds):
        one = exchange()
        targets = asked.route(one).targets
        assert sorted(map(str, targets)) == sorted(str(choice.target) for choice in choices)
        states = [health.available(target) for target in targets]
        assert states == sorted(states, reverse=True)
        assert set(one.annotations.get("router.skipped", {})) == {str(each) for each in targets if each in resting}
        assert one.headers["Helicone-Route"].startswith(f"{strategy}; ")


@settings(deadline=None)
@given(choices=CHOICES, allowed=st.sets(st.sampled_from(["p0", "p1", "p2"])))
def test_what_is_not_permitted_is_no_choice_while_there_is_another(choices: list[Choice], allowed: set[str]) -> None:
    one = exchange(Permits(providers=tuple(sorted(allowed))))
    targets = routes(choices, "cheapest", Health(VirtualClock())).route(one).targets
    permitted = [choice.target for choice in choices if choice.target.provider in allowed]
    assert set(targets) == (set(permitted) or {choice.target for choice in choices})

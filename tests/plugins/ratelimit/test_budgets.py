"""Budgets in the life of an exchange: reserved before, debited meanwhile, settled after, told to the client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from helicone_gw import Exchange, Plugin, Response, hookimpl
from helicone_gw.model import Usage
from helicone_gw.testing import (
    GatewayFactory,
    Reply,
    RunningGateway,
    ScriptedProvider,
    VirtualClock,
    of_json,
    usual_answer,
)
from helicone_gw.testing.dialects import anthropic, openai_chat
from helicone_gw_ratelimit.accounts import Standing

MODELS = {
    "gpt-4o-mini": {"providers": ["openai"], "price": {"input_mtok": 0, "output_mtok": 1000}},
    "gpt-dear": {"providers": ["openai"], "price": {"input_mtok": 0, "output_mtok": 3000}},
    "claude-sonnet-4-5": {"providers": ["anthropic"], "price": {"input_mtok": 0, "output_mtok": 1000}},
}
"""A token of output costs a tenth of a cent, so that ``max_tokens`` is what a request may cost in tenths of cents."""

DAY = 86400.0

Start = Callable[..., AbstractAsyncContextManager[RunningGateway]]


def answered(tokens: int, text: Any = "Hello!") -> Callable[..., Any]:
    """An answer of so many tokens, streamed or not."""
    return openai_chat.answer(text, usage=Usage(input_tokens=10, output_tokens=tokens), model="gpt-4o-mini")


def of(running: RunningGateway) -> Any:
    """The plugin."""
    return next(plugin for plugin in running.gateway.plugins if plugin.name == "ratelimit")


async def standings(running: RunningGateway) -> dict[str, Standing]:
    found: list[Standing] = await of(running).budgeting.accounts.standings(100)
    return {f"{each.place.budget}/{each.place.segment}": each for each in found}


async def spent(running: RunningGateway, where: str = "b/global") -> int:
    """Thousandths of a dollar."""
    found = (await standings(running))[where]
    assert found.reserved == found.under_way == 0
    return found.spent // 1_000_000


@pytest.fixture
def start(gateway: GatewayFactory, virtual_time: VirtualClock) -> Start:
    """Start a gateway with one budget ``b``, of a dollar in total unless it is said otherwise."""

    @asynccontextmanager
    async def starting(
        budget: Mapping[str, Any] | None = None,
        *inside: Any,
        budgets: Mapping[str, Any] | None = None,
        provider: Any = None,
        classes: Mapping[str, type[Plugin]] | None = None,
        config: Mapping[str, Any] | None = None,
        **said: Any,
    ) -> AsyncIterator[RunningGateway]:
        given = budgets or {
            "b": {"limit": 1, **({} if "window" in (budget or {}) else {"period": "total"}), **(budget or {})}
        }
        ratelimit = {"ratelimit": {"budgets": given, **said}}
        async with gateway(
            plugins=["cost", ratelimit, *inside],
            provider=provider or ScriptedProvider(default=answered(100)),
            classes=classes,
            config={"models": MODELS, **(config or {})},
        ) as running:
            yield running

    return starting


# A hard budget


async def test_what_it_costs_is_settled_and_not_what_was_reserved(start: Start) -> None:
    async with start() as running:
        reply = await running.chat(max_tokens=900)
        assert reply.status == 200
        assert await spent(running) == 100
        assert running.exchanges[0].annotations["ratelimit.budget_nano_usd"] == 100_000_000
        assert running.exchanges[0].annotations["ratelimit.limits"] == ["b"]


async def test_a_request_that_may_cost_more_than_is_left_is_refused_before_anybody_is_asked(start: Start) -> None:
    async with start() as running:
        await running.chat(max_tokens=100)
        assert (await running.chat(max_tokens=901)).status == 402
        assert (await running.chat(max_tokens=900)).status == 200
        assert len(running.provider.requests) == 2


async def test_a_refusal_says_what_how_much_and_until_when(start: Start) -> None:
    async with start({"period": "month", "timezone": "Europe/Berlin"}) as running:
        await running.chat(max_tokens=100)
        refused = await running.chat(max_tokens=1000)
        assert refused.status == 402
        assert refused.json()["error"] == {
            "message": "Budget 'b' has too little left: $0.10 of $1.00 a month (Europe/Berlin) are spent, and this "
            "request may cost $1.00. It begins anew at 2026-02-01T00:00:00+01:00.",
            "type": "billing_error",
            "param": None,
            "code": "budget_exceeded",
            "details": {
                "budget": "b",
                "limit": "1.00",
                "spent": "0.10",
                "reserved": "0.00",
                "requested": "1.00",
                "period": "month",
                "resetsAt": "2026-02-01T00:00:00+01:00",
            },
        }


async def test_no_sdk_is_told_to_come_again(start: Start) -> None:
    async with start() as running:
        headers = (await running.chat(max_tokens=1001)).headers
        assert headers.get("x-should-retry") == "false"
        assert "retry-after" not in headers


async def test_a_refusal_speaks_the_clients_dialect(start: Start) -> None:
    async with start() as running:
        refused = await running.message(max_tokens=1001)
        assert refused.status == 402
        assert refused.json()["type"] == "error"
        assert refused.json()["error"]["type"] == "billing_error"


async def test_a_refusal_is_counted_and_noted(start: Start) -> None:
    async with start() as running:
        await running.chat(max_tokens=1001)
        assert of(running).counters == {("refused", "b"): 1}
        assert running.exchanges[0].annotations["ratelimit.refused"] == ["b"]
        assert await spent(running) == 0


async def test_who_says_no_maximum_is_expected_to_use_the_configured_one(start: Start) -> None:
    async with start(output_tokens=1001) as running:
        assert (await running.chat()).status == 402
        assert (await running.chat(max_tokens=10)).status == 200


async def test_several_answers_cost_several_times_as_much(start: Start) -> None:
    async with start() as running:
        assert (await running.chat(max_tokens=500, n=3)).status == 402


async def test_of_several_budgets_each_has_to_admit_it_and_none_keeps_what_another_refused(start: Start) -> None:
    budgets = {"wide": {"limit": 5, "period": "total"}, "narrow": {"limit": 0.5, "period": "day"}}
    async with start(budgets=budgets) as running:
        refused = await running.chat(max_tokens=600)
        assert refused.json()["error"]["details"]["budget"] == "narrow"
        assert (await standings(running))["wide/global"].reserved == 0
        await running.chat(max_tokens=400)
        assert await spent(running, "wide/global") == await spent(running, "narrow/global") == 100


async def test_the_dearest_target_that_may_answer_counts(start: Start) -> None:
    async with start({"limit": 1}) as running:
        assert (await running.chat(max_tokens=334, model="gpt-dear")).status == 402
        header = {"Helicone-Fallbacks": '["gpt-dear"]'}
        assert (await running.chat(max_tokens=334, headers=header)).status == 402
        assert (await running.chat(max_tokens=334)).status == 200


async def test_only_requests_that_it_is_for_count(start: Start) -> None:
    async with start({"models": ["claude-*"], "limit": 0.001}) as running:
        assert (await running.chat(max_tokens=900)).status == 200
        assert (await running.message(max_tokens=900)).status == 402


async def test_who_names_a_cheaper_model_pays_no_less(start: Start) -> None:
    provider = ScriptedProvider(
        default=openai_chat.answer(usage=Usage(input_tokens=1, output_tokens=100), model="gpt-dear")
    )
    async with start(provider=provider) as running:
        cheaper = {"Helicone-Model-Override": "gpt-4o-mini"}
        assert (await running.chat(model="gpt-dear", max_tokens=334, headers=cheaper)).status == 402
        assert (await running.chat(model="gpt-dear", max_tokens=100, headers=cheaper)).status == 200
        assert await spent(running) == 300


async def test_a_soft_budget_counts_whatever_is_asked_for(start: Start) -> None:
    async with start({"mode": "soft"}) as running:
        assert (await running.chat(max_tokens=10**30)).status == 200
        assert await spent(running) == 100


async def test_what_is_free_counts_nothing(start: Start) -> None:
    async with start({"limit": 0.001}, provider=ScriptedProvider(default=of_json({"input_tokens": 5000}))) as running:
        body = {"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "Hi " * 5000}]}
        assert (await running.request("POST", "/v1/messages/count_tokens", json=body)).status == 200


async def test_what_names_no_model_costs_nothing_beforehand(start: Start) -> None:
    async with start({"limit": 0.001}) as running:
        running.provider.enqueue(openai_chat.reply("files"))
        assert (await running.request("GET", "/v1/files")).status == 200


# Whose it is


async def test_each_user_has_a_budget_of_their_own(start: Start) -> None:
    async with start({"segment": "user"}) as running:
        await running.chat(max_tokens=1000, headers={"Helicone-User-Id": "alice"})
        assert (await running.chat(max_tokens=1000, headers={"Helicone-User-Id": "alice"})).status == 402
        assert (await running.chat(max_tokens=1000, headers={"Helicone-User-Id": "bob"})).status == 200
        assert (await running.chat(max_tokens=1000)).status == 200
        assert (await running.chat(max_tokens=1000)).status == 402
        assert set(await standings(running)) == {"b/user:alice", "b/user:bob", "b/user"}


async def test_or_each_value_of_a_property(start: Start) -> None:
    async with start({"segment": "property:model"}) as running:
        await running.chat(max_tokens=1000, headers={"Helicone-Property-Model": "x"})
        assert await spent(running, "b/prop:model:x") == 100


@pytest.mark.parametrize(
    ("segment", "where"), [("model", "b/model:gpt-4o-mini"), ("provider", "b/provider:openai"), ("key", "b/key")]
)
async def test_or_each_model_provider_or_key(start: Start, segment: str, where: str) -> None:
    async with start({"segment": segment}) as running:
        await running.chat(max_tokens=1000)
        assert await spent(running, where) == 100


# When it begins anew


async def test_a_new_period_begins_with_nothing_spent(start: Start, virtual_time: VirtualClock) -> None:
    async with start({"period": "day"}) as running:
        await running.chat(max_tokens=1000)
        assert (await running.chat(max_tokens=1000)).status == 402
        virtual_time.advance(DAY - 1)
        assert (await running.chat(max_tokens=1000)).status == 402
        virtual_time.advance(1)
        assert (await running.chat(max_tokens=1000)).status == 200


async def test_what_began_before_midnight_is_paid_from_the_day_before(start: Start, virtual_time: VirtualClock) -> None:
    virtual_time.advance(DAY - 5)
    provider = ScriptedProvider(openai_chat.reply(usage=Usage(input_tokens=1, output_tokens=100)).delayed(10))
    async with start({"period": "day"}, provider=provider) as running:
        await running.chat(max_tokens=1000)
        assert await spent(running) == 0


async def test_a_window_lets_go_when_it_says_so(start: Start, virtual_time: VirtualClock) -> None:
    async with start({"window": "1h"}) as running:
        await running.chat(max_tokens=1000)
        refused = await running.chat(max_tokens=1000)
        free = refused.json()["error"]["details"]["resetsAt"]
        assert free == "2026-01-01T01:01:00+00:00"
        virtual_time.advance(3659)
        assert (await running.chat(max_tokens=1000)).status == 402
        virtual_time.advance(1)
        assert (await running.chat(max_tokens=1000)).status == 200


# Unknown prices


@pytest.mark.parametrize(("rule", "status", "counted"), [("deny", 402, 0), ("allow", 200, 0), (0.25, 200, 250)])
async def test_an_unknown_price_is_denied_allowed_or_counted_as_said(
    start: Start, rule: Any, status: int, counted: int
) -> None:
    provider = ScriptedProvider(default=openai_chat.answer(model="gpt-nobody-knows"))
    async with start({"unknown_price": rule}, provider=provider) as running:
        reply = await running.chat(model="gpt-nobody-knows", max_tokens=10)
        assert reply.status == status
        assert await spent(running) == counted
        if status == 402:
            assert reply.json()["error"]["code"] == "price_unknown"


async def test_a_fixed_estimate_reserves_too(start: Start) -> None:
    provider = ScriptedProvider(default=openai_chat.answer(model="gpt-nobody-knows"))
    async with start({"unknown_price": 0.4}, provider=provider) as running:
        said = [(await running.chat(model="gpt-nobody-knows")).status for _ in range(3)]
        assert said == [200, 200, 402]


async def test_a_cost_that_the_provider_tells_counts_although_nobody_knew_the_price(start: Start) -> None:
    reply = {"id": "x", "model": "gpt-nobody-knows", "choices": [], "usage": {"total_tokens": 3, "cost": 0.5}}
    reply["usage"] |= {"prompt_tokens": 1, "completion_tokens": 2}
    async with start({"unknown_price": "allow"}, provider=ScriptedProvider(of_json(reply))) as running:
        await running.chat(model="gpt-nobody-knows")
        cost = running.exchanges[0].cost
        assert await spent(running) == (0 if cost is None else cost.nano_usd // 1_000_000)


# Nothing is paid for twice, and nothing that was not had


async def test_a_refusal_of_the_provider_costs_nothing(start: Start) -> None:
    async with start(provider=ScriptedProvider(openai_chat.error(500))) as running:
        assert (await running.chat(max_tokens=1000)).status == 500
        assert await spent(running) == 0


async def test_a_cached_answer_costs_nothing(start: Start) -> None:
    async with start(None, {"cache": {}}) as running:
        for _ in range(3):
            assert (await running.chat(max_tokens=900, headers={"Helicone-Cache-Enabled": "true"})).status == 200
        assert len(running.provider.requests) == 1
        assert await spent(running) == 100


class Guard(Plugin):
    """Refuses everything, further in."""

    @hookimpl
    async def pre_request(self, exchange: Exchange) -> Response:
        return Response.of_json({"no": True}, 400)


async def test_an_answer_from_further_in_costs_nothing(start: Start) -> None:
    async with start(None, "guard", classes={"guard": Guard}) as running:
        assert (await running.chat(max_tokens=1000)).status == 400
        assert await spent(running) == 0


async def test_every_attempt_that_was_paid_for_counts(start: Start) -> None:
    broken = openai_chat.reply(usage=Usage(input_tokens=1, output_tokens=5)).cut(bytes=40)
    provider = ScriptedProvider(broken, default=answered(100))
    async with start(
        None, {"retries": {"num": 2, "min_timeout": 0}} if False else "retries", provider=provider
    ) as running:
        reply = await running.chat(max_tokens=400, headers={"Helicone-Retry-Enabled": "true"})
        assert reply.status == 200
        exchange = running.exchanges[0]
        assert len(exchange.attempts) == 2
        known = [0 if attempt.cost is None else attempt.cost.nano_usd for attempt in exchange.attempts]
        assert await spent(running) >= sum(known) // 1_000_000 >= 100


async def test_nobody_tries_again_at_the_expense_of_a_budget_that_has_too_little_left(start: Start) -> None:
    broken = openai_chat.reply().cut(bytes=40)
    provider = ScriptedProvider(broken, default=answered(100))
    async with start(None, "retries", provider=provider) as running:
        reply = await running.chat(max_tokens=900, headers={"Helicone-Retry-Enabled": "true"})
        assert reply.status == 402
        assert len(provider.requests) == 1


async def test_a_client_that_leaves_pays_for_what_came(start: Start) -> None:
    words = [f"word{number} " for number in range(50)]
    provider = ScriptedProvider(openai_chat.stream(words, include_usage=False).paced(1))
    async with start(provider=provider) as running:
        body = {
            "model": "gpt-4o-mini",
            "stream": True,
            "max_tokens": 900,
            "messages": [{"role": "user", "content": "Hi"}],
        }
        async with running.stream("POST", "/v1/chat/completions", json=body) as live:
            await live.head()
            read = 0
            async for piece in live:
                read += piece.count(b"word")
                if read >= 10:
                    break
            await live.leave()
        assert 10 <= await spent(running) <= 40
        assert running.exchanges[0].annotations["ratelimit.budget_estimated"] is True


# Soft budgets and thresholds


async def test_a_soft_budget_refuses_nothing_and_warns(start: Start) -> None:
    async with start({"mode": "soft", "limit": 0.2, "alerts": [50, 100]}) as running:
        warnings = [(await running.chat(max_tokens=900)).headers.get("helicone-warning") for _ in range(4)]
        assert warnings == [
            None,
            "budget b: 50% of $0.20 spent",
            "budget b: 100% of $0.20 spent",
            "budget b: 150% of $0.20 spent",
        ]
        assert of(running).counters == {("admitted", "b"): 4, ("50%", "b"): 1, ("100%", "b"): 1}


async def test_a_new_period_warns_anew(start: Start, virtual_time: VirtualClock) -> None:
    async with start({"mode": "soft", "limit": 0.1, "period": "day", "alerts": [100]}) as running:
        for _ in range(2):
            await running.chat(max_tokens=1)
            virtual_time.advance(DAY)
        assert of(running).counters["100%", "b"] == 2


# Requests under way


async def test_what_is_under_way_is_held(start: Start) -> None:
    provider = ScriptedProvider(default=lambda request: answered(100)(request).delayed(10))
    async with start(provider=provider) as running:
        replies: list[Reply] = await asyncio.gather(*(running.chat(max_tokens=300) for _ in range(5)))
        assert sorted(reply.status for reply in replies) == [200, 200, 200, 402, 402]
        assert await spent(running) == 300


async def test_only_so_many_at_once(start: Start) -> None:
    provider = ScriptedProvider(default=lambda request: answered(1)(request).delayed(10))
    async with start({"in_flight": 2}, provider=provider) as running:
        replies: list[Reply] = await asyncio.gather(*(running.chat(max_tokens=1) for _ in range(3)))
        refused = next(reply for reply in replies if reply.status != 200)
        assert refused.status == 429
        assert refused.json()["error"]["code"] == "budget_in_flight_exceeded"
        assert refused.headers.get("retry-after") == "1"


async def test_nothing_dearer_than_the_largest_request_is_admitted(start: Start) -> None:
    async with start({"largest_request": 0.5}) as running:
        refused = await running.chat(max_tokens=501)
        assert (refused.status, refused.json()["error"]["code"]) == (402, "request_too_expensive")
        assert of(running).counters == {("refused", "b"): 1}
        assert running.exchanges[0].annotations["ratelimit.refused"] == ["b"]
        assert (await running.chat(max_tokens=500)).status == 200


async def test_the_largest_request_is_held_for_each_where_that_is_asked_for(start: Start) -> None:
    provider = ScriptedProvider(default=lambda request: answered(300)(request).delayed(10))
    async with start({"largest_request": 0.4, "reserve": "largest"}, provider=provider) as running:
        replies: list[Reply] = await asyncio.gather(*(running.chat(max_tokens=1) for _ in range(3)))
        assert sorted(reply.status for reply in replies) == [200, 200, 402]
        assert await spent(running) == 600


# Streams


def long_stream(words: int) -> Callable[..., Any]:
    return answered(words, [f"{number:03} " for number in range(words)])


async def test_a_stream_that_goes_on_holds_more(start: Start) -> None:
    def answer(request: Any) -> Any:
        return long_stream(400)(request).paced(1)

    async with start({"limit": 1}, provider=ScriptedProvider(default=answer), output_tokens=10) as running:
        first = asyncio.create_task(running.chat(stream=True))
        await asyncio.sleep(300)
        held = (await standings(running))["b/global"]
        assert held.reserved >= 290_000_000
        assert (await running.chat(max_tokens=900)).status == 402
        assert (await first).status == 200
        assert await spent(running) == 400


async def test_a_stream_is_cut_cleanly_where_the_budget_ends(start: Start) -> None:
    provider = ScriptedProvider(default=long_stream(400))
    async with start({"limit": 0.1, "cut": True}, provider=provider, output_tokens=10) as running:
        reply = await running.chat(stream=True)
        assert not reply.aborted
        events = reply.events()
        assert events[-1].data == b"[DONE]"
        assert events[-2].json()["choices"][0]["finish_reason"] == "length"
        exchange = running.exchanges[0]
        assert exchange.annotations["ratelimit.budget_cut"] == "b"
        assert of(running).counters["cut", "b"] == 1
        assert 80 <= await spent(running) <= 112


async def test_and_in_anthropics_dialect(start: Start) -> None:
    words = [f"{number:03} " for number in range(400)]
    provider = ScriptedProvider(default=anthropic.answer(words, usage=Usage(input_tokens=10, output_tokens=400)))
    async with start({"limit": 0.1, "cut": True}, provider=provider) as running:
        reply = await running.message(stream=True, max_tokens=20)
        assert not reply.aborted
        assert [event.name for event in reply.events()][-2:] == ["message_delta", "message_stop"]
        assert reply.events()[-2].json()["delta"]["stop_reason"] == "max_tokens"


async def test_a_stream_that_may_be_cut_is_nobody_elses(start: Start) -> None:
    async with start({"limit": 1, "cut": True}) as running:
        await running.chat(stream=True, max_tokens=20)
        await running.chat(max_tokens=20)
    assert [exchange.annotations.get("cache.share") for exchange in running.exchanges] == [False, None]


async def test_a_stream_is_cut_at_the_largest_request(start: Start) -> None:
    budget = {"limit": 5, "cut": True, "largest_request": 0.05}
    provider = ScriptedProvider(default=long_stream(400))
    async with start(budget, provider=provider, output_tokens=10) as running:
        await running.chat(stream=True)
        assert 40 <= await spent(running) <= 51


async def test_a_stream_that_stays_within_what_it_holds_is_left_alone(start: Start) -> None:
    async with start({"limit": 1, "cut": True}, provider=ScriptedProvider(default=long_stream(100))) as running:
        reply = await running.chat(stream=True, max_tokens=500)
        assert len([event for event in reply.events() if b"content" in event.data]) > 100
        assert await spent(running) == 100


# What outlives the process


async def test_a_restart_does_not_forget(start: Start, tmp_path: Path) -> None:
    database = {"database": {"url": f"sqlite:///{tmp_path}/db"}}
    async with start(config=database) as running:
        await running.chat(max_tokens=500)
    async with start(config=database) as running:
        assert (await running.chat(max_tokens=901)).status == 402
        assert await spent(running) == 100


async def test_nor_does_a_rolling_window(start: Start, tmp_path: Path, virtual_time: VirtualClock) -> None:
    database = {"database": {"url": f"sqlite:///{tmp_path}/db"}}
    for expected in (100, 200):
        async with start({"window": "1h"}, config=database) as running:
            await running.chat(max_tokens=500)
            assert await spent(running) == expected
        virtual_time.advance(600)
    virtual_time.advance(3600)
    async with start({"window": "1h"}, config=database) as running:
        assert await spent(running) == 0


async def test_workers_with_a_store_each_hear_of_each_other(start: Start, tmp_path: Path) -> None:
    """Two workers, or a gateway and the one that a reload retires: within a second of spending something."""
    database = {"database": {"url": f"sqlite:///{tmp_path}/db"}}
    async with start(config=database) as one, start(config=database) as other:
        for running in (one, other, other):
            await running.chat(max_tokens=100)
        await asyncio.sleep(1.5)
        await one.chat(max_tokens=100)
        await asyncio.sleep(1.5)
        assert await spent(one) == 400
        assert (await one.chat(max_tokens=601)).status == 402
    async with start(config=database) as running:
        assert await spent(running) == 400


async def test_what_was_told_of_a_threshold_is_not_told_again_after_a_restart(start: Start, tmp_path: Path) -> None:
    database = {"database": {"url": f"sqlite:///{tmp_path}/db"}}
    for alerts in (1, 0):
        async with start({"mode": "soft", "limit": 0.15, "alerts": [50]}, config=database) as running:
            await running.chat(max_tokens=500)
            assert of(running).counters.get(("50%", "b"), 0) == alerts


async def test_what_was_spent_is_known_before_the_first_request(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    async with start() as running:

        async def away(*_: Any) -> Any:
            raise OSError("no")

        monkeypatch.setattr(of(running).budgeting.accounts._backup, "at", away)
        assert (await running.chat(max_tokens=2000)).status == 402


async def test_a_database_that_is_away_at_first_use_refuses_nobody_in_open_mode(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start({"segment": "user"}) as running:

        async def away(*_: Any) -> Any:
            raise OSError("no")

        monkeypatch.setattr(of(running).budgeting.accounts._backup, "at", away)
        assert (await running.chat(max_tokens=2000)).status == 200
        assert of(running).budgeting.accounts.failures >= 1


async def test_what_was_not_reserved_while_the_store_was_away_is_settled_all_the_same(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start({"segment": "user"}) as running:
        accounts = of(running).budgeting.accounts
        at = accounts._backup.at

        async def away(*_: Any) -> Any:
            raise OSError("no")

        monkeypatch.setattr(accounts._backup, "at", away)
        await running.chat(max_tokens=500)
        monkeypatch.setattr(accounts._backup, "at", at)
        await running.chat(max_tokens=500)
        assert await spent(running, "b/user") == 200
        await asyncio.sleep(10)
        rows = await of(running).budgeting._table.current(0.0, 10)
        assert [row.spent for row in rows] == [200_000_000]


async def test_what_a_store_forgot_while_the_database_is_away_is_settled_all_the_same(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = {"policy": "1000000;w=60;u=tokens", "algorithm": "moving-window", "name": "window"}
    async with start(limits=[window, {"policy": "5;w=60"}]) as running:
        await running.chat(max_tokens=500)
        accounts = of(running).budgeting.accounts
        at = accounts._backup.at

        async def away(*_: Any) -> Any:
            raise OSError("no")

        await of(running).budgeting.backup.flush()
        monkeypatch.setattr(accounts._backup, "at", away)
        await running.gateway.store.close()
        reply = await running.chat(max_tokens=500)
        assert reply.status == 200
        assert "helicone-ratelimit-limit" not in reply.headers, "nothing was reserved of any limit"
        monkeypatch.setattr(accounts._backup, "at", at)
        await running.chat(max_tokens=500)
        assert await spent(running) == 300


async def test_what_happens_to_spending_is_measured(start: Start) -> None:
    async with start() as running:
        await running.chat(max_tokens=500)

        def measured() -> dict[str, float]:
            return {each.name: each.value for each in of(running).measurements()}

        while not measured()["ratelimit_budget_totals_written"]:  # by a thread, which knows no virtual time
            await asyncio.sleep(1)
        assert measured() == {
            "ratelimit_decisions": 1,
            "ratelimit_unsettled": 0,
            "ratelimit_budget_under_way": 0,
            "ratelimit_budget_totals_waiting": 0,
            "ratelimit_budget_totals_written": 1,
            "ratelimit_budget_totals_dropped": 0,
            "ratelimit_budget_totals_unwritten": 0,
            "ratelimit_budget_write_failures": 0,
            "ratelimit_budget_accounts_seeded": 1,
            "ratelimit_budget_read_failures": 0,
        }


async def test_without_budgets_nothing_listens(gateway: GatewayFactory) -> None:
    async with gateway(plugins=["ratelimit"], provider=ScriptedProvider(default=usual_answer)) as running:
        chain = running.gateway.chain
        assert [hook.plugin for hook in chain.on_attempt] == []
        assert (await running.chat()).status == 200
        assert of(running).budgeting is None

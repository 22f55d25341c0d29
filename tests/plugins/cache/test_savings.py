"""What hits saved: on the exchange for the log, and in sums that never pretend to know more than they do."""

from __future__ import annotations

from typing import Any

import pytest

from helicone_gw import Cost, Exchange, GatewayKey, Headers, HeliconeHeaders, Request, Usage
from helicone_gw.testing import GatewayFactory
from helicone_gw_cache import savings as savings_module
from helicone_gw_cache.savings import TOKENS, Saved, Savings
from helicone_gw_logging import list_requests
from tests.plugins.cache.making import an_entry


def an_exchange(owner: str = "") -> Exchange:
    request = Request("POST", "/v1/chat/completions", "", Headers(), b"{}", "openai", "chat", HeliconeHeaders())
    exchange = Exchange("019ac0de-0000-7000-8000-00000000000a", request, 0.0)
    if owner:
        exchange.key = GatewayKey("1", owner, owner)
    return exchange


def test_a_hit_is_noted_with_all_that_it_saved() -> None:
    exchange = an_exchange()
    usage = Usage(input_tokens=100, output_tokens=20, cache_read_tokens=64, reasoning_tokens=0, service_tier="flex")
    Savings().hit(exchange, an_entry("a", usage=usage, latency_ms=812), waited_ms=12)
    assert exchange.annotations == {
        "cache.status": "hit",
        "cache.key": "a",
        "cache.reference_id": "019ac0de-0000-7000-8000-000000000001",
        "cache.latency_ms": 812,
        "cache.saved_ms": 800,
        "cache.saved_nano_usd": 8_550,
        "cache.saved_prompt_tokens": 100,
        "cache.saved_completion_tokens": 20,
        "cache.saved_prompt_cache_read_tokens": 64,
        "cache.saved_reasoning_tokens": 0,
    }


def test_a_hit_costs_nothing_and_says_who_answered() -> None:
    exchange = an_exchange()
    Savings().hit(exchange, an_entry())
    assert (exchange.provider, exchange.model, exchange.stop_reason) == ("openai", "gpt-4o-mini", "stop")
    assert exchange.usage == Usage(input_tokens=0, output_tokens=0)
    assert exchange.cost == Cost(0, source="cache")


def test_what_one_hit_is_given_no_other_hit_has() -> None:
    savings, entry = Savings(), an_entry(latency_ms=10)
    first, second = an_exchange(), an_exchange()
    savings.hit(first, entry, waited_ms=1, status="stale")
    first.annotate("cache.key", "changed")
    savings.hit(second, entry, waited_ms=4)
    assert (first.annotations["cache.status"], first.annotations["cache.saved_ms"]) == ("stale", 9)
    assert (second.annotations["cache.status"], second.annotations["cache.saved_ms"]) == ("hit", 6)
    assert second.annotations["cache.key"] == "k"


def test_what_is_unknown_is_not_saved_as_zero() -> None:
    savings = Savings()
    exchange = an_exchange()
    savings.hit(exchange, an_entry(usage=None, cost_nano_usd=None))
    savings.hit(an_exchange(), an_entry(usage=Usage(service_tier="flex"), cost_nano_usd=7))
    assert exchange.annotations["cache.saved_nano_usd"] is None
    assert not any(name.endswith("_tokens") for name in exchange.annotations)
    total = savings.total
    assert (total.hits, total.unknown_tokens, total.unknown_cost, total.nano_usd) == (2, 2, 1, 7)


def test_a_hit_that_took_longer_than_the_answer_saved_no_time() -> None:
    savings = Savings()
    savings.hit(an_exchange(), an_entry(latency_ms=5), waited_ms=9)
    assert savings.total.milliseconds == 0


def test_a_miss_says_why() -> None:
    savings = Savings()
    exchange = an_exchange()
    savings.miss(exchange, "expired")
    assert exchange.annotations == {"cache.status": "miss", "cache.miss_reason": "expired"}
    assert (savings.total.hits, savings.total.misses) == (0, 1)
    assert exchange.cost is None


def test_sums_are_kept_for_each_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    savings = Savings()
    for owner, hits in (("alice", 3), ("bob", 1), ("", 2)):
        for _ in range(hits):
            savings.hit(an_exchange(owner), an_entry())
    savings.miss(an_exchange("bob"), "absent")
    assert [savings.of("default", owner).hits for owner in ("alice", "bob", "", "carol")] == [3, 1, 2, 0]
    assert savings.of("other", "alice") == Saved()
    assert savings.of("default", "alice").tokens["prompt_tokens"] == 27
    assert (savings.total.hits, savings.total.misses, savings.total.nano_usd) == (6, 1, 6 * 8_550)


def test_owners_are_bounded_and_the_total_forgets_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(savings_module, "MAX_OWNERS", 3)
    savings = Savings()
    for number in range(10):
        savings.hit(an_exchange(f"owner-{number}"), an_entry())
        assert savings.total.hits == number + 1
    savings.hit(an_exchange("owner-9"), an_entry())
    assert savings.of("default", "owner-0") == Saved()
    assert savings.of("default", "owner-9").hits == 2
    assert savings.total.tokens["completion_tokens"] == 11 * 12


def test_to_ask_for_the_total_keeps_nobody_from_being_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(savings_module, "MAX_OWNERS", 2)
    savings = Savings()
    savings.hit(an_exchange("a"), an_entry())
    savings.hit(an_exchange("b"), an_entry())
    assert savings.total.hits == 2
    savings.hit(an_exchange("c"), an_entry())
    assert [savings.of("default", owner).hits for owner in "abc"] == [0, 1, 1]


def test_every_class_of_tokens_is_one_of_usages() -> None:
    assert set(TOKENS.values()) <= set(Usage.__struct_fields__)


@pytest.mark.parametrize("stream", [False, True])
async def test_the_log_has_all_that_is_needed_to_add_it_up(gateway: GatewayFactory, stream: bool) -> None:
    plugins: list[Any] = ["logging", "cost", "cache"]
    async with gateway(plugins) as running:
        for _ in range(2):
            reply = await running.chat(stream=stream, headers={"Helicone-Cache-Enabled": "true"})
            assert reply.status == 200
        logging = running.gateway.plugins[0]
        await logging.flush()  # type: ignore[attr-defined]
        miss, hit = sorted(await list_requests(running.gateway.database), key=lambda logged: logged.row.seq)
        noted = hit.row.annotations
        assert (miss.row.cache_status, hit.row.cache_status) == ("miss", "hit")
        assert noted["cache.reference_id"] == miss.row.request_id
        assert noted["cache.saved_prompt_tokens"] == miss.row.prompt_tokens
        assert noted["cache.saved_completion_tokens"] == miss.row.completion_tokens
        assert noted["cache.saved_nano_usd"] == miss.row.cost_nano_usd
        assert (hit.row.prompt_tokens, hit.row.completion_tokens, hit.row.total_tokens) == (0, 0, 0)
        assert (hit.row.cost_nano_usd, hit.row.cost_source) == (0, "cache")
        assert (hit.row.provider, hit.row.model) == (miss.row.provider, miss.row.model)
        assert (hit.row.attempt_count, hit.row.stop_reason) == (0, miss.row.stop_reason)

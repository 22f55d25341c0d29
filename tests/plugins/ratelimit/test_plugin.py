"""The hooks of ``ratelimit``, through a whole gateway: what is admitted, what is told, and what counts in the end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from helicone_gw import (
    CompiledPrice,
    Exchange,
    PermissionDenied,
    Plugin,
    Response,
    StoreUnavailable,
    Usage,
    hookimpl,
)
from helicone_gw.registry import load
from helicone_gw.store import StoreStats
from helicone_gw.testing import GatewayFactory, Reply, RunningGateway, ScriptedProvider, ScriptedResponse, VirtualClock
from helicone_gw.testing.dialects import anthropic, openai_chat
from helicone_gw_ratelimit.plugin import RatelimitPlugin
from helicone_gw_ratelimit.policy import parse_policy
from helicone_gw_ratelimit.rules import PolicyRule

pytestmark = pytest.mark.virtual_time

PLUGIN = [{"ratelimit": {"tokenizer": "estimate"}}]
CENT = 10_000_000


def plugin(running: RunningGateway) -> RatelimitPlugin:
    (found,) = (each for each in running.gateway.plugins if isinstance(each, RatelimitPlugin))
    return found


def by(policy: str, **headers: str) -> dict[str, str]:
    return {"Helicone-RateLimit-Policy": policy, **{name.replace("_", "-"): text for name, text in headers.items()}}


def told(reply: Reply) -> dict[str, str]:
    """What an answer says of limits, by the last word of each header."""
    prefix = "helicone-ratelimit-"
    return {name.removeprefix(prefix): value for name, value in reply.headers if name.startswith(prefix)}


class CentsPerToken:
    """A price list: a cent for every token, whatever the model."""

    def price(self, provider: str, models: tuple[str, ...], tier: str | None, at: float) -> CompiledPrice | None:
        return CompiledPrice.of({"input": CENT, "output": CENT}, source="test")


def costing(cents: int) -> ScriptedProvider:
    return ScriptedProvider(default=openai_chat.answer(usage=Usage(input_tokens=cents, output_tokens=0)))


class Inner(Plugin):
    """A layer inside the limits that answers or refuses by itself, as a cache or a moderation does."""

    @hookimpl
    async def pre_request(self, exchange: Exchange) -> Response | None:
        wish = exchange.request.headers.get("x-inner")
        if wish == "refuse":
            raise PermissionDenied("not this")
        return Response.of_json({"cached": True}) if wish == "answer" else None


def test_it_is_offered_as_a_plugin_that_fails_open() -> None:
    assert load("ratelimit") is RatelimitPlugin
    assert RatelimitPlugin.on_failure == "open"


async def test_the_log_is_told_who_was_admitted(gateway: GatewayFactory) -> None:
    async with gateway(PLUGIN) as running:
        await running.chat(headers=by("1;w=60"))
        await running.chat()
        limited, free = running.exchanges
    assert (limited.annotations.get("ratelimit.status"), free.annotations.get("ratelimit.status")) == ("admitted", None)


@pytest.mark.parametrize("stream", [False, True])
async def test_two_of_a_minute_then_none_until_half_of_it_is_over(
    gateway: GatewayFactory, virtual_time: VirtualClock, stream: bool
) -> None:
    """Contract 18.1, first example."""
    async with gateway(PLUGIN) as running:
        virtual_time.set_wall_clock(1_800_000_000.0)
        replies = [await running.chat(stream=stream, headers=by("2;w=60")) for _ in range(3)]
        assert [reply.status for reply in replies] == [200, 200, 429]
        policy = {"limit": "2", "policy": "2;w=60"}
        assert told(replies[0]) == {**policy, "remaining": "1", "reset": "30"}
        assert told(replies[1]) == {**policy, "remaining": "0", "reset": "60"}
        assert told(replies[2]) == {**policy, "remaining": "0", "reset": "60"}
        assert replies[2].headers.get("retry-after") == "30"
        assert replies[2].headers.get("helicone-status") == "success"
        assert len(running.provider.requests) == 2
        virtual_time.advance(29.9)
        assert (await running.chat(stream=stream, headers=by("2;w=60"))).status == 429
        virtual_time.advance(0.1)
        assert (await running.chat(stream=stream, headers=by("2;w=60"))).status == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_of_150_cents_leaves_a_debt_of_50(
    gateway: GatewayFactory, virtual_time: VirtualClock, stream: bool
) -> None:
    """Contract 18.1, second example."""
    async with gateway(PLUGIN, provider=costing(150)) as running:
        running.gateway.prices.use(CentsPerToken())
        assert (await running.chat(stream=stream, headers=by("100;w=100;u=cents"))).status == 200
        refused = await running.chat(stream=stream, headers=by("100;w=100;u=cents"))
        assert refused.status == 429
        assert told(refused)["remaining"] == "0"
        assert refused.headers.get("retry-after") == "51"
        assert refused.headers.get("retry-after-ms") == "50001"
        virtual_time.advance(50)
        assert (await running.chat(stream=stream, headers=by("100;w=100;u=cents"))).status == 429
        virtual_time.advance(0.001)
        assert (await running.chat(stream=stream, headers=by("100;w=100;u=cents"))).status == 200


async def test_the_alias_of_the_header_and_names_of_policies(gateway: GatewayFactory) -> None:
    config = {"policies": {"basic-1": "1;w=60;s=user"}}
    async with gateway([{"ratelimit": config}]) as running:
        headers = {"Helicone-Rate-Limit-Policy": "basic-1", "Helicone-User-Id": "alice"}
        assert [(await running.chat(headers=headers)).status for _ in range(2)] == [200, 429]
        assert (await running.chat(headers={**headers, "Helicone-User-Id": "bob"})).status == 200


@pytest.mark.parametrize(
    ("policy", "problem"),
    [
        ("100;w=59", "its window should be 60 to 31536000 seconds"),
        ("100;w=31536001", "its window"),
        ("0;w=60", "its quota should be above zero"),
        ("100;w=60;s=user;u=cents", "it should look like"),
        ("100; w=60", "it should look like"),
        ("gold", "no policy of that name"),
    ],
)
async def test_a_malformed_policy_is_told_and_ignored_or_refused_when_strict(
    gateway: GatewayFactory, policy: str, problem: str
) -> None:
    async with gateway(PLUGIN) as running:
        reply = await running.chat(headers=by(policy))
        assert reply.status == 200
        assert problem in (reply.headers.get("helicone-warning") or "")
        assert told(reply) == {}
        assert plugin(running).counters == {("malformed", "header"): 1}
    async with gateway([{"ratelimit": {"strict": True}}]) as running:
        reply = await running.chat(headers=by(policy))
        assert reply.status == 400
        assert reply.json()["error"]["code"] == "invalid_rate_limit_policy"
        assert problem in reply.json()["error"]["message"]
        assert not running.provider.requests


async def test_clients_may_be_kept_from_setting_policies(gateway: GatewayFactory) -> None:
    async with gateway([{"ratelimit": {"client_policies": False, "strict": True}}]) as running:
        for policy in ("1;w=60", "1;w=60", "nonsense;"):
            assert (await running.chat(headers=by(policy))).status == 200


async def test_each_segment_has_its_own_and_those_without_a_value_share_one(gateway: GatewayFactory) -> None:
    async with gateway(PLUGIN) as running:
        one = [
            (by("1;w=60;s=user", Helicone_User_Id="alice"), 200),
            (by("1;w=60;s=user", Helicone_User_Id="alice"), 429),
            (by("1;w=60;s=user", Helicone_User_Id="bob"), 200),
            (by("1;w=60;s=user"), 200),
            (by("1;w=60;s=user"), 429),
            (by("1;w=60;s=team", Helicone_Property_Team="red"), 200),
            (by("1;w=60;s=TEAM", helicone_property_team="red"), 429),
            (by("1;w=60;s=team", Helicone_Property_Team="blue"), 200),
            (by("5;w=3600"), 200),
            (by("1;w=60"), 200),  # the same bucket: its balance is cut to the new quota
            (by("5;w=3600"), 429),
        ]
        assert [(await running.chat(headers=headers)).status for headers, _ in one] == [status for _, status in one]


async def test_several_limits_at_once_the_most_restrictive_answers(
    gateway: GatewayFactory, virtual_time: VirtualClock
) -> None:
    limits = [
        {"name": "day", "policy": "4;w=86400"},
        {"name": "minute", "policy": "2;w=60"},
        {"name": "mini", "policy": "1;w=3600", "models": ["gpt-4o-mini*"], "users": ["limited-*"]},
    ]
    async with gateway([{"ratelimit": {"limits": limits}}]) as running:
        first = await running.chat()
        assert told(first) == {"limit": "2", "policy": "2;w=60", "remaining": "1", "reset": "30"}
        assert (await running.chat(headers=by("100;w=60"))).status == 200
        refused = await running.chat()
        assert (refused.status, told(refused)["policy"]) == (429, "2;w=60")
        virtual_time.advance(60)
        assert (await running.chat(headers={"Helicone-User-Id": "limited-1"})).status == 200
        mini = await running.chat(headers={"Helicone-User-Id": "limited-1"})
        assert (mini.status, told(mini)["policy"], mini.headers.get("retry-after")) == (429, "1;w=3600", "3600")
        assert mini.json()["error"]["details"]["name"] == "mini"
        # What the refused one would have taken of the others is still there.
        assert (await running.chat()).status == 200
        virtual_time.advance(60)
        both = await running.chat(headers={"Helicone-User-Id": "limited-1"})
        assert both.headers.get("retry-after") == str(86400 // 4 - 180 + 60)
        assert told(both)["policy"] == "4;w=86400"


async def test_a_limit_by_model_holds_for_another_name_of_it(gateway: GatewayFactory) -> None:
    config = {"models": {"house-model": {"providers": ["openai"], "model": "gpt-4o-mini", "aliases": ["house"]}}}
    limits = [{"policy": "1;w=60", "models": ["gpt-4o-mini"]}]
    async with gateway([{"ratelimit": {"limits": limits}}], config=config) as running:
        assert (await running.chat(model="house")).status == 200
        assert (await running.chat(model="gpt-4o-mini")).status == 429
        assert (await running.chat(model="gpt-4o")).status == 200


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("unit", ["request", "cents", "tokens"])
@pytest.mark.parametrize("failure", [openai_chat.error(503), openai_chat.error(429)])
async def test_what_no_provider_served_is_given_back(
    gateway: GatewayFactory, unit: str, stream: bool, failure: ScriptedResponse
) -> None:
    provider = ScriptedProvider(default=failure)
    async with gateway(PLUGIN, provider=provider) as running:
        running.gateway.prices.use(CentsPerToken())
        headers = by(f"2000;w=31536000;u={unit}")
        for _ in range(3):
            assert (await running.chat(stream=stream, headers=headers)).status == failure.status
        provider.default = openai_chat.answer(usage=Usage(input_tokens=7, output_tokens=3))
        await running.chat(stream=stream, headers=headers)
        assert await balance(running, unit) == 2000 - (1 if unit == "request" else 10)


@pytest.mark.parametrize(
    ("answer", "requests"),
    [
        (openai_chat.reply().cut("before_head"), 0),
        (openai_chat.stream("One two three four").cut(events=4, how="reset"), 1),
    ],
)
@pytest.mark.parametrize("unit", ["request", "cents", "tokens"])
async def test_what_breaks_counts_as_far_as_it_came(
    gateway: GatewayFactory, unit: str, answer: ScriptedResponse, requests: int
) -> None:
    """The core estimates what a provider that broke off has used, and says so."""
    async with gateway(PLUGIN, provider=ScriptedProvider(default=answer)) as running:
        running.gateway.prices.use(CentsPerToken())
        await running.chat(stream=True, max_tokens=100, headers=by(f"2000;w=31536000;u={unit}"))
        usage = running.exchanges[0].usage
        assert usage is not None
        assert usage.estimated
        used = requests if unit == "request" else usage.total_tokens
        assert await balance(running, unit) == 2000 - (used or 0)


async def balance(running: RunningGateway, unit: str) -> int:
    """Whole units that are left of the bucket of 2,000 a year, looked at with a claim for nothing."""
    limits = plugin(running)._limits
    rule = PolicyRule(
        parse_policy(f"2000;w=31536000;u={unit}"),
        "token-bucket",
        name="look",
        words=("bucket", "header"),
        estimates=Nothing(),
    )
    claim = rule.claim(running.exchanges[-1])
    claim.arguments = (*claim.arguments[:3], 0, 0)
    await limits.reserve(plugin(running)._store, [claim])
    return rule.standing(claim).remaining


class Nothing:
    def tokens(self, exchange: Exchange) -> int:
        return 0

    def nano_usd(self, exchange: Exchange) -> int | None:
        return None


@pytest.mark.parametrize("wish", ["answer", "refuse"])
@pytest.mark.parametrize("unit", ["request", "cents", "tokens"])
async def test_answers_from_further_out_than_any_provider_count_nothing_and_tell_nothing(
    gateway: GatewayFactory, unit: str, wish: str
) -> None:
    async with gateway([*PLUGIN, "inner"], classes={"inner": Inner}) as running:
        running.gateway.prices.use(CentsPerToken())
        for _ in range(5):
            reply = await running.chat(headers={**by(f"1;w=60;u={unit}"), "x-inner": wish})
            assert reply.status == (200 if wish == "answer" else 403)
            assert told(reply) == {}
        assert (await running.chat(headers=by(f"1;w=60;u={unit}"))).status == 200


async def test_a_request_that_was_wrong_counts(gateway: GatewayFactory) -> None:
    async with gateway(PLUGIN, provider=ScriptedProvider(default=openai_chat.error(400))) as running:
        assert [(await running.chat(headers=by("1;w=60"))).status for _ in range(2)] == [400, 429]


async def test_tokens_are_the_same_streamed_or_not_and_in_every_dialect(gateway: GatewayFactory) -> None:
    left = {}
    usage = Usage(input_tokens=60, output_tokens=40)
    for dialect, answer in (("chat", openai_chat.answer(usage=usage)), ("message", anthropic.answer(usage=usage))):
        for stream in (False, True):
            async with gateway(PLUGIN, provider=ScriptedProvider(default=answer)) as running:
                ask = getattr(running, dialect)
                for _ in range(2):
                    reply = await ask(stream=stream, max_tokens=10, headers=by("1000;w=31536000;u=tokens"))
                left[dialect, stream] = int(told(reply)["remaining"])
    assert len(set(left.values())) <= 2, left  # the estimates of two models' prompts may differ
    assert left["chat", False] == left["chat", True]
    assert left["message", False] == left["message", True]
    assert all(850 < remaining <= 890 for remaining in left.values())


async def test_a_header_s_policy_reserves_what_there_is_and_admits_above_nothing(gateway: GatewayFactory) -> None:
    entered, release = asyncio.Event(), asyncio.Event()

    class Slow(Plugin):
        @hookimpl
        async def pre_request(self, exchange: Exchange) -> None:
            entered.set()
            await release.wait()

    provider = ScriptedProvider(default=openai_chat.answer(usage=Usage(input_tokens=1, output_tokens=1)))
    async with gateway([*PLUGIN, "slow"], provider=provider, classes={"slow": Slow}) as running:
        headers = by("100;w=31536000;u=tokens")
        large = asyncio.ensure_future(running.chat(max_tokens=1_000_000, headers=headers))
        await entered.wait()
        assert (await running.chat(headers=headers)).status == 429, "nothing is left while it is reserved"
        release.set()
        assert told(await large)["remaining"] == "0"
        assert told(await running.chat(max_tokens=1, headers=headers))["remaining"] > "80"


async def test_a_cost_that_nobody_knows_stays_as_it_was_reserved(
    gateway: GatewayFactory, virtual_time: VirtualClock
) -> None:
    silent = openai_chat.answer(usage=None)
    config = {"tokenizer": "estimate", "unknown_cost": 40}
    async with gateway([{"ratelimit": config}], provider=ScriptedProvider(default=silent)) as running:
        headers = by("100;w=31536000;u=cents")
        replies = [await running.chat(headers=headers) for _ in range(4)]
        assert [reply.status for reply in replies] == [200, 200, 200, 429]
        assert [told(reply)["remaining"] for reply in replies] == ["60", "20", "0", "0"]


async def test_so_many_at_once_and_a_place_is_free_when_one_ends(gateway: GatewayFactory) -> None:
    limits = [{"concurrency": 2, "segment": "user", "name": "two"}]
    halting = openai_chat.stream("One two three").cut(events=3, how="hang")
    async with gateway([{"ratelimit": {"limits": limits}}], provider=ScriptedProvider(default=halting)) as running:
        alice = {"Helicone-User-Id": "alice"}
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
        path = "/v1/chat/completions"
        async with running.stream("POST", path, json=body, headers=alice) as first:
            await first.head()
            async with running.stream("POST", path, json=body, headers=alice) as second:
                await second.head()
                running.provider.default = openai_chat.answer()
                refused = await running.chat(headers=alice)
                assert refused.status == 429
                assert refused.json()["error"]["code"] == "concurrency_limit_exceeded"
                assert refused.headers.get("retry-after") == "1"
                assert (await running.chat(headers={"Helicone-User-Id": "bob"})).status == 200
                await second.leave()
                await second.read()
            assert (await running.chat(headers=alice)).status == 200
            await first.leave()
            await first.read()
        assert len(plugin(running)._renewal) == 0


async def test_leases_are_renewed_while_they_run(gateway: GatewayFactory, virtual_time: VirtualClock) -> None:
    limits = [{"concurrency": 1}]
    halting = openai_chat.stream("One two three").cut(events=3, how="hang")
    config = {"limits": {"idle_timeout": 10_000}}
    provider = ScriptedProvider(default=halting)
    async with gateway([{"ratelimit": {"limits": limits, "lease": 30}}], provider=provider, config=config) as running:
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
        async with running.stream("POST", "/v1/chat/completions", json=body) as live:
            await live.head()
            await asyncio.sleep(300)
            assert (await running.chat()).status == 429
            await live.leave()
            await live.read()
        provider.default = openai_chat.answer()
        assert (await running.chat()).status == 200


class Away:
    """A store that cannot be reached."""

    stats = StoreStats(open=True)

    async def run(self, *_: Any) -> Any:
        raise StoreUnavailable("away")

    run_all = run


@pytest.mark.parametrize(("mode", "status"), [("open", 200), ("closed", 503)])
async def test_without_a_store_it_fails_as_configured(gateway: GatewayFactory, mode: str, status: int) -> None:
    limits = [{"policy": "1;w=60"}, {"concurrency": 1}]
    async with gateway([{"ratelimit": {"limits": limits, "on_failure": mode}}]) as running:
        plugin(running)._store = Away()  # type: ignore[assignment]
        plugin(running).settling._store = Away()  # type: ignore[assignment]
        plugin(running).settling._local = False
        for _ in range(3):
            assert (await running.chat()).status == status


async def test_the_log_hears_what_was_in_force(gateway: GatewayFactory) -> None:
    async with gateway([{"ratelimit": {"limits": [{"policy": "1;w=60", "name": "one"}]}}]) as running:
        await running.chat(headers=by("5;w=60"))
        await running.chat(headers=by("5;w=60"))
    first, second = running.exchanges
    assert first.annotations["ratelimit.limits"] == ["one", "header"]
    assert second.annotations["ratelimit.refused"] == ["one"]
    assert plugin(running).counters == {("admitted", "one"): 1, ("admitted", "header"): 1, ("refused", "one"): 1}


async def test_a_refusal_is_in_the_client_s_dialect(gateway: GatewayFactory) -> None:
    async with gateway([{"ratelimit": {"limits": [{"policy": "1;w=60"}]}}]) as running:
        await running.chat()
        message = await running.message()
        assert message.status == 429
        assert message.json()["error"]["type"] == "rate_limit_error"
        assert message.json()["type"] == "error"
        path = "/v1beta/models/gemini-2.5-flash:generateContent"
        gemini = await running.request("POST", path, json={"contents": [{"parts": [{"text": "Hi"}]}]})
        assert (gemini.status, gemini.json()["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
        assert gemini.headers.get("retry-after") == "60"


async def test_a_gateway_without_limits_does_nothing(gateway: GatewayFactory) -> None:
    async with gateway(["ratelimit"]) as running:
        reply = await running.chat()
        assert told(reply) == {}
        assert plugin(running).counters == {}
        assert not running.exchanges[0].annotations

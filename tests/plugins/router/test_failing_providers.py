"""Providers that fail by script, through the whole onion: the right target answers, after the right waits.

Each case says what the first target's provider does, call by call; the second one's always answers.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from helicone_gw import Target
from helicone_gw.testing import GatewayFactory, RunningGateway, ScriptedProvider
from helicone_gw.testing.dialects import anthropic, openai_chat
from helicone_gw.testing.faults import empty, html, junk, malformed_json
from helicone_gw.testing.record import RecordedRequest
from helicone_gw.testing.script import ScriptedResponse
from helicone_gw_logging import get_request, list_requests
from helicone_gw_retries.plugin import RetriesPlugin

pytestmark = pytest.mark.virtual_time

PRICE = {"input_mtok": 1000, "output_mtok": 2000}
CONFIG: dict[str, Any] = {
    "providers": {"openai": {"api_key": "sk-first"}, "groq": {"api_key": "sk-second"}},
    "models": {"m": {"providers": ["openai", "groq"], "price": PRICE}},
    "limits": {"first_byte_timeout": 20, "commit_timeout": 5},
}
PLUGINS: list[Any] = [
    "logging",
    "cost",
    "security",
    "router",
    {"fallbacks": {"on": ["rate_limit", "overloaded", "server", "timeout", "connection", "context_length"]}},
    {"retries": {"enabled": True, "num": 2, "min_timeout": 1, "factor": 2, "max_timeout": 10}},
]
ANSWER = openai_chat.answer("Hello!")
ERROR_EVENT = openai_chat.error_event(status=500)


def error(status: int, **headers: str) -> ScriptedResponse:
    return openai_chat.error(status, headers={name.replace("_", "-"): value for name, value in headers.items()})


@dataclass(frozen=True)
class Case:
    """``script`` is the first target's; ``tried`` counts the attempts at each target, ``waited`` is in seconds."""

    name: str
    script: list[Any]
    tried: tuple[int, int]
    waited: float
    stream: bool | None = None
    aborted: bool = False
    status: int = 200


HANG = openai_chat.reply().cut("before_head", how="hang")
CASES = [
    Case("429", [error(429), ANSWER], (2, 0), 1),
    Case("429 with Retry-After", [error(429, retry_after="4")], (1, 1), 0),
    Case("429 with retry-after-ms", [error(429, retry_after_ms="2500")], (1, 1), 0),
    Case("429 with a longer Retry-After than is waited for", [error(429, retry_after="60")], (1, 1), 0),
    Case("500s", [error(500), error(500), error(500)], (3, 1), 1 + 2),
    Case("500, then well", [error(500), ANSWER], (2, 0), 1),
    Case("529", [error(529), error(529), error(529)], (3, 1), 3),
    Case("a proxy's page", [html(502)] * 3, (3, 1), 3),
    Case("drops", [openai_chat.reply().cut("before_head")] * 3, (3, 1), 3),
    Case("not HTTP", [junk()] * 3, (3, 1), 3),
    Case("cut in the middle of a reply", [openai_chat.reply().cut(bytes=40)] * 3, (3, 1), 3, stream=False),
    Case("malformed JSON", [malformed_json()] * 3, (3, 1), 3, stream=False),
    Case("nothing at all", [empty()] * 3, (3, 1), 3, stream=True),
    Case("a bad key", [error(401)], (1, 0), 0, status=401),
    Case("a wrong request", [error(400)], (1, 0), 0, status=400),
    Case("too long for it", [openai_chat.error(400, "x", code="context_length_exceeded")], (1, 1), 0),
    Case("cut before the first content", [openai_chat.stream().cut(events=1)] * 3, (3, 1), 3, stream=True),
    Case(
        "200 with an error event",
        [openai_chat.stream().interrupted(ERROR_EVENT, events=1)] * 3,
        (3, 1),
        3,
        stream=True,
    ),
    Case("cut after content", [openai_chat.stream().cut(events=4)], (1, 0), 0, stream=True, aborted=True),
    Case(
        "reset after content", [openai_chat.stream().cut(events=4, how="reset")], (1, 0), 0, stream=True, aborted=True
    ),
]


def by_key(script: list[Any]) -> Callable[[RecordedRequest], Any]:
    """Answers the first target from ``script``, everybody else well."""
    left = deque(script)

    def answer(request: RecordedRequest) -> Any:
        if request.headers.get("authorization") != "Bearer sk-first":
            return ANSWER(request)
        each = left.popleft()
        return each(request) if callable(each) else each

    return answer


def unjittered(running: RunningGateway) -> None:
    for plugin in running.gateway.plugins:
        if isinstance(plugin, RetriesPlugin):
            plugin.random = lambda: 1.0


async def row(running: RunningGateway) -> Any:
    """The one row of the log, with its attempts."""
    (plugin,) = (each for each in running.gateway.plugins if each.name == "logging")
    await plugin.flush()  # type: ignore[attr-defined]
    (only,) = await list_requests(running.gateway.database)
    return await get_request(running.gateway.database, only.row.id)


@pytest.mark.parametrize(
    ("case", "stream"),
    [
        pytest.param(case, stream, id=f"{case.name}, {'streamed' if stream else 'unary'}")
        for case in CASES
        for stream in (False, True)
        if case.stream in (None, stream)
    ],
)
async def test_the_right_target_answers(gateway: GatewayFactory, case: Case, stream: bool) -> None:
    provider = ScriptedProvider(default=by_key(list(case.script)))
    async with gateway(PLUGINS, provider=provider, config=CONFIG) as running:
        unjittered(running)
        start = asyncio.get_running_loop().time()
        reply = await running.chat(model="m", stream=stream)
        waited = asyncio.get_running_loop().time() - start
        exchange = running.exchanges[0]
        assert (reply.status, reply.aborted) == (case.status, case.aborted)
        tried = Counter(attempt.target for attempt in exchange.attempts)
        assert (tried[Target("openai", "m")], tried[Target("groq", "m")]) == case.tried
        assert waited == pytest.approx(case.waited, abs=0.01)
        if case.status == 200 and not case.aborted:
            assert b"Hello" in reply.body
            assert b"error" not in reply.body
        if not stream and case.status == 200:
            assert reply.headers.get("helicone-attempts") == str(sum(case.tried))
        logged = await row(running)
    assert len(logged.attempts) == sum(case.tried)
    known = [attempt.cost.nano_usd for attempt in exchange.attempts if attempt.cost is not None]
    if len(known) == len(exchange.attempts):
        assert exchange.cost is not None
        assert exchange.cost.nano_usd == sum(known)
    else:
        assert exchange.cost is None, "what one attempt cost is unknown, and so is the sum"


async def test_a_provider_that_hangs_is_given_up_on(gateway: GatewayFactory) -> None:
    """In memory nobody times a call out but the deadline; over a socket the first byte has a timeout of its own."""
    provider = ScriptedProvider(default=by_key([HANG]))
    config = {**CONFIG, "limits": {"deadline": 30}}
    async with gateway(PLUGINS, provider=provider, config=config) as running:
        start = asyncio.get_running_loop().time()
        reply = await running.chat(model="m")
        assert asyncio.get_running_loop().time() - start == pytest.approx(30)
        assert reply.status == 504
        logged = await row(running)
    assert len(logged.attempts) == 1
    assert running.exchanges[0].outcome is not None
    assert running.exchanges[0].outcome.kind == "timeout"


async def test_a_stream_whose_first_event_does_not_come_is_committed_in_time(gateway: GatewayFactory) -> None:
    slow = openai_chat.stream().paced(7)
    provider = ScriptedProvider(default=by_key([slow]))
    async with gateway(PLUGINS, provider=provider, config=CONFIG) as running:
        reply = await running.chat(model="m", stream=True)
    assert (reply.status, reply.aborted, len(running.exchanges[0].attempts)) == (200, False, 1)


async def test_costs_of_attempts_add_up(gateway: GatewayFactory) -> None:
    """An overload inside a stream whose usage was reported already is paid for, and so is the answer."""
    overloaded = anthropic.stream(model="claude-x").interrupted(anthropic.error_event(), events=1)
    price = {"input_mtok": 1000, "output_mtok": 0}
    config = {**CONFIG, "models": {"claude-x": {"providers": ["anthropic"], "price": price}}}
    provider = ScriptedProvider(overloaded, anthropic.stream(model="claude-x"))
    async with gateway(PLUGINS, provider=provider, config=config) as running:
        unjittered(running)
        reply = await running.message(model="claude-x", stream=True)
        logged = await row(running)
    exchange = running.exchanges[0]
    costs = [attempt.cost.nano_usd if attempt.cost else 0 for attempt in exchange.attempts]
    assert (reply.status, reply.aborted) == (200, False)
    assert len(costs) == 2
    assert costs == [12_000_000, 12_000_000]
    assert exchange.cost is not None
    assert exchange.cost.nano_usd == sum(costs) == sum(attempt.cost_nano_usd for attempt in logged.attempts)


async def test_one_target_is_waited_for_as_long_as_it_asks(gateway: GatewayFactory) -> None:
    """Where another is left, a target that wants a pause is left alone instead."""
    provider = ScriptedProvider(error(429, retry_after="4"), ANSWER)
    config = {**CONFIG, "models": {"m": {"providers": ["openai"], "price": PRICE}}}
    async with gateway(PLUGINS, provider=provider, config=config) as running:
        unjittered(running)
        start = asyncio.get_running_loop().time()
        assert (await running.chat(model="m")).status == 200
        assert asyncio.get_running_loop().time() - start == pytest.approx(4)
    assert len(running.exchanges[0].attempts) == 2


# 1,000 mixed requests over four targets of which one dies and comes back

FOUR = {
    "providers": {name: {"api_key": f"sk-{name}"} for name in ("openai", "groq", "mistral", "deepseek")},
    "limits": {"deadline": 900},
}
WEIGHTS = {"openai": 4, "groq": 3, "mistral": 2, "deepseek": 1}
ROUTE = {
    "strategy": "weighted",
    "targets": [{"model": f"m/{name}", "weight": weight} for name, weight in WEIGHTS.items()],
}
ONION: list[Any] = [{"router": {"routes": {"four": ROUTE}, "health": {"failures": 3, "rest": 10}}}]


def shares(running: RunningGateway, first: int, last: int) -> dict[str, float]:
    asked = Counter(exchange.attempts[0].target.provider for exchange in running.exchanges[first:last])
    total = asked.total()
    return {name: asked[name] / total for name in WEIGHTS}


def share_of(names: list[str]) -> dict[str, float]:
    total = sum(WEIGHTS[name] for name in names)
    return {name: WEIGHTS[name] / total if name in names else 0.0 for name in WEIGHTS}


async def test_a_thousand_requests_over_four_targets_of_which_one_dies(gateway: GatewayFactory) -> None:
    """No plugin retries or falls back here: what keeps errors from the clients is the breaker alone."""
    dead = False
    drawn = random.Random(7)

    def answer(request: RecordedRequest) -> Any:
        if dead and request.headers.get("authorization") == "Bearer sk-groq":
            return openai_chat.reply().cut("before_head") if drawn.random() < 0.5 else error(500)
        return ANSWER(request)

    async with gateway(ONION, provider=ScriptedProvider(default=answer), config=FOUR) as running:
        statuses: list[int] = []

        async def ask(count: int) -> None:
            for number in range(count):
                reply = await running.chat(model="four", stream=number % 2 == 0)
                statuses.append(502 if reply.aborted else reply.status)

        await ask(300)
        assert statuses == [200] * 300
        assert shares(running, 0, 300) == pytest.approx(share_of(list(WEIGHTS)), abs=0.03)

        dead = True
        while running.gateway.health.available(Target("groq", "m")):
            await ask(1)
        failed = len(statuses)
        assert sum(status != 200 for status in statuses) == 3, "as many as it takes to open the breaker"
        await ask(400)
        assert statuses[failed:] == [200] * 400, "no client error after the breaker opened"
        left = [name for name in WEIGHTS if name != "groq"]
        assert shares(running, failed, failed + 400) == pytest.approx(share_of(left), abs=0.03)

        dead = False
        await asyncio.sleep(10)
        back = len(statuses)
        await ask(1000 - back)
        assert statuses[back:] == [200] * (1000 - back)
        assert shares(running, back, 1000) == pytest.approx(share_of(list(WEIGHTS)), abs=0.03)
    assert len(running.exchanges) == 1000


async def test_with_fallbacks_no_client_sees_it_die(gateway: GatewayFactory) -> None:
    """While it is dead its probes fail, every time later, and fall back."""

    def answer(request: RecordedRequest) -> Any:
        return error(500) if request.headers.get("authorization") == "Bearer sk-groq" else ANSWER(request)

    plugins = [*ONION, "fallbacks"]
    async with gateway(plugins, provider=ScriptedProvider(default=answer), config=FOUR) as running:
        for number in range(200):
            assert (await running.chat(model="four", stream=number % 2 == 0)).status == 200
            await asyncio.sleep(1)
    asked = Counter(attempt.target.provider for exchange in running.exchanges for attempt in exchange.attempts)
    assert 3 < asked["groq"] <= 3 + 5, "three failures, then probes after 10, 20, 40, 80 and 160 seconds"


async def test_concurrent_requests_keep_their_shares(gateway: GatewayFactory) -> None:
    async with gateway(ONION, provider=ScriptedProvider(default=ANSWER), config=FOUR) as running:
        for _ in range(20):
            replies = await asyncio.gather(*(running.chat(model="four", stream=n % 3 == 0) for n in range(20)))
            assert all(reply.status == 200 for reply in replies)
    assert shares(running, 0, 400) == pytest.approx(share_of(list(WEIGHTS)), abs=0.03)


async def test_many_that_fail_at_once_open_the_breaker_for_its_first_rest(gateway: GatewayFactory) -> None:
    dead = True

    def answer(request: RecordedRequest) -> Any:
        broken = dead and request.headers.get("authorization") == "Bearer sk-groq"
        return error(500).delayed(1) if broken else ANSWER(request)

    plugins = [*ONION, "fallbacks"]
    async with gateway(plugins, provider=ScriptedProvider(default=answer), config=FOUR) as running:
        replies = await asyncio.gather(*(running.chat(model="four") for _ in range(100)))
        assert all(reply.status == 200 for reply in replies)
        assert not running.gateway.health.available(Target("groq", "m"))
        dead = False
        await asyncio.sleep(10)
        assert running.gateway.health.available(Target("groq", "m"))
        begin = len(running.exchanges)
        for _ in range(100):
            await running.chat(model="four")
    assert shares(running, begin, begin + 100) == pytest.approx(share_of(list(WEIGHTS)), abs=0.03)

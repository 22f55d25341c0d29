"""Past its lifetime: served and asked for anew, or served because nobody else answers (RFC 5861), by configuration."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from helicone_gw import Exchange, Plugin, TooManyRequests, hookimpl
from helicone_gw.testing import GatewayFactory, ScriptedProvider
from helicone_gw.testing.dialects import openai_chat
from tests.plugins.cache.running import DEBUG, ON, calls, notes, plugin, reason, said

pytestmark = pytest.mark.virtual_time

OLD, NEW = openai_chat.reply("Old"), openai_chat.reply("New")
REVALIDATING = {"cache": {"ttl": 60, "stale_while_revalidate": 30}}
SHIELDING = {"cache": {"ttl": 60, "stale_if_error": 30}}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_stale_answer_is_served_and_asked_for_anew(gateway: GatewayFactory, stream: bool) -> None:
    answers = [openai_chat.stream(text) if stream else openai_chat.reply(text) for text in ("Old", "New")]
    async with gateway(["logging", "cost", REVALIDATING], provider=ScriptedProvider(*answers)) as running:
        first = await running.chat(stream=stream, headers=ON)
        await asyncio.sleep(70)
        stale = await running.chat(stream=stream, headers={**DEBUG, "Helicone-User-Id": "u"})
        assert (said(stale), reason(stale), stale.body) == ("HIT", "stale", first.body)
        await asyncio.sleep(1)
        refresh = next(exchange for exchange in running.exchanges if "cache.refresh" in exchange.annotations)
        served = next(exchange for exchange in running.exchanges[1:] if exchange is not refresh)
        assert served.annotations["cache.status"] == "stale"
        assert calls(running) == 2
        fresh = await running.chat(stream=stream, headers=ON)
        assert (said(fresh), fresh.body == first.body) == ("HIT", False)
        assert notes(running)["status"] == "hit"
    # The refresh is an exchange of its own: a row with a mark, paid for, and of the same user.
    assert refresh is not served
    assert refresh.outcome is not None
    assert (refresh.outcome.kind, len(refresh.attempts)) == ("ok", 1)
    assert refresh.annotations["cache.refresh"] == served.request_id
    assert refresh.cost is not None
    assert refresh.cost.nano_usd > 0
    assert refresh.request.helicone.user_id == "u"
    assert plugin(running).counters.refreshes == 1
    assert plugin(running).counters.stale == 1


async def test_it_is_asked_for_once_however_many_want_it(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(OLD, NEW.delayed(5))
    async with gateway([REVALIDATING], provider=provider) as running:
        await running.chat(headers=ON)
        await asyncio.sleep(70)
        replies = await asyncio.gather(*(running.chat(headers=ON) for _ in range(20)))
        assert {reply.body for reply in replies} == {OLD.body}
        await asyncio.sleep(10)
        assert calls(running) == 2
        assert (await running.chat(headers=ON)).body == NEW.body


async def test_a_provider_that_fails_is_not_asked_anew_by_every_stale_hit(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(OLD, default=openai_chat.error(500))
    async with gateway([REVALIDATING], provider=provider) as running:
        await running.chat(headers=ON)
        await asyncio.sleep(70)
        for _ in range(20):
            assert (await running.chat(headers=ON)).body == OLD.body
            await asyncio.sleep(0.1)
        assert plugin(running).counters.refreshes == 2, "one a second"


async def test_refreshes_are_bounded(gateway: GatewayFactory) -> None:
    plugins = [{"cache": {**REVALIDATING["cache"], "max_refreshes": 2}}]
    async with gateway(plugins, provider=ScriptedProvider(default=openai_chat.answer())) as running:
        questions = [str(number) for number in range(5)]
        for question in questions:
            await running.chat(question, headers=ON)
        await asyncio.sleep(70)
        running.provider.default = openai_chat.reply("New").delayed(5)
        await asyncio.gather(*(running.chat(question, headers=ON) for question in questions))
        await asyncio.sleep(10)
        counters = plugin(running).counters
        assert (calls(running), counters.refreshes, counters.refreshes_refused) == (7, 2, 3)


async def test_a_refresh_obeys_what_stands_outside(gateway: GatewayFactory) -> None:
    class Limit(Plugin):
        seen = 0

        @hookimpl
        async def pre_request(self, exchange: Exchange) -> None:
            type(self).seen += 1
            if self.seen > 2:
                raise TooManyRequests("Twice is enough.")

    async with gateway(["limit", REVALIDATING], classes={"limit": Limit}, provider=ScriptedProvider(OLD)) as running:
        await running.chat(headers=ON)
        await asyncio.sleep(70)
        assert said(await running.chat(headers=ON)) == "HIT"
        await asyncio.sleep(1)
        refused = running.exchanges[-1].outcome
        assert refused is not None
        assert (refused.kind, refused.status) == ("refused", 429)
        assert calls(running) == 1


async def test_a_refresh_that_fails_leaves_the_entry(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(OLD, openai_chat.error(500), NEW)
    async with gateway([REVALIDATING], provider=provider) as running:
        await running.chat(headers=ON)
        await asyncio.sleep(70)
        for expected in (OLD, OLD, NEW):
            assert (await running.chat(headers=ON)).body == expected.body
            await asyncio.sleep(1)


async def test_much_later_it_is_gone(gateway: GatewayFactory) -> None:
    async with gateway([REVALIDATING], provider=ScriptedProvider(OLD, NEW)) as running:
        await running.chat(headers=ON)
        await asyncio.sleep(91)
        late = await running.chat(headers=DEBUG)
        assert (said(late), reason(late), late.body) == ("MISS", "absent", NEW.body)


async def test_without_configuration_nothing_is_served_late(gateway: GatewayFactory) -> None:
    async with gateway([{"cache": {"ttl": 60}}], provider=ScriptedProvider(OLD, openai_chat.error(503))) as running:
        await running.chat(headers=ON)
        await asyncio.sleep(61)
        assert (await running.chat(headers=ON)).status == 503


FAILURES: dict[str, Any] = {
    "overloaded": openai_chat.error(503),
    "limited": openai_chat.error(429),
    "no connection": openai_chat.reply().cut("before_head"),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("stream", [False, True])
async def test_where_no_provider_answers_a_stale_answer_is_better_than_none(
    gateway: GatewayFactory, failure: str, stream: bool
) -> None:
    old = openai_chat.stream("Old") if stream else OLD
    provider = ScriptedProvider(old, default=FAILURES[failure])
    async with gateway(["cost", SHIELDING], provider=provider) as running:
        first = await running.chat(stream=stream, headers=ON)
        await asyncio.sleep(70)
        stale = await running.chat(stream=stream, headers=DEBUG)
        assert (stale.status, said(stale), reason(stale), stale.body) == (200, "HIT", "error", first.body)
        assert notes(running)["status"] == "error"
        assert len(running.exchanges[-1].attempts) == 1, "it was tried"
        assert calls(running) == 2
        await asyncio.sleep(25)
        assert (await running.chat(stream=stream, headers=ON)).status != 200, "nor is it kept for ever"


async def test_so_is_it_for_all_who_waited(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(OLD, default=openai_chat.error(503).delayed(1))
    async with gateway([SHIELDING], provider=provider) as running:
        await running.chat(headers=ON)
        await asyncio.sleep(70)
        replies = await asyncio.gather(*(running.chat(headers=ON) for _ in range(20)))
        assert [reply.body for reply in replies] == [OLD.body] * 20
        assert calls(running) == 2, "nobody else tried what had just failed"


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_but_not_where_the_request_is_at_fault(gateway: GatewayFactory, status: int) -> None:
    async with gateway([SHIELDING], provider=ScriptedProvider(OLD, openai_chat.error(status))) as running:
        await running.chat(headers=ON)
        await asyncio.sleep(70)
        assert (await running.chat(headers=ON)).status == status


async def test_nor_where_a_layer_inside_refuses(gateway: GatewayFactory) -> None:
    class Guard(Plugin):
        strict = False

        @hookimpl
        async def pre_request(self, exchange: Exchange) -> None:
            if self.strict:
                raise TooManyRequests("Not any more.")

    async with gateway([SHIELDING, "guard"], classes={"guard": Guard}, provider=ScriptedProvider(OLD)) as running:
        await running.chat(headers=ON)
        await asyncio.sleep(70)
        Guard.strict = True
        assert (await running.chat(headers=ON)).status == 429


async def test_retries_come_first(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(OLD, openai_chat.error(503), NEW)
    retries = {"retries": {"enabled": True, "num": 1}}
    async with gateway([SHIELDING, retries], provider=provider) as running:
        await running.chat(headers=ON)
        await asyncio.sleep(70)
        reply = await running.chat(headers=ON)
        assert (said(reply), reply.body) == ("MISS", NEW.body)


async def test_what_failed_may_have_cost_something(gateway: GatewayFactory) -> None:
    broken = openai_chat.reply().cut(bytes=300)
    async with gateway(["cost", SHIELDING], provider=ScriptedProvider(OLD, broken)) as running:
        await running.chat(headers=ON)
        await asyncio.sleep(70)
        assert (await running.chat(headers=ON)).body == OLD.body
        attempt = running.exchanges[-1].attempts[0]
        assert running.exchanges[-1].cost == attempt.cost

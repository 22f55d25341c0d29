"""What holds an answer back, and what bounds it: checks before commit, permits, the deadline, health, uploads."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest
from onion import A, B, ListSink, exchange, gateway, handle, plugin, router

from helicone_gw import Exchange, Fallback, GatewayError, Headers, PermissionDenied, Permits, Retry, Unavailable
from helicone_gw.testing import ScriptedProvider
from helicone_gw.testing.dialects import openai_chat
from helicone_gw.testing.faults import empty, malformed_json
from helicone_gw.testing.script import ScriptedResponse


def judge(verdict, *, timeout: float = 10, on_failure: str = "closed"):
    """A plugin that runs ``verdict`` beside the upstream call."""

    def register(exchange):
        exchange.before_commit(verdict(), timeout=timeout, on_failure=on_failure)

    return plugin("judge", pre_request=register)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.virtual_time
async def test_a_refusal_before_commit_cancels_the_upstream_call(stream: bool) -> None:
    async def refuse() -> None:
        await asyncio.sleep(1)
        raise PermissionDenied("Flagged.", code="flagged", status=400)

    provider = ScriptedProvider(openai_chat.answer("Hello!")(_asked(stream)).delayed(60))
    asked: list[str] = []
    layers = [
        plugin("outer", on_error=lambda exchange, error: asked.append(error.code)),
        judge(refuse),
        plugin("inner", on_error=lambda exchange, error: asked.append("inner")),
    ]
    one = exchange(stream=stream)
    loop = asyncio.get_running_loop()
    sink = await handle(gateway(layers, provider), one)
    assert sink.status == 400
    assert loop.time() < 5
    assert asked == ["flagged"]
    assert provider.requests[0].closed_by_client.is_set()
    assert one.attempts[0].ended_at is not None


@pytest.mark.virtual_time
async def test_a_stream_that_is_refused_after_its_first_events_came_is_paid_for() -> None:
    async def refuse() -> None:
        await asyncio.sleep(1)
        raise PermissionDenied("Flagged.", code="flagged", status=400)

    script = openai_chat.stream(("Hel", "lo!"))
    layers = [plugin("retries", on_error=lambda exchange, error: None), judge(refuse)]
    one = exchange(stream=True)
    whole = dataclasses.replace(script, parts=(b"".join(script.parts),))
    sink = await handle(gateway(layers, ScriptedProvider(whole)), one)
    assert sink.status == 400
    assert one.attempts[0].usage is not None
    assert one.usage is one.attempts[0].usage


def _asked(stream: bool):
    class Asked:
        @staticmethod
        def json():
            return {"stream": stream}

    return Asked


@pytest.mark.virtual_time
async def test_nothing_leaves_before_the_verdict_is_there() -> None:
    loop = asyncio.get_running_loop()
    sent: list[float] = []

    async def slow() -> None:
        await asyncio.sleep(3)

    script = openai_chat.stream("Hello", include_usage=False)
    sink = ListSink(on_send=lambda data: sent.append(loop.time()))
    await handle(gateway([judge(slow)], ScriptedProvider(script)), exchange(stream=True), sink)
    assert sent[0] >= 3
    assert sink.body == script.body


@pytest.mark.parametrize(("on_failure", "status"), [("open", 200), ("closed", 503)])
@pytest.mark.parametrize("how", ["slow", "broken"])
@pytest.mark.virtual_time
async def test_a_check_that_fails_is_open_or_closed_as_it_said(on_failure: str, status: int, how: str) -> None:
    async def check() -> None:
        if how == "slow":
            await asyncio.sleep(100)
        raise KeyError("bug")

    layers = [judge(check, timeout=2, on_failure=on_failure)]
    sink = await handle(gateway(layers, ScriptedProvider(openai_chat.reply("Hello!"))), exchange())
    assert sink.status == status
    assert asyncio.get_running_loop().time() < 5


async def test_a_check_registered_on_the_way_up_still_holds_the_answer() -> None:
    async def refuse() -> None:
        raise Unavailable("No verdict.")

    def register(exchange, response):
        exchange.before_commit(refuse(), timeout=1)

    sink = await handle(
        gateway([plugin("late", on_response=register)], ScriptedProvider(openai_chat.reply("Hello!"))), exchange()
    )
    assert sink.status == 503


async def test_no_check_can_be_registered_after_commit() -> None:
    problems: list[str] = []

    async def late(exchange):
        async def nothing() -> None:
            return None

        coroutine = nothing()
        try:
            exchange.before_commit(coroutine, timeout=1)
        except RuntimeError as problem:
            coroutine.close()
            problems.append(str(problem))

    await handle(gateway([plugin("late", on_finish=late)], ScriptedProvider(openai_chat.reply("Hello!"))), exchange())
    assert problems == ["the answer is already on its way"]


@pytest.mark.parametrize(
    ("permits", "code"),
    [
        (Permits(models=("other-*",)), b"model_not_permitted"),
        (Permits(providers=("anthropic",)), b"provider_not_permitted"),
    ],
)
async def test_permits_are_enforced_for_the_target_whatever_led_there(permits: Permits, code: bytes) -> None:
    one = exchange()
    one.permits = permits
    provider = ScriptedProvider()
    sink = await handle(gateway([router(A)], provider), one)
    assert sink.status == 403
    assert code in sink.body
    assert provider.requests == []


async def test_a_target_that_is_not_permitted_can_be_fallen_back_from_to_one_that_is() -> None:
    one = exchange()
    one.permits = Permits(models=("model-b",))
    layers = [router(A, B), plugin("fallbacks", on_error=lambda exchange, error: Fallback())]
    provider = ScriptedProvider(openai_chat.reply("Hello!"))
    sink = await handle(gateway(layers, provider), one)
    assert sink.status == 200
    assert [str(attempt.target) for attempt in one.attempts] == [str(A), str(B)]
    assert len(provider.requests) == 1


async def test_no_fallback_gets_round_the_permits() -> None:
    one = exchange()
    one.permits = Permits(models=("model-a",))
    layers = [router(A, B), plugin("fallbacks", on_error=lambda exchange, error: Fallback())]
    provider = ScriptedProvider(openai_chat.error(500, "oops"))
    await handle(gateway(layers, provider), one)
    assert len(provider.requests) == 1


@pytest.mark.virtual_time
async def test_the_deadline_bounds_the_time_to_commit() -> None:
    one = exchange()
    provider = ScriptedProvider(openai_chat.reply("Hello!").delayed(1000))
    sink = await handle(gateway([], provider, deadline=30), one)
    assert sink.status == 504
    assert asyncio.get_running_loop().time() == pytest.approx(30, abs=1)
    assert one.outcome is not None
    assert one.outcome.kind == "timeout"
    assert provider.requests[0].closed_by_client.is_set()


@pytest.mark.virtual_time
@pytest.mark.parametrize("plain", [False, True])
async def test_the_deadline_bounds_what_a_layer_makes_of_an_early_refusal(plain: bool) -> None:
    def refuse(exchange):
        raise PermissionDenied("No.")

    heard: list[str] = []

    async def think(exchange, error):
        heard.append(error.code)
        if len(heard) == 1:
            await asyncio.sleep(1000)

    layers = [plugin("outer", on_error=think), plugin("inner", pre_request=refuse, plain=plain)]
    sink = await handle(gateway(layers, ScriptedProvider(), deadline=30), exchange())
    assert sink.status == 504
    assert heard == ["permission_denied", "deadline_exceeded"]
    assert asyncio.get_running_loop().time() == pytest.approx(30, abs=1)


@pytest.mark.virtual_time
async def test_the_deadline_bounds_what_layers_make_of_the_answer() -> None:
    heard: list[str] = []

    async def think(exchange, response):
        heard.append("inner")
        await asyncio.sleep(1000)

    layers = [
        plugin("outer", on_error=lambda exchange, error: heard.append(error.code)),
        plugin("inner", on_response=think),
    ]
    one = exchange()
    sink = await handle(gateway(layers, ScriptedProvider(openai_chat.reply("Hello!")), deadline=30), one)
    assert sink.status == 504
    assert heard == ["inner", "deadline_exceeded"]
    assert one.outcome is not None
    assert one.outcome.kind == "timeout"
    assert asyncio.get_running_loop().time() == pytest.approx(30, abs=1)


@pytest.mark.virtual_time
@pytest.mark.parametrize("early", [False, True])
async def test_nobody_waits_for_what_layers_say_of_an_answer_that_is_late(early: bool) -> None:
    async def think(exchange, error):
        await asyncio.sleep(1000)

    async def never(exchange):
        await asyncio.sleep(1000)

    layers = [plugin("outer", on_error=think), plugin("inner", pre_request=never) if early else plugin("inner")]
    provider = ScriptedProvider(openai_chat.reply("Hello!").delayed(1000))
    sink = await handle(gateway(layers, provider, deadline=30), exchange())
    assert sink.status == 504
    assert asyncio.get_running_loop().time() == pytest.approx(31, abs=1)


@pytest.mark.virtual_time
async def test_the_deadline_never_cuts_a_running_stream() -> None:
    script = openai_chat.stream("Hello", include_usage=False).paced(20)
    sink = await handle(gateway([], ScriptedProvider(script), deadline=30), exchange(stream=True))
    assert sink.body == script.body
    assert asyncio.get_running_loop().time() >= 60


@pytest.mark.virtual_time
async def test_increase_timeout_gives_half_an_hour() -> None:
    provider = ScriptedProvider(openai_chat.reply("Hello!").delayed(1700))
    headers = {"helicone-increase-timeout": "true"}
    sink = await handle(gateway([], provider, deadline=30), exchange(headers=headers))
    assert sink.status == 200


@pytest.mark.virtual_time
async def test_a_retry_that_would_pass_the_deadline_is_no_opinion() -> None:
    layers = [plugin("retries", on_error=lambda exchange, error: Retry(after=100))]
    one = exchange()
    sink = await handle(gateway(layers, ScriptedProvider(openai_chat.error(500, "oops")), deadline=30), one)
    assert sink.status == 500
    assert len(one.attempts) == 1
    assert asyncio.get_running_loop().time() < 1


async def test_a_retry_on_a_cooling_target_becomes_a_fallback_while_another_remains() -> None:
    layers = [router(A, B), plugin("retries", on_error=lambda exchange, error: Retry())]
    provider = ScriptedProvider(openai_chat.error(500, "oops"), openai_chat.reply("Hello!"))
    running = gateway(layers, provider)
    one = exchange()
    running.health.cool_down(A, 60, "500s")
    await handle(running, one)
    assert [str(attempt.target) for attempt in one.attempts] == [str(A), str(B)]


async def test_the_providers_own_error_passes_when_there_was_one_target() -> None:
    script = openai_chat.error(429, "slow down", headers={"retry-after": "7"})
    sink = await handle(gateway([], ScriptedProvider(script)), exchange())
    assert (sink.status, sink.body) == (429, script.body)
    assert sink.headers.get("retry-after") == "7"
    assert sink.headers.get("x-request-id")


async def test_after_several_targets_the_error_lists_every_attempt() -> None:
    layers = [router(A, B), plugin("fallbacks", on_error=lambda exchange, error: Fallback())]
    provider = ScriptedProvider(openai_chat.error(429, "slow"), openai_chat.error(503, "away"))
    sink = await handle(gateway(layers, provider), exchange())
    assert sink.status == 503
    assert sink.body.count(b'"source"') == 2


async def test_a_fallbacks_own_401_does_not_hide_the_primarys_status() -> None:
    layers = [router(A, B), plugin("fallbacks", on_error=lambda exchange, error: Fallback())]
    provider = ScriptedProvider(openai_chat.error(429, "slow"), openai_chat.error(401, "bad key"))
    sink = await handle(gateway(layers, provider), exchange())
    assert sink.status == 429


async def test_an_upload_is_never_sent_twice() -> None:
    async def upload():
        one._uploaded += 5
        yield b"bytes"

    one = exchange(body=None, operation="files", path="/v1/files")
    one._upload = upload()
    layers = [plugin("retries", on_error=lambda exchange, error: Retry())]
    provider = ScriptedProvider(openai_chat.error(500, "oops"))
    sink = await handle(gateway(layers, provider), one)
    assert sink.status == 500
    assert len(one.attempts) == 1
    assert provider.requests[0].body == b"bytes"


async def test_usage_is_not_asked_for_again_from_a_provider_that_refused_it() -> None:
    refusal = openai_chat.error(400, "Unknown parameter: 'stream_options'.")
    plain = openai_chat.stream("Hello", include_usage=False)
    provider = ScriptedProvider(refusal, plain, plain)
    running = gateway([], provider)
    for _ in range(2):
        sink = await handle(running, exchange(stream=True))
        assert sink.body == plain.body
    assert ["stream_options" in request.json() for request in provider.requests] == [True, False, False]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [({"retry-after-ms": "1500"}, 1.5), ({"retry-after": "3"}, 3.0), ({"retry-after": "soon"}, None), ({}, None)],
)
async def test_the_providers_wish_to_be_left_alone_is_on_the_error(headers, expected) -> None:
    wishes: list[float | None] = []
    layers = [plugin("retries", on_error=lambda exchange, error: wishes.append(error.retry_after))]
    await handle(gateway(layers, ScriptedProvider(openai_chat.error(429, "slow", headers=headers))), exchange())
    assert wishes == [expected]


async def test_a_fallback_may_ask_something_else() -> None:
    def other(exchange: Exchange, error: GatewayError) -> Fallback:
        body = b'{"model": "model-b", "messages": []}'
        return Fallback(B, exchange.request.replace(body=body, headers=Headers({"x-mine": "1"})))

    provider = ScriptedProvider(openai_chat.error(500), openai_chat.reply())
    running = gateway([router(A), plugin("fallbacks", on_error=other)], provider)
    one = exchange()
    assert (await handle(running, one)).status == 200
    first, second = provider.requests
    assert (first.json()["model"], second.json()["model"]) == ("model-a", "model-b")
    assert (first.headers.get("x-mine"), second.headers.get("x-mine")) == (None, "1")
    assert one.original.body != one.request.body
    await running.stop()


async def test_what_a_fallback_would_ask_is_forgotten_where_there_is_none() -> None:
    decision = Fallback(B, exchange().request.replace(body=b"{}"))
    running = gateway(
        [router(A), plugin("fallbacks", on_error=lambda exchange, error: decision)],
        ScriptedProvider(openai_chat.error(500)),
        max_attempts=1,
    )
    one = exchange()
    assert (await handle(running, one)).status == 500
    assert one.request is one.original
    await running.stop()


@pytest.mark.parametrize("broken", [malformed_json(), empty().with_headers({"content-type": "application/json"})])
async def test_a_reply_that_is_not_json_is_a_failure_where_somebody_could_fall_back(broken: ScriptedResponse) -> None:
    layers = [router(A, B), plugin("fallbacks", on_error=lambda exchange, error: Fallback())]
    running = gateway(layers, ScriptedProvider(broken, openai_chat.reply(), broken, broken))
    assert (await handle(running, exchange())).status == 200
    assert (await handle(running, exchange())).status == 502, "the last one's failure is no better"
    await running.stop()


async def test_a_reply_that_is_not_json_passes_where_nobody_could() -> None:
    running = gateway([router(A, B)], ScriptedProvider(malformed_json()))
    sink = await handle(running, exchange())
    assert (sink.status, sink.body) == (200, malformed_json().body)
    await running.stop()

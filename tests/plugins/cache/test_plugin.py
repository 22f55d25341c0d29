"""The cache from question to answer: hits and misses, what is stored and what never is."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from helicone_gw import BadRequest, Cost, Exchange, GatewayError, Plugin, Request, Response, Route, Target, hookimpl
from helicone_gw.config import load_config
from helicone_gw.registry import load
from helicone_gw.testing import GatewayFactory, RunningGateway, ScriptedProvider, of_bytes, of_events, of_json
from helicone_gw.testing.dialects import anthropic, openai_chat
from helicone_gw_cache.plugin import CachePlugin
from tests.plugins.cache.running import DEBUG, ON, calls, notes, plugin, reason, said

pytestmark = pytest.mark.virtual_time

NO_CHARGE = Cost(0, source="cache")


async def twice(running: RunningGateway, **asked: Any) -> tuple[Any, Any]:
    return await running.chat(**asked), await running.chat(**asked)


def test_it_is_offered_as_a_plugin() -> None:
    assert load("cache") is CachePlugin
    assert CachePlugin.on_failure == "open"


def test_the_readmes_example_is_a_configuration(tmp_path: Path) -> None:
    readme = Path(__file__).parents[3] / "plugins" / "cache" / "README.md"
    (example,) = re.findall(r"^```yaml\n(.*?)^```", readme.read_text(), re.MULTILINE | re.DOTALL)
    file = tmp_path / "gateway.yaml"
    file.write_text(example)
    config = load_config(file, environ={}, plugin_class=load, known_providers=())
    assert [plugin.name for plugin in config.plugins] == ["security", "cache", "router"]


async def test_nothing_is_cached_that_does_not_ask(gateway: GatewayFactory) -> None:
    async with gateway(["cache"]) as running:
        first, second = await twice(running)
        assert (said(first), said(second), calls(running)) == (None, None, 2)
        assert notes(running) == {}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_miss_and_a_hit(gateway: GatewayFactory, stream: bool) -> None:
    async with gateway(["cost", "cache"]) as running:
        first, second = await twice(running, stream=stream, headers=ON)
        assert (said(first), said(second), calls(running)) == ("MISS", "HIT", 1)
        assert (second.status, second.body, second.aborted) == (200, first.body, False)
        assert second.headers.get("content-type") == first.headers.get("content-type")
        assert second.headers.get("helicone-cache-bucket-idx") == "0"
        assert second.headers.get("helicone-cache-latency") is not None
        assert first.headers.get("helicone-cache-latency") is None
        assert second.headers.get("helicone-id") != first.headers.get("helicone-id")
        assert second.headers.get("helicone-attempts") == "0"
        asked, hit = running.exchanges
    assert hit.outcome is not None
    assert (hit.outcome.kind, hit.outcome.status, hit.outcome.bytes_sent) == ("ok", 200, len(first.body))
    assert (hit.cost, hit.attempts) == (NO_CHARGE, [])
    assert hit.usage is not None
    assert (hit.usage.input_tokens, hit.usage.output_tokens) == (0, 0)
    assert (hit.provider, hit.model, hit.stop_reason) == ("openai", asked.model, "stop")
    assert asked.usage is not None
    assert asked.cost is not None
    kept = notes(running)
    assert (kept["status"], kept["reference_id"]) == ("hit", asked.request_id)
    assert (kept["saved_nano_usd"], kept["saved_prompt_tokens"]) == (asked.cost.nano_usd, asked.usage.input_tokens)
    assert notes(running, 0) == {"status": "miss", "miss_reason": "absent"}
    assert (plugin(running).savings.total.hits, plugin(running).savings.total.misses) == (1, 1)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_hit_is_captured_for_the_log_like_any_answer(gateway: GatewayFactory, stream: bool) -> None:
    async with gateway(["logging", "cache"]) as running:
        await twice(running, stream=stream, headers=ON)
        first, second = (exchange.response_capture for exchange in running.exchanges)
    assert first is not None
    assert second is not None
    assert (second.data, second.cut) == (first.data, False)
    assert running.exchanges[1].first_chunk_at is not None or not stream


async def test_the_way_up_is_the_usual_one_for_the_layers_outside(gateway: GatewayFactory) -> None:
    class Outside(Plugin):
        @hookimpl
        def on_stream_chunk(self, exchange: Exchange, chunk: Any) -> Any:
            return None

        @hookimpl
        async def on_response(self, exchange: Exchange, response: Response) -> Response | None:
            return (
                None if response.streamed else response.replace(headers=response.headers.set("x-outside", "was here"))
            )

    async with gateway(["outside", "cache"], classes={"outside": Outside}) as running:
        _, hit = await twice(running, headers=ON)
        assert (said(hit), hit.headers.get_all("x-outside")) == ("HIT", ["was here"])
        first, second = await twice(running, headers=ON, stream=True)
        assert (said(second), second.body) == ("HIT", first.body)


async def test_buckets_are_filled_before_any_is_served(gateway: GatewayFactory) -> None:
    answers = [openai_chat.reply(f"Answer {number}") for number in range(3)]
    async with gateway(["cache"], provider=ScriptedProvider(*answers)) as running:
        headers = {**DEBUG, "Helicone-Cache-Bucket-Max-Size": "3"}
        replies = [await running.chat(headers=headers) for _ in range(3)]
        assert [said(reply) for reply in replies] == ["MISS"] * 3
        assert [reason(reply) for reply in replies] == [f"{filled} of 3 buckets are filled" for filled in range(3)]
        plugin(running)._lookup.random = _choices(2, 0, 1)
        hits = [await running.chat(headers=headers) for _ in range(3)]
        assert [said(hit) for hit in hits] == ["HIT"] * 3
        assert [hit.headers.get("helicone-cache-bucket-idx") for hit in hits] == ["2", "0", "1"]
        assert [hit.body for hit in hits] == [replies[index].body for index in (2, 0, 1)]


def _choices(*given: int) -> Any:
    left = iter(given)
    return lambda below: next(left)


async def test_buckets_beyond_twenty_are_refused(gateway: GatewayFactory) -> None:
    async with gateway(["cache"]) as running:
        reply = await running.chat(headers={**ON, "Helicone-Cache-Bucket-Max-Size": "21"})
        assert reply.status == 400
        assert "at most 20" in reply.json()["error"]["message"]
        assert calls(running) == 0


async def test_an_answer_lives_as_long_as_the_request_said(gateway: GatewayFactory) -> None:
    async with gateway(["cache"]) as running:
        headers = {**DEBUG, "Cache-Control": "max-age=60, s-maxage=120"}
        assert said(await running.chat(headers=headers)) == "MISS"
        await asyncio.sleep(119)
        assert said(await running.chat(headers=DEBUG)) == "HIT"
        await asyncio.sleep(2)
        late = await running.chat(headers=headers)
        assert said(late) == "MISS"
        assert calls(running) == 2


@pytest.mark.parametrize(("after", "expected"), [(604_799, "HIT"), (604_801, "MISS")])
async def test_or_seven_days(gateway: GatewayFactory, after: float, expected: str) -> None:
    async with gateway(["cache"]) as running:
        await running.chat(headers=ON)
        await asyncio.sleep(after)
        assert said(await running.chat(headers=ON)) == expected


async def test_no_cache_asks_anew_and_stores_the_answer(gateway: GatewayFactory) -> None:
    answers = openai_chat.reply("Old"), openai_chat.reply("New")
    async with gateway(["cache"], provider=ScriptedProvider(*answers)) as running:
        await running.chat(headers=ON)
        fresh = await running.chat(headers={**DEBUG, "Cache-Control": "no-cache"})
        assert (said(fresh), reason(fresh), fresh.body) == ("MISS", "no-cache", answers[1].body)
        hit = await running.chat(headers=ON)
        assert (said(hit), hit.body) == ("HIT", answers[1].body)


async def test_no_store_leaves_the_cache_alone(gateway: GatewayFactory) -> None:
    async with gateway(["cache"]) as running:
        silent = {**DEBUG, "Cache-Control": "no-store"}
        assert said(await running.chat(headers=silent)) == "MISS"
        assert said(await running.chat(headers=ON)) == "MISS", "it was not stored"
        late = await running.chat(headers=silent)
        assert (said(late), reason(late), calls(running)) == ("MISS", "no-store", 3)


async def test_saving_and_reading_may_be_asked_for_apart(gateway: GatewayFactory) -> None:
    async with gateway(["cache"]) as running:
        reads, saves = {"Helicone-Cache-Read": "true"}, {"Helicone-Cache-Save": "true"}
        assert said(await running.chat(headers=reads)) == "MISS"
        assert said(await running.chat(headers=saves)) is None
        assert said(await running.chat(headers=reads)) == "HIT"
        assert said(await running.chat(headers=saves)) is None
        assert calls(running) == 3


async def test_every_cacheable_operation_of_every_dialect(gateway: GatewayFactory) -> None:
    async with gateway(["cache"]) as running:
        asked: list[tuple[str, Any]] = [
            ("/v1/responses", {"model": "gpt-4o-mini", "input": "Hi"}),
            ("/v1/messages", {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": []}),
            ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "Hi"}),
            ("/v1beta/models/gemini-2.5-flash:generateContent", {"contents": []}),
            ("/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", {"contents": []}),
        ]
        for path, body in asked:
            for value in (body, {**body, "stream": True}) if path in ("/v1/responses", "/v1/messages") else (body,):
                first = await running.request("POST", path, json=value, headers=ON)
                second = await running.request("POST", path, json=value, headers=ON)
                assert (first.status, said(first), said(second)) == (200, "MISS", "HIT"), (path, value)
                assert second.body == first.body
        assert calls(running) == 7


async def test_files_are_never_cached(gateway: GatewayFactory) -> None:
    async with gateway(["cache"]) as running:
        for _ in range(2):
            reply = await running.request(
                "POST", "/v1/files", content=b"x", headers={**DEBUG, "content-type": "text/csv"}
            )
            assert said(reply) is None
            assert reason(reply) == "operation files"
        assert calls(running) == 2


async def test_one_who_wants_to_know_is_told(gateway: GatewayFactory) -> None:
    async with gateway(["cache"]) as running:
        first, second = await twice(running, headers=DEBUG)
        assert (reason(first), reason(second)) == ("absent", "hit")
        key = first.headers.get("helicone-cache-key")
        assert key is not None
        assert len(key) == 64
        assert second.headers.get("helicone-cache-key") == key
        assert (first.headers.get("helicone-cache-parts") or "").startswith("scope=")
        assert notes(running)["key"] == key
        plain = await running.chat(headers=ON)
        assert (said(plain), reason(plain), plain.headers.get("helicone-cache-key")) == ("HIT", None, None)


# What is never stored

CUT = openai_chat.stream("One two three four five").cut(events=4)
ONE_FILTERED = of_events(
    *(
        f'data: {{"choices":[{{"index":{index},"delta":{{"content":"No"}},"finish_reason":"{reason}"}}]}}\n\n'.encode()
        for index, reason in enumerate(("stop", "content_filter"))
    ),
    b"data: [DONE]\n\n",
)
NEVER: dict[str, tuple[Any, bool, str | None]] = {
    "a failure": (openai_chat.error(500), False, None),
    "a refusal": (openai_chat.error(400), False, None),
    "another success": (of_json({"id": "x"}, 201), False, "status 201"),
    "a filtered answer": (openai_chat.reply("No", stop_reason="content_filter"), False, "stopped by content_filter"),
    "a stream of which one choice was filtered": (ONE_FILTERED, True, "stopped by content_filter"),
    "a filtered stream": (openai_chat.stream("No", stop_reason="content_filter"), True, "stopped by content_filter"),
    "a cut stream": (CUT, True, None),
    "a broken connection": (openai_chat.reply().cut(bytes=40), False, None),
    "an error event": (
        openai_chat.stream("One two three").interrupted(openai_chat.error_event(), events=3),
        True,
        None,
    ),
    "an unknown coding": (
        openai_chat.reply().with_headers({"Content-Encoding": "x-unheard-of"}),
        False,
        "coded",
    ),
    "no JSON": (of_bytes(b"Hello", "text/plain"), False, "not events"),
    "nothing": (of_bytes(b"", "application/json"), False, None),
}


async def test_what_a_plugin_says_after_an_answer_was_refused_is_not_stored(gateway: GatewayFactory) -> None:
    class Judge(Plugin):
        @hookimpl
        async def on_response(self, exchange: Exchange, response: Response) -> None:
            raise BadRequest("Not this.")

    class Excuse(Plugin):
        @hookimpl
        async def on_error(self, exchange: Exchange, error: GatewayError) -> Response:
            return Response.of_json({"choices": []})

    plugins = ["cache", "excuse", "judge"]
    async with gateway(plugins, classes={"excuse": Excuse, "judge": Judge}) as running:
        first, second = await twice(running, headers=DEBUG)
        assert (first.status, first.json()) == (200, {"choices": []})
        assert (said(first), said(second)) == ("MISS", "MISS")
        assert notes(running)["not_stored"] == "no provider's"
        assert running.exchanges[-1].substituted


@pytest.mark.parametrize("what", NEVER)
async def test_what_is_never_stored(gateway: GatewayFactory, what: str) -> None:
    answer, stream, why = NEVER[what]
    async with gateway(["cache"], provider=ScriptedProvider(default=answer)) as running:
        first, second = await twice(running, stream=stream, headers=ON)
        assert (said(first), said(second), calls(running)) == ("MISS", "MISS", 2)
        if why is not None:
            assert notes(running)["not_stored"] == why
        assert len(plugin(running).flights) == 0
        assert plugin(running).flights.held == 0


@pytest.mark.parametrize("status", ["queued", "in_progress", "failed", "cancelled"])
async def test_nor_is_the_promise_of_an_answer(gateway: GatewayFactory, status: str) -> None:
    answer = of_json({"id": "resp_1", "object": "response", "status": status, "output": []})
    async with gateway(["cache"], provider=ScriptedProvider(default=answer)) as running:
        for _ in range(2):
            body = {"model": "gpt-4o-mini", "input": "Hi", "background": True}
            assert said(await running.request("POST", "/v1/responses", json=body, headers=ON)) == "MISS"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [({}, "absent; not stored: status 201"), ({"Cache-Enabled": "false"}, "not stored: status 201")],
)
async def test_one_who_wants_to_know_is_told_of_that_too(
    gateway: GatewayFactory, headers: dict[str, str], expected: str
) -> None:
    async with gateway(["cache"], provider=ScriptedProvider(of_json({}, 201))) as running:
        switched = {f"Helicone-{name}": value for name, value in headers.items()}
        assert reason(await running.chat(headers={**DEBUG, "Helicone-Cache-Save": "true", **switched})) == expected


async def test_nor_what_depends_on_a_conversation_that_goes_on(gateway: GatewayFactory) -> None:
    async with gateway(["cache"]) as running:
        body = {"model": "gpt-4o-mini", "input": "Hi", "conversation": "conv_1"}
        for _ in range(2):
            reply = await running.request("POST", "/v1/responses", json=body, headers=DEBUG)
            assert (said(reply), reason(reply)) == ("MISS", "conversation")
        assert calls(running) == 2


async def test_nor_a_blocked_prompt(gateway: GatewayFactory) -> None:
    answer = of_json({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}})
    async with gateway(["cache"], provider=ScriptedProvider(default=answer)) as running:
        for _ in range(2):
            path = "/v1beta/models/gemini-2.5-flash:generateContent"
            assert said(await running.request("POST", path, json={"contents": []}, headers=ON)) == "MISS"


@pytest.mark.parametrize("how", ["refuses", "answers itself", "says so", "ends the stream"])
async def test_nor_what_a_layer_inside_said(gateway: GatewayFactory, how: str) -> None:
    class Guard(Plugin):
        @hookimpl
        async def pre_request(self, exchange: Exchange) -> Request | Response | None:
            if how == "says so":
                exchange.annotate("cache.store", False)
            return Response.of_json({"choices": []}) if how == "answers itself" else None

        @hookimpl
        def on_stream_chunk(self, exchange: Exchange, chunk: Any) -> None:
            if how == "ends the stream" and chunk.kind == "event":
                exchange.end_stream("content_filter")

        @hookimpl
        async def on_response(self, exchange: Exchange, response: Response) -> Response | None:
            return Response.of_json({"error": {"message": "No."}}) if how == "refuses" else None

    async with gateway(["cache", "guard"], classes={"guard": Guard}) as running:
        first, second = await twice(running, stream=how == "ends the stream", headers=ON)
        assert (first.status, said(first), said(second)) == (200, "MISS", "MISS")


async def test_what_a_layer_inside_made_of_an_answer_is_what_is_stored(gateway: GatewayFactory) -> None:
    class Louder(Plugin):
        @hookimpl
        def on_stream_chunk(self, exchange: Exchange, chunk: Any) -> Any:
            return type(chunk)(chunk.data.replace(b"Hello", b"HELLO")) if chunk.kind == "event" else None

        @hookimpl
        async def on_response(self, exchange: Exchange, response: Response) -> Response | None:
            louder = (response.body or b"").replace(b"Hello", b"HELLO")
            return None if response.streamed else response.replace(body=louder)

    async with gateway(["cache", "louder"], classes={"louder": Louder}) as running:
        for stream in (False, True):
            first, second = await twice(running, stream=stream, headers=ON)
            assert b"HELLO" in first.body
            assert (said(second), second.body) == ("HIT", first.body)


@pytest.mark.parametrize("stored", [False, True])
async def test_a_fallbacks_answer_is_not_what_was_asked_for(gateway: GatewayFactory, stored: bool) -> None:
    class Two(Plugin):
        @hookimpl
        async def route_model(self, exchange: Exchange) -> Route:
            return Route((Target("openai", "gpt-4o-mini"), Target("openai", "gpt-4o")))

    answers = openai_chat.error(503), openai_chat.reply(), openai_chat.error(503), openai_chat.reply()
    provider = ScriptedProvider(*answers)
    plugins = [{"cache": {"store_fallbacks": stored}}, "two", "fallbacks"]
    async with gateway(plugins, classes={"two": Two}, provider=provider) as running:
        first, second = await twice(running, headers=ON)
        assert (first.status, said(first), said(second)) == (200, "MISS", "HIT" if stored else "MISS")
        assert notes(running, 0).get("not_stored") == (None if stored else "fallback")


async def test_an_answer_of_another_dialect_is_stored_as_the_client_got_it(gateway: GatewayFactory) -> None:
    async with gateway(["cache", "router"], provider=ScriptedProvider(default=anthropic.reply("Hi"))) as running:
        first, second = await twice(running, model="claude-sonnet-4-5", headers=ON)
        assert first.json()["choices"][0]["message"]["content"] == "Hi"
        assert (said(second), second.body) == ("HIT", first.body)
    provider = ScriptedProvider(default=anthropic.stream("Hi there"))
    async with gateway(["cache", "router"], provider=provider) as running:
        first, second = await twice(running, model="claude-sonnet-4-5", stream=True, headers=ON)
        assert b"chat.completion.chunk" in first.body
        assert (said(second), second.body) == ("HIT", first.body)


async def test_usage_that_the_client_did_not_ask_for_is_in_neither(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(default=openai_chat.stream("Hi", include_usage=True))
    async with gateway(["cache"], provider=provider) as running:
        first, second = await twice(running, stream=True, headers=ON)
        assert b'"usage":{' not in first.body.replace(b" ", b"")
        assert (said(second), second.body) == ("HIT", first.body)
        assert notes(running)["saved_prompt_tokens"] > 0


async def test_cookies_and_limits_of_the_first_client_are_not_the_seconds(gateway: GatewayFactory) -> None:
    fields = {"Set-Cookie": "session=1", "x-ratelimit-remaining-requests": "0", "x-kept": "yes"}
    provider = ScriptedProvider(default=openai_chat.reply().with_headers(fields))
    async with gateway(["cache"], provider=provider) as running:
        first, second = await twice(running, headers=ON)
    assert {name.lower() for name in fields} <= set(dict(first.headers))
    assert set(dict(second.headers)) & {name.lower() for name in fields} == {"x-kept"}


async def test_a_stream_that_is_not_saved_is_not_looked_at(gateway: GatewayFactory) -> None:
    async with gateway(["cache"]) as running:
        await running.chat(stream=True)
        await running.chat(stream=True, headers={"Helicone-Cache-Read": "true"})
        assert [exchange._watchers for exchange in running.exchanges] == [0, 0]
        await running.chat(stream=True, headers=ON)
        assert running.exchanges[-1]._watchers == 1


async def test_a_long_stream_passes_and_is_not_stored(gateway: GatewayFactory) -> None:
    plugins = [{"cache": {"single_flight": {"max_bytes": 2000}}}]
    provider = ScriptedProvider(default=openai_chat.stream([f"{number} " for number in range(50)]))
    async with gateway(plugins, provider=provider) as running:
        first, second = await twice(running, stream=True, headers=ON)
        assert (first.aborted, said(first), said(second)) == (False, "MISS", "MISS")
        assert notes(running)["not_stored"] == "too long"
        assert plugin(running).flights.counters.too_long == 2
        assert plugin(running).flights.held == 0


async def test_a_backend_that_fails_is_a_miss(gateway: GatewayFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    async with gateway(["cache"]) as running:

        async def broken(keys: Any) -> Any:
            raise OSError("the disk is gone")

        monkeypatch.setattr(plugin(running).backend, "get_many", broken)
        first, second = await twice(running, headers=ON)
        assert (first.status, second.status, calls(running)) == (200, 200, 2)
        assert running.faults == {("cache", "pre_request"): 2}


async def test_what_the_plugins_inside_look_at_is_told_apart(gateway: GatewayFactory) -> None:
    class Tiered(Plugin):
        vary = ("property:tier",)

    async with gateway(["cache", "tiered"], classes={"tiered": Tiered}) as running:
        for tier in ("gold", "tin", "gold"):
            last = await running.chat(headers={**ON, "Helicone-Property-Tier": tier})
        assert (said(last), calls(running)) == ("HIT", 2)


async def test_two_caches_do_not_disturb_each_other(gateway: GatewayFactory) -> None:
    plugins = ["cache", {"cache": {"name": "second", "enabled": True}}]
    async with gateway(plugins) as running:
        await running.chat()
        assert said(await running.chat(headers=ON)) == "HIT", "the inner one had it"
        assert calls(running) == 1
        outer, inner = running.gateway.plugins
        assert isinstance(outer, CachePlugin)
        assert isinstance(inner, CachePlugin)
        assert (outer.savings.total.hits, inner.savings.total.hits) == (0, 1)


async def test_pacing(gateway: GatewayFactory) -> None:
    loop = asyncio.get_running_loop()
    provider = ScriptedProvider(default=openai_chat.stream(["a", "b", "c"], include_usage=False).paced(2))
    async with gateway([{"cache": {"replay": "paced", "longest_gap": 1.5}}], provider=provider) as running:
        first = await running.chat(stream=True, headers=ON)
        begun = loop.time()
        second = await running.chat(stream=True, headers=ON)
        assert (said(second), second.body) == ("HIT", first.body)
        pauses = len(openai_chat.stream(["a", "b", "c"], include_usage=False).parts) - 1
        assert loop.time() - begun == pytest.approx(1.5 * pauses)

"""The hooks of ``semantic-cache``: what is answered from it, what is kept, and what it does when something fails."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helicone_gw import ConfigError, Exchange, Fallback, PermissionDenied, Plugin, Request, Response, hookimpl
from helicone_gw.registry import load
from helicone_gw.testing import (
    GatewayFactory,
    PluginConformance,
    RecordedRequest,
    Reply,
    RunningGateway,
    ScriptedProvider,
    ScriptedResponse,
    VirtualClock,
    run_virtual,
)
from helicone_gw.testing.dialects import embeddings, openai_chat
from helicone_gw.testing.dialects.content import ToolCall
from helicone_gw_semantic_cache.plugin import SemanticCachePlugin
from tests.plugins.semantic_cache.ngrams import USAGE, answering, cosine, vectors

pytestmark = pytest.mark.virtual_time

ASKED, LIKE, UNLIKE = (
    "How do I reset my password?",
    "how can I reset my password, please",
    "How do I reset my router?",
)
"""A question, one that means the same, and one that does not; by their letters they are equally alike."""

ON: dict[str, Any] = {"enabled": True, "threshold": 0.5, "meter": {"share": 0}}
KEYS: dict[str, Any] = {"security": {"keys": {name: f"sk-helicone-of-{name}-0123456789" for name in ("ann", "bob")}}}
HEADER = "helicone-cache-semantic"


def caching(**config: Any) -> dict[str, Any]:
    return {"semantic-cache": {**ON, **config}}


def plugin(running: RunningGateway) -> SemanticCachePlugin:
    [found] = [each for each in running.gateway.plugins if isinstance(each, SemanticCachePlugin)]
    return found


def hit(reply: Reply) -> bool:
    assert reply.status == 200
    assert (reply.headers.get("helicone-cache") == "HIT") is (HEADER in reply.headers)
    return HEADER in reply.headers


def calls(running: RunningGateway) -> list[str]:
    """What the provider was asked for, in order: "embeddings", or anything else."""
    return ["embeddings" if each.path.endswith("embeddings") else "answer" for each in running.provider.requests]


def first_then(*first: ScriptedResponse) -> ScriptedProvider:
    """A provider whose first answers, vectors apart, are these."""
    left, usual = list(first), answering()

    def answer(request: RecordedRequest) -> ScriptedResponse:
        return left.pop(0) if left and not request.path.endswith("embeddings") else usual(request)

    return ScriptedProvider(default=answer)


ASK = {
    "chat": ("/v1/chat/completions", lambda text: {"model": "gpt-4o-mini", "messages": [_user(text)]}),
    "responses": ("/v1/responses", lambda text: {"model": "gpt-4o-mini", "input": [_user(text)]}),
    "messages": (
        "/v1/messages",
        lambda text: {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [_user(text)]},
    ),
    "gemini": (
        "/v1beta/models/gemini-2.5-flash:generateContent",
        lambda text: {"contents": [{"parts": [{"text": text}]}]},
    ),
}


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


async def ask(running: RunningGateway, dialect: str, text: str, *, stream: bool, **options: Any) -> Reply:
    path, body = ASK[dialect][0], ASK[dialect][1](text)
    if stream and dialect == "gemini":
        path = path.replace("generateContent", "streamGenerateContent?alt=sse")
    elif stream:
        body["stream"] = True
    return await settled(running, running.request("POST", path, json=body, **options))


async def chat(running: RunningGateway, text: str, **options: Any) -> Reply:
    return await settled(running, running.chat(text, **options))


async def settled(running: RunningGateway, asking: Coroutine[Any, Any, Reply]) -> Reply:
    """The reply, when its answer is kept as well."""
    reply = await asking
    await running.gateway.background.drain(100)
    return reply


def test_it_is_offered_as_a_plugin() -> None:
    assert load("semantic-cache") is SemanticCachePlugin
    assert SemanticCachePlugin.on_failure == "open"


class TestConformance(PluginConformance):
    """What every plugin must hold, with the cache on."""

    plugin = SemanticCachePlugin
    name = "semantic-cache"
    config: ClassVar[dict[str, Any]] = {"enabled": True}
    changes_answers = True


@pytest.mark.parametrize("dialect", ASK)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_question_that_means_the_same_gets_the_same_bytes(
    gateway: GatewayFactory, dialect: str, stream: bool
) -> None:
    async with gateway(["cost", caching()], provider=ScriptedProvider(default=answering())) as running:
        first = await ask(running, dialect, ASKED, stream=stream)
        second = await ask(running, dialect, LIKE, stream=stream)
        third = await ask(running, dialect, UNLIKE, stream=stream)
    assert [hit(first), hit(second), hit(third)] == [False, True, False]
    assert (second.body, second.headers.get("content-type")) == (first.body, first.headers.get("content-type"))
    assert third.body != first.body
    assert sorted(calls(running)[:2]) == ["answer", "embeddings"]  # nothing to compare with: side by side
    assert calls(running)[2:] == ["embeddings", "embeddings", "answer"]
    assert first.headers.get("helicone-cache") == "MISS"


async def test_a_hit_says_what_it_is(gateway: GatewayFactory, virtual_time: VirtualClock) -> None:
    slow = answering()
    provider = ScriptedProvider(
        default=lambda request: slow(request).delayed(0 if request.path.endswith("embeddings") else 2)
    )
    async with gateway(["cost", caching()], provider=provider) as running:
        first = await chat(running, ASKED)
        second = await chat(running, LIKE)
    original, exchange = running.exchanges
    assert second.headers.get("helicone-id") == exchange.request_id != original.request_id
    assert float(second.headers.get(HEADER) or 0) == pytest.approx(cosine(ASKED, LIKE), abs=1e-3)
    assert second.headers.get("helicone-cache-latency") == "2000"
    assert second.headers.get("helicone-cost") == "0"
    assert second.headers.get("helicone-model") == first.headers.get("helicone-model")
    assert "x-ratelimit-remaining-requests" not in second.headers  # was true of another exchange
    notes = dict(exchange.annotations)
    assert notes.pop("semantic-cache.similarity") == pytest.approx(cosine(ASKED, LIKE), abs=1e-3)
    embedding = notes.pop("semantic-cache.embedding")
    assert (embedding["calls"], embedding["nano_usd"]) == (1, 200)
    assert notes == {
        "semantic-cache.status": "hit",
        "semantic-cache.reference_id": original.request_id,
        "semantic-cache.saved_ms": 2000,
        "semantic-cache.saved_nano_usd": 450_000,
        "semantic-cache.saved_prompt_tokens": USAGE.input_tokens,
        "semantic-cache.saved_completion_tokens": USAGE.output_tokens,
    }
    assert exchange.usage is not None
    assert (exchange.usage.total_tokens, exchange.cost and exchange.cost.nano_usd) == (0, 0)
    assert exchange.stop_reason == "stop"
    counts = plugin(running).counts
    assert (counts.hits, counts.misses, counts.saved_nano_usd, counts.saved_tokens) == (1, 1, 450_000, 1500)


async def test_the_very_same_text_needs_no_vector(gateway: GatewayFactory) -> None:
    async with gateway([caching(threshold=1)], provider=ScriptedProvider(default=answering())) as running:
        await chat(running, ASKED)
        again = await chat(running, ASKED)
    assert again.headers.get(HEADER) == "1.0000"
    assert sorted(calls(running)) == ["answer", "embeddings"]


async def test_streamed_and_unary_never_share(gateway: GatewayFactory) -> None:
    async with gateway([caching()], provider=ScriptedProvider(default=answering())) as running:
        await chat(running, ASKED)
        assert not hit(await chat(running, ASKED, stream=True))
        assert hit(await chat(running, LIKE, stream=True))


async def test_off_costs_nothing_and_keeps_nothing(gateway: GatewayFactory) -> None:
    async with gateway(["semantic-cache"], provider=ScriptedProvider(default=answering())) as running:
        for _ in range(2):
            assert not hit(await chat(running, ASKED))
    assert calls(running) == ["answer", "answer"]
    assert running.exchanges[0].annotations == {}
    assert "helicone-cache" not in running.exchanges[0].headers


async def test_rules_switch_it_on_and_set_its_threshold(gateway: GatewayFactory) -> None:
    rules = [{"models": ["gpt-4o*"], "enabled": True}, {"models": ["o*"], "enabled": True, "threshold": 0.9}]
    provider = ScriptedProvider(default=answering())
    async with gateway([caching(enabled=False, rules=rules)], provider=provider) as running:
        for model, expected in (("gpt-4o-mini", True), ("o3", False), ("gpt-3.5-turbo", False)):
            await chat(running, ASKED, model=model)
            assert hit(await chat(running, LIKE, model=model)) is expected


@pytest.mark.parametrize(
    ("headers", "reads", "stores"),
    [
        ({"Helicone-Cache-Enabled": "false"}, False, False),
        ({"Cache-Control": "no-store"}, False, False),
        ({"Cache-Control": "no-cache"}, False, True),
        ({"Helicone-Cache-Enabled": "true"}, True, True),
    ],
)
async def test_clients_may_refuse(gateway: GatewayFactory, headers: dict[str, str], reads: bool, stores: bool) -> None:
    async with gateway([caching()], provider=ScriptedProvider(default=answering())) as running:
        await chat(running, ASKED)
        assert hit(await chat(running, LIKE, headers=headers)) is reads
        await chat(running, UNLIKE, headers=headers)
        assert hit(await chat(running, UNLIKE)) is stores


async def test_an_answer_has_an_age(gateway: GatewayFactory, virtual_time: VirtualClock) -> None:
    async with gateway([caching(ttl=100)], provider=ScriptedProvider(default=answering())) as running:
        await chat(running, ASKED)
        virtual_time.advance(50)
        assert not hit(await chat(running, LIKE, headers={"Cache-Control": "max-age=40, no-store"}))
        assert hit(await chat(running, ASKED, headers={"Cache-Control": "max-age=60"}))
        virtual_time.advance(49)
        assert hit(await chat(running, LIKE))
        virtual_time.advance(2)
        assert not hit(await chat(running, ASKED))
        assert plugin(running).index.counts.expired == 1


async def test_an_older_answer_than_the_client_accepts_is_a_miss(
    gateway: GatewayFactory, virtual_time: VirtualClock
) -> None:
    async with gateway([caching()], provider=ScriptedProvider(default=answering())) as running:
        await chat(running, ASKED)
        virtual_time.advance(50)
        assert not hit(await chat(running, LIKE, headers={"Cache-Control": "max-age=40"}))
        assert plugin(running).lookup.counts.too_old == 1


BAD: Mapping[str, tuple[ScriptedResponse, ScriptedResponse]] = {
    "an error": (openai_chat.error(500), openai_chat.error(500)),
    "cut by the length": (openai_chat.reply("x", stop_reason="length"), openai_chat.stream("x", stop_reason="length")),
    "filtered": (
        openai_chat.reply("x", stop_reason="content_filter"),
        openai_chat.stream("x", stop_reason="content_filter"),
    ),
    "a call of a tool": (
        openai_chat.reply(None, tools=[ToolCall("f", {})]),
        openai_chat.stream(None, tools=[ToolCall("f", {})]),
    ),
    "torn": (openai_chat.reply("x").cut(bytes=30), openai_chat.stream("x").cut(events=2)),
    "an error in it": (
        openai_chat.reply("x").with_status(201),
        openai_chat.stream("x").interrupted(openai_chat.error_event(), events=2),
    ),
    "empty": (openai_chat.reply(""), openai_chat.stream("")),
    "too large": (openai_chat.reply("x" * 5000), openai_chat.stream("x " * 50)),
}


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_not_a_whole_answer_in_words_is_not_kept(
    gateway: GatewayFactory, what: str, stream: bool
) -> None:
    provider = first_then(BAD[what][stream])
    async with gateway([caching(max_answer=4096)], provider=provider) as running:
        await chat(running, ASKED, stream=stream)
        await chat(running, ASKED, stream=stream)
        counts = plugin(running).counts
    assert (counts.hits, counts.not_stored) == (0, 1)
    assert running.faults == {}


async def test_a_stream_whose_client_left_is_not_kept(gateway: GatewayFactory) -> None:
    provider = first_then(openai_chat.stream("a long answer").paced(1))
    body = {"model": "gpt-4o-mini", "stream": True, "messages": [_user(ASKED)]}
    async with gateway([caching()], provider=provider) as running:
        async with running.stream("POST", "/v1/chat/completions", json=body) as live:
            await live.head()
            await anext(live)
        assert not hit(await chat(running, ASKED, stream=True))


class Redacts(Plugin):
    """An inner layer that changes answers, and says that one of them is its own."""

    refuses: ClassVar[bool] = False

    @hookimpl
    async def on_response(self, exchange: Exchange, response: Response) -> Response | None:
        if self.refuses:
            exchange.annotate("cache.store", False)
        return None if response.streamed else response.replace(body=(response.body or b"").replace(b"password", b"***"))


class Refuses(Redacts):
    """The same, refusing."""

    refuses = True


async def test_what_is_kept_is_what_the_layers_inside_let_through(gateway: GatewayFactory) -> None:
    classes = {"redacts": Redacts}
    async with gateway(
        [caching(), "redacts"], provider=ScriptedProvider(default=answering()), classes=classes
    ) as running:
        await chat(running, ASKED)
        second = await chat(running, LIKE)
    assert hit(second)
    assert b"reset my ***" in second.body


async def test_an_answer_that_a_layer_inside_calls_its_own_is_not_kept(gateway: GatewayFactory) -> None:
    classes = {"refuses": Refuses}
    async with gateway(
        [caching(), "refuses"], provider=ScriptedProvider(default=answering()), classes=classes
    ) as running:
        await chat(running, ASKED)
        assert not hit(await chat(running, ASKED))


class Early(Plugin):
    """An inner layer that answers by itself."""

    @hookimpl
    async def pre_request(self, exchange: Exchange) -> Response:
        return Response.of_json({"choices": [{"message": {"content": "mine"}, "finish_reason": "stop"}]})


async def test_neither_is_one_that_no_provider_gave(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(default=answering())
    async with gateway([caching(), "early"], provider=provider, classes={"early": Early}) as running:
        await chat(running, ASKED)
        assert not hit(await chat(running, ASKED))


class Censors(Plugin):
    """An outer layer that lets no first answer through."""

    first = True

    @hookimpl
    async def on_response(self, exchange: Exchange, response: Response) -> None:
        if self.first:
            self.first = False
            raise PermissionDenied("Not this one.")


async def test_nor_one_that_a_layer_outside_kept_from_the_client(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(default=answering())
    async with gateway(["censors", caching()], provider=provider, classes={"censors": Censors}) as running:
        assert (await chat(running, ASKED)).status == 403
        assert not hit(await chat(running, ASKED))
        assert hit(await chat(running, ASKED))


class Falls(Plugin):
    """Falls back."""

    @hookimpl
    async def on_error(self, exchange: Exchange, error: Exception) -> Fallback:
        return Fallback()


async def test_nor_one_of_a_fallback(gateway: GatewayFactory) -> None:
    provider = first_then(openai_chat.error(500), openai_chat.reply("second best"))
    config = {"providers": {"groq": {"api_key": "k"}}, "models": {"m": {"providers": ["openai", "groq"]}}}
    async with gateway([caching(), "falls"], provider=provider, classes={"falls": Falls}, config=config) as running:
        assert b"second best" in (await chat(running, ASKED, model="m")).body
        assert not hit(await chat(running, ASKED, model="m"))
        assert hit(await chat(running, ASKED, model="m"))


class TestFailingOpen:
    """Without vectors, there is no cache, and nobody notices."""

    @pytest.mark.parametrize("stream", [False, True])
    async def test_slow(self, gateway: GatewayFactory, virtual_time: VirtualClock, stream: bool) -> None:
        provider = ScriptedProvider(default=answering())
        async with gateway([caching()], provider=provider) as running:
            await chat(running, ASKED, stream=stream)
            provider.default = answering(embedder=lambda request: vectors(request).delayed(60))
            began = virtual_time.monotonic()
            assert not hit(await chat(running, LIKE, stream=stream))
            assert virtual_time.monotonic() - began == pytest.approx(0.3)
            assert running.exchanges[-1].annotations["semantic-cache.reason"] == "no vector"
            for _ in range(9):
                assert not hit(await chat(running, LIKE, stream=stream))
            assert virtual_time.monotonic() - began == pytest.approx(3 * 0.3)  # then it is left alone
            assert plugin(running).counts.without_vector == 10

    async def test_where_there_is_nothing_to_compare_with_nobody_waits(
        self, gateway: GatewayFactory, virtual_time: VirtualClock
    ) -> None:
        slow = answering(embedder=lambda request: vectors(request).delayed(0.2))
        async with gateway([caching()], provider=ScriptedProvider(default=slow)) as running:
            began = virtual_time.monotonic()
            await running.chat(ASKED)
            assert virtual_time.monotonic() == began
            assert not hit(await running.chat(ASKED))  # not kept yet
            await running.gateway.background.drain(100)
            assert hit(await running.chat(ASKED))

    async def test_down(self, gateway: GatewayFactory) -> None:
        down = answering(embedder=lambda request: embeddings.error(503))
        async with gateway([caching()], provider=ScriptedProvider(default=down)) as running:
            for _ in range(5):
                assert not hit(await chat(running, ASKED))
        assert running.faults == {}

    async def test_without_a_key(self, gateway: GatewayFactory) -> None:
        where = {"provider": "mistral"}
        async with gateway([caching(embeddings=where)], provider=ScriptedProvider(default=answering())) as running:
            assert not hit(await chat(running, ASKED))
        assert calls(running) == ["answer"]


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [_user("x" * 3000)]},
        {"messages": [_user("Hi"), {"role": "assistant", "content": "Hello"}]},
        {"messages": [_user("Hi")], "pad": "x" * 20_000},
        {"messages": []},
    ],
)
async def test_what_is_no_short_question_at_the_end_is_not_looked_up(
    gateway: GatewayFactory, body: dict[str, Any]
) -> None:
    provider = ScriptedProvider(default=openai_chat.answer())
    async with gateway([caching(max_request=16_384)], provider=provider) as running:
        for _ in range(2):
            reply = await running.request("POST", "/v1/chat/completions", json={"model": "gpt-4o-mini", **body})
            assert not hit(reply)
        assert plugin(running).counts.unsuitable == 2
    assert calls(running) == ["answer", "answer"]


async def test_a_long_question_and_a_large_index_are_read_in_a_thread(
    gateway: GatewayFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helicone_gw_semantic_cache.lookup.INLINE", 0)
    asked = " ".join(f"How do I reset password number {number}?" for number in range(40))
    async with gateway([caching()], provider=ScriptedProvider(default=answering())) as running:
        await chat(running, asked)
        assert hit(await chat(running, asked.lower()))
        assert plugin(running).lookup.counts.threads == 1


OWNERS: list[dict[str, Any]] = [
    {"headers": {"Helicone-Auth": f"Bearer {KEYS['security']['keys'][name]}", **extra}, **fields}
    for name in ("ann", "bob")
    for extra in (
        {},
        {"Authorization": "Bearer sk-own-1"},
        {"Authorization": "Bearer sk-own-2"},
        {"Helicone-User-Id": "u"},
        {"Helicone-Cache-Seed": "s"},
        {"OpenAI-Organization": "o"},
    )
    for fields in ({}, {"stream": True}, {"model": "gpt-4o"}, {"temperature": 0.5}, {"user": "v"})
]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(len(OWNERS))).map(lambda order: order[:12]))
def test_nobody_is_answered_what_somebody_else_was(gateway: GatewayFactory, order: list[int]) -> None:
    async def run() -> None:
        count = 0

        def numbered(question: str) -> str:
            nonlocal count
            count += 1
            return f"answer number {count}"

        provider = ScriptedProvider(default=answering(numbered))
        async with gateway([KEYS, caching()], provider=provider) as running:
            bodies = {}
            for owner in order:
                reply = await chat(running, ASKED, **OWNERS[owner])
                assert not hit(reply), (owner, order)
                bodies[owner] = reply.body
            for owner in reversed(order):
                reply = await chat(running, LIKE, **OWNERS[owner])
                assert hit(reply)
                assert reply.body == bodies[owner]

    run_virtual(run())


class TestTheMeter:
    """A share of hits is asked again, and what was wrong has consequences."""

    @pytest.mark.parametrize("stream", [False, True])
    async def test_a_hit_is_asked_again_in_the_background(self, gateway: GatewayFactory, stream: bool) -> None:
        provider = ScriptedProvider(default=answering(lambda question: "Click on the link."))
        async with gateway(["logging", caching(meter={"share": 1})], provider=provider) as running:
            await chat(running, ASKED, stream=stream)
            assert hit(await chat(running, LIKE, stream=stream))
            found = plugin(running)
            assert (found.meter.counts.sampled, found.meter.counts.same, found.meter.counts.other) == (1, 1, 0)
            assert len(found.index) == 1
        # The exchange of its own that it was is in the log, marked.
        original, served, again = sorted(running.exchanges, key=lambda exchange: exchange.received_at)
        assert calls(running).count("answer") == 2
        assert again.annotations["semantic-cache.status"] == "asked again"
        assert again.annotations["semantic-cache.reference_id"] == served.request_id
        assert again.request_id not in (original.request_id, served.request_id)

    async def test_a_wrong_answer_is_taken_out_and_told(self, gateway: GatewayFactory) -> None:
        answers = {ASKED: "Click on the link.", LIKE: "Call 555 1234."}
        async with gateway(
            [caching(meter={"share": 1})], provider=ScriptedProvider(default=answering(answers))
        ) as running:
            await chat(running, ASKED)
            assert b"Click" in (await chat(running, LIKE)).body
            found = plugin(running)
            assert (found.meter.counts.other, found.index.counts.discarded, len(found.index)) == (1, 1, 0)
            again = await chat(running, LIKE)
            assert not hit(again)
            assert b"555 1234" in again.body

    async def test_too_many_wrong_answers_stop_it_for_a_while(
        self, gateway: GatewayFactory, virtual_time: VirtualClock
    ) -> None:
        count = 0

        def other_each_time(question: str) -> str:
            nonlocal count
            count += 1
            return f"It is {count}."

        meter = {"share": 1, "min_samples": 3, "stop_for": 600}
        provider = ScriptedProvider(default=answering(other_each_time))
        async with gateway([caching(meter=meter)], provider=provider) as running:
            for _ in range(3):
                await chat(running, ASKED)
                assert hit(await chat(running, LIKE))
            asked = len(running.provider.requests)
            assert not hit(await chat(running, ASKED))
            assert not hit(await chat(running, ASKED))
            assert len(running.provider.requests) == asked + 2  # not even a vector is asked for
            assert running.exchanges[-1].annotations["semantic-cache.status"] == "stopped"
            assert plugin(running).meter.counts.stops == 2  # of the scope, and of the model
            # The model is stopped in every scope; another model is not.
            assert not hit(await chat(running, ASKED, user="somebody else"))
            await chat(running, ASKED, model="gpt-4o")
            assert hit(await chat(running, LIKE, model="gpt-4o"))
            virtual_time.advance(601)
            await chat(running, ASKED)
            assert hit(await chat(running, LIKE))

    async def test_serving_nothing_it_measures_every_would_be_hit(self, gateway: GatewayFactory) -> None:
        answers = {ASKED: "Click on the link.", LIKE: "Call 555 1234."}
        async with gateway([caching(serve=False)], provider=ScriptedProvider(default=answering(answers))) as running:
            await chat(running, ASKED)
            reply = await chat(running, LIKE)
            found = plugin(running)
            assert not hit(reply)
            assert b"555 1234" in reply.body
            assert (found.counts.shadowed, found.meter.counts.sampled, found.meter.counts.other) == (1, 1, 1)
        assert running.exchanges[1].annotations["semantic-cache.status"] == "shadow"
        assert calls(running).count("answer") == 2  # nobody was asked twice

    async def test_the_share_is_kept(self, gateway: GatewayFactory) -> None:
        async with gateway(
            [caching(meter={"share": 0.25})], provider=ScriptedProvider(default=answering(lambda question: "Click."))
        ) as running:
            drawn = iter([0.9, 0.2, 0.25, 0.24])
            plugin(running).random = lambda: next(drawn)
            await chat(running, ASKED)
            for _ in range(4):
                assert hit(await chat(running, LIKE))
            assert plugin(running).meter.counts.sampled == 2

    async def test_no_more_hits_are_asked_again_at_once_than_configured(self, gateway: GatewayFactory) -> None:
        slow = answering(lambda question: "Click on the link.")
        provider = ScriptedProvider(
            default=lambda request: slow(request).delayed(0 if request.path.endswith("embeddings") else 0.1)
        )
        meter = {"share": 1, "max_in_flight": 1}
        async with gateway([caching(meter=meter)], provider=provider) as running:
            await chat(running, ASKED)
            for _ in range(3):
                assert hit(await running.chat(LIKE))
            await running.gateway.background.drain(100)
            counts = plugin(running).meter.counts
            assert (counts.sampled, counts.skipped, counts.same) == (1, 2, 1)

    @pytest.mark.parametrize("answer", [openai_chat.error(500), openai_chat.reply("x", stop_reason="length")])
    async def test_a_second_answer_that_is_none_says_nothing(
        self, gateway: GatewayFactory, answer: ScriptedResponse
    ) -> None:
        provider = ScriptedProvider(default=answering(lambda question: "Click."))
        async with gateway([caching(meter={"share": 1})], provider=provider) as running:
            await chat(running, ASKED)
            provider.default = answering(answer)
            assert hit(await chat(running, LIKE))
            found = plugin(running)
            assert (found.meter.counts.unknown, found.meter.all.total, len(found.index)) == (1, 0, 1)

    async def test_a_hit_that_a_layer_outside_refuses_the_second_time_is_let_go(self, gateway: GatewayFactory) -> None:
        provider = ScriptedProvider(default=answering())
        async with gateway(["once", caching(meter={"share": 1})], provider=provider, classes={"once": Once}) as running:
            await chat(running, ASKED)
            assert hit(await chat(running, LIKE))
            assert plugin(running).meter.counts.unknown == 1


class Once(Plugin):
    """Answers exchanges that nobody sent by itself."""

    @hookimpl
    async def pre_request(self, exchange: Exchange) -> Request | Response | None:
        marked = exchange.annotations.get("semantic-cache.status") == "asked again"
        return Response.of_json({}) if marked else None


async def test_the_very_same_text_is_no_guess_and_is_not_asked_again(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(default=answering())
    async with gateway([caching(meter={"share": 1})], provider=provider) as running:
        await chat(running, ASKED)
        assert hit(await chat(running, ASKED))
        assert plugin(running).meter.counts.sampled == 0
    async with gateway([caching(serve=False)], provider=provider) as running:
        await chat(running, ASKED)
        assert not hit(await chat(running, ASKED))
        assert (plugin(running).counts.shadowed, plugin(running).meter.counts.sampled) == (1, 0)


async def test_what_was_not_asked_of_the_provider_at_all_counts_as_no_sample_of_it(gateway: GatewayFactory) -> None:
    def failing(request: RecordedRequest) -> ScriptedResponse:
        return openai_chat.error(429) if not request.path.endswith("embeddings") else vectors(request)

    async with gateway([caching()], provider=ScriptedProvider(default=failing)) as running:
        for _ in range(2):
            assert (await chat(running, ASKED)).status == 429
        assert plugin(running).counts.not_stored == 2
        assert len(plugin(running).index) == 0


async def test_a_provider_that_there_is_not_is_told_at_the_start(gateway: GatewayFactory) -> None:
    with pytest.raises(ConfigError, match=r"embeddings\.provider: no provider is named 'nosuch'"):
        async with gateway([caching(embeddings={"provider": "nosuch"})]):
            pass


async def test_the_rate_of_wrong_hits_is_measured(gateway: GatewayFactory) -> None:
    async with gateway([caching()]) as running:
        plugin(running).meter.counts.other = 2
        measured = {each.name: each.value for each in plugin(running).measurements()}
    assert measured["semantic_cache_meter_other"] == 2
    assert measured["semantic_cache_meter_same"] == 0
    assert measured["semantic_cache_index_evicted"] == measured["semantic_cache_vectors_late"] == 0

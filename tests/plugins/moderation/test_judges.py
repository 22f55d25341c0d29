"""Judges: asked beside the provider's call, within their time; what follows when they are slow, down or wrong."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from helicone_gw.testing import GatewayFactory, RunningGateway, ScriptedProvider, ScriptedResponse
from helicone_gw.testing.dialects import openai_chat
from helicone_gw.testing.record import RecordedRequest
from helicone_gw.testing.script import of_bytes, of_json
from helicone_gw_moderation.judges.base import JudgeFailed
from helicone_gw_moderation.judges.chat import templates
from helicone_gw_moderation.judging import pieces
from helicone_gw_moderation.waiting import Verdicts
from tests.plugins.moderation.finding import CLASSES

pytestmark = pytest.mark.virtual_time

BAD = "something awful"
SAFE, UNSAFE = ("safe", "unsafe\nS1, S9")
WEBHOOK = {"kind": "webhook", "url": "https://judge.example.com/check?key=hidden", "timeout": 1}
CHAT = {"kind": "chat", "model": "gpt-5-nano", "provider": "openai", "prompt": "llama-guard", "timeout": 1}
ASKS = {"Helicone-Moderations-Enabled": "true"}


def config(judge: dict[str, Any], *, on: str = "input", action: str = "block", **more: Any) -> list[Any]:
    checks = [{"judges": ["judge"], "on": on, "action": action}]
    return ["cost", {"moderation": {"checks": checks, "judges": {"judge": judge}, **more}}]


def verdict(request: RecordedRequest) -> ScriptedResponse:
    """A webhook that is against what is awful."""
    flagged = BAD in request.json()["text"]
    return of_json({"flagged": flagged, "categories": ["violence", "x" * 99] if flagged else []})


def models(answer: Any = "Hello there, and so on.", *, judge: Any = None, **more: Any) -> ScriptedProvider:
    """A provider that answers the client's questions, OpenAI's moderations, and a judge's model."""

    def answered(request: RecordedRequest) -> ScriptedResponse:
        body = request.json()
        if request.target.endswith("/moderations"):
            flagged = BAD in body["input"]
            scores = {"violence": 0.9 if flagged else 0.1, "hate": 0.2}
            result = {"flagged": flagged, "categories": {"violence": flagged}, "category_scores": scores}
            return of_json({"id": "modr-1", "model": body["model"], "results": [result]})
        if body["model"] == "gpt-5-nano":
            if judge is not None:
                return judge  # type: ignore[no-any-return]
            return openai_chat.reply(UNSAFE if BAD in str(body["messages"]) else SAFE)
        return openai_chat.answer(answer, **more)(request)

    return ScriptedProvider(default=answered)


def threats(running: RunningGateway) -> list[dict[str, Any]]:
    return list(running.exchanges[-1].annotations.get("threats", []))


async def test_clients_ask_for_moderations_and_openais_are_asked(gateway: GatewayFactory) -> None:
    async with gateway(["cost", "moderation"], classes=CLASSES, provider=models()) as running:
        assert (await running.chat("Hello", headers=ASKS)).status == 200
        reply = await running.chat(BAD, headers=ASKS)
        assert reply.status == 400
        assert reply.json()["error"]["code"] == "PROMPT_FLAGGED_FOR_MODERATION"
        asked = [request for request in running.provider.requests if request.target.endswith("/moderations")]
        assert [request.json()["input"] for request in asked] == ["Hello", BAD]
        assert asked[0].headers.get("authorization") == "Bearer sk-of-openai-in-the-test-kit"
    assert threats(running)[0] == {
        "detector": "judge:openai-moderations",
        "category": "violence",
        "label": "violence",
        "action": "block",
        "where": "input",
    }


async def test_thresholds_count_in_place_of_the_models_opinion(gateway: GatewayFactory) -> None:
    judge = {"kind": "moderations", "thresholds": {"hate": 0.15}}
    async with gateway(config(judge), classes=CLASSES, provider=models()) as running:
        assert (await running.chat("Hello")).status == 400
    assert threats(running)[0]["category"] == "hate"


async def test_a_chat_model_judges_and_its_cost_is_apart(gateway: GatewayFactory) -> None:
    async with gateway(config(CHAT), classes=CLASSES, provider=models()) as running:
        assert (await running.chat("Hello")).status == 200
        assert (await running.chat(BAD)).status == 400
    exchange = running.exchanges[-1]
    assert threats(running)[0]["label"] == "S1,S9"
    noted = exchange.annotations["moderation.judge.judge"]
    assert noted["calls"] == 1
    assert noted["nano_usd"] > 0
    assert running.gateway.ask.totals["moderation.judge.judge"].calls == 2


async def test_a_webhook_judges_and_is_told_no_more_than_it_needs(gateway: GatewayFactory) -> None:
    judge = {**WEBHOOK, "headers": {"x-key": "secret"}}
    http = ScriptedProvider(default=verdict)
    async with gateway(config(judge), classes=CLASSES, http=http, provider=models()) as running:
        assert (await running.chat(BAD)).status == 400
        (asked,) = running.http.requests
        assert asked.headers.get("x-key") == "secret"
        assert asked.json() == {
            "judge": "judge",
            "text": BAD,
            "where": "input",
            "request_id": running.exchanges[0].request_id,
            "organization": "default",
        }
    assert threats(running)[0]["label"] == "violence," + "x" * 40


async def test_presidio_is_a_webhook(gateway: GatewayFactory) -> None:
    found = [{"entity_type": "PERSON", "score": 0.85, "start": 0, "end": 4}, {"entity_type": "DATE", "score": 0.2}]
    http = ScriptedProvider(default=of_json(found))
    judge = {**WEBHOOK, "format": "presidio"}
    async with gateway(config(judge, action="flag"), classes=CLASSES, http=http) as running:
        assert (await running.chat("Mary said")).status == 200
        assert running.http.requests[0].json() == {"text": "Mary said", "language": "en", "score_threshold": 0.5}
    assert threats(running)[0]["label"] == "PERSON"


async def test_judges_are_asked_beside_the_call_and_a_refusal_ends_it(gateway: GatewayFactory) -> None:
    """The provider would take 10 seconds; what the call that was broken off cost is on the row."""
    provider = models()
    answered = provider.default
    provider.default = lambda request: answered(request).delayed(10)  # type: ignore[operator, union-attr]
    http = ScriptedProvider(default=lambda request: verdict(request).delayed(0.5))
    async with gateway(config(WEBHOOK), classes=CLASSES, http=http, provider=provider) as running:
        began = asyncio.get_running_loop().time()
        for stream in (False, True):
            assert (await running.chat(BAD, stream=stream)).status == 400
        assert asyncio.get_running_loop().time() - began < 2
        assert len(running.provider.requests) == 2
    whole, live = running.exchanges
    assert live.cost is not None
    assert live.cost.nano_usd > 0
    assert live.cost.estimated
    assert whole.usage is not None
    assert whole.usage.input_tokens  # what it would have answered, nobody knows


async def test_the_call_that_was_refused_after_its_answer_costs_what_it_costs(gateway: GatewayFactory) -> None:
    http = ScriptedProvider(default=lambda request: verdict(request).delayed(0.5))
    async with gateway(config(WEBHOOK), classes=CLASSES, http=http, provider=models()) as running:
        assert (await running.chat(BAD)).status == 400
    cost = running.exchanges[0].cost
    assert cost is not None
    assert cost.nano_usd > 0
    assert not cost.estimated


FAILURES: dict[str, Any] = {
    "slow": lambda request: verdict(request).delayed(30),
    "down": of_json({}, 503),
    "gone": of_json({}).cut("before_head"),
    "wrong": of_json({"flagged": "yes"}),
    "no JSON": of_bytes(b"<html>", "text/html"),
    "endless": of_bytes(b"[" * (2 << 20), "application/json"),
    "elsewhere": of_json({}, 302, {"Location": "https://elsewhere.example.com/"}),
}


@pytest.mark.parametrize("how", FAILURES)
@pytest.mark.parametrize("on", ["input", "output"])
async def test_a_judge_without_a_verdict_lets_pass_or_refuses_as_it_was_told(
    gateway: GatewayFactory, how: str, on: str
) -> None:
    for mode, status in (("open", 200), ("closed", 503)):
        http = ScriptedProvider(default=FAILURES[how])
        plugins = config({**WEBHOOK, "on_failure": mode}, on=on)
        async with gateway(plugins, classes=CLASSES, http=http, provider=models()) as running:
            whole = await running.chat()
            live = await running.chat(stream=True)
        assert whole.status == status
        if on == "input" or mode == "open":
            assert live.status == status
            assert mode == "closed" or b"there" in live.body
        else:  # the head has left: nothing of the answer does
            assert b"there" not in live.body
            assert b"content_filter" in live.body
            assert live.body.endswith(b"data: [DONE]\n\n")
        if mode == "closed":
            assert running.exchanges[1].outcome is not None
            assert running.exchanges[1].outcome.code == "moderation_unavailable"
        assert "moderation.judge.judge.failed" in running.exchanges[0].annotations
        assert [exchange.annotations["threat"] for exchange in running.exchanges] == [None, None]
        assert "hidden" not in repr([exchange.annotations for exchange in running.exchanges])
        assert not running.faults


@pytest.mark.parametrize(
    "answer", [openai_chat.reply("I would rather not say."), openai_chat.reply(""), openai_chat.error(500)]
)
async def test_a_model_that_gives_no_verdict_is_no_judge(gateway: GatewayFactory, answer: Any) -> None:
    for mode, status in (("open", 200), ("closed", 503)):
        plugins = config({**CHAT, "on_failure": mode})
        async with gateway(plugins, classes=CLASSES, provider=models(judge=answer)) as running:
            assert (await running.chat()).status == status


async def test_what_is_only_noted_never_refuses(gateway: GatewayFactory) -> None:
    for action in ("flag", "shadow"):
        http = ScriptedProvider(default=FAILURES["slow"])
        async with gateway(config(WEBHOOK, action=action), classes=CLASSES, http=http) as running:
            assert (await running.chat(BAD)).status == 200


async def test_a_stream_does_not_wait_for_what_is_only_noted(gateway: GatewayFactory) -> None:
    plugins = config(WEBHOOK, on="output", action="shadow")
    http = ScriptedProvider(default=lambda request: verdict(request).delayed(0.3))
    async with gateway(plugins, classes=CLASSES, http=http, provider=models(f"It is {BAD}.")) as running:
        body = {"model": "gpt-4o-mini", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
        loop, received = asyncio.get_running_loop(), b""
        async with running.stream("POST", "/v1/chat/completions", json=body) as live:
            began = loop.time()
            async for piece in live:
                received += piece
                if b"[DONE]" in received:
                    assert loop.time() - began < 0.1
                    break
            await live.read()
    assert [threat["action"] for threat in threats(running)] == ["shadow"]


async def test_verdicts_are_remembered_and_failures_are_not(gateway: GatewayFactory) -> None:
    answers = [of_json({}, 503), *[of_json({"flagged": False})] * 2]
    http = ScriptedProvider(*answers)
    async with gateway(config(WEBHOOK), classes=CLASSES, http=http, provider=models()) as running:
        statuses = [(await running.chat(text)).status for text in ("a", "a", "a", "b", "a")]
        assert statuses == [503, 200, 200, 200, 200]
        assert len(running.http.requests) == 3
        await asyncio.sleep(3601)
        assert (await running.chat("a")).status == 503  # the script is at its end: it was asked again


async def test_judges_see_what_was_redacted_and_not_what_it_was(gateway: GatewayFactory) -> None:
    plugins = config(WEBHOOK, on="both")
    plugins[1]["moderation"]["checks"].append({"find": ["pii"], "action": "redact"})
    http = ScriptedProvider(default=verdict)
    provider = models("Write to [EMAIL_1] or bob@example.com")
    async with gateway(plugins, classes=CLASSES, http=http, provider=provider) as running:
        whole = await running.chat("I am alice@example.com")
        live = await running.chat("I am alice@example.com", stream=True)
        seen = [request.json()["text"] for request in running.http.requests]
    assert b"alice@example.com or [EMAIL]" in whole.body
    assert b"alice@example.com" in live.body
    assert not any("example.com" in text for text in seen), seen


# Answers that are streamed


async def streamed(
    gateway: GatewayFactory, answer: list[str], http: Any, *, pace: float = 0.1, mode: str = "open", **stream: Any
) -> tuple[bytes, float, RunningGateway]:
    """A streamed answer under a judge: what the client had, when it had the first text, and the gateway."""

    def answered(request: RecordedRequest) -> ScriptedResponse:
        return openai_chat.answer(answer)(request).paced(pace)

    plugins = config({**WEBHOOK, "on_failure": mode}, on="output", stream={"judge_every": 20, **stream})
    provider, judge = ScriptedProvider(default=answered), ScriptedProvider(default=http)
    loop = asyncio.get_running_loop()
    async with gateway(plugins, classes=CLASSES, http=judge, provider=provider) as running:
        began, first, body = loop.time(), 0.0, b""
        message = {"model": "gpt-4o-mini", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
        async with running.stream("POST", "/v1/chat/completions", json=message) as live:
            async for piece in live:
                body += piece
                if not first and b'"content":"' in piece and b'"content":""' not in piece:
                    first = loop.time() - began
        assert not live.aborted
    return body, first, running


WORDS = ["One two three four. ", "Five six seven eight. ", "Nine ten eleven. ", "And ", "so ", "on."]


async def test_what_is_awful_ends_a_stream_before_it_leaves(gateway: GatewayFactory) -> None:
    for mode in ("open", "closed"):
        answer = [*WORDS[:2], f"Now {BAD} comes, ", *WORDS[2:]]
        body, _, running = await streamed(gateway, answer, lambda each: verdict(each).delayed(0.15), mode=mode)
        assert b"eight" in body
        assert b"awful" not in body
        assert b"content_filter" in body
        assert body.endswith(b"data: [DONE]\n\n")
        assert threats(running)[0]["where"] == "output"


async def test_an_open_judge_delays_no_longer_than_the_hold(gateway: GatewayFactory) -> None:
    body, first, running = await streamed(gateway, WORDS, FAILURES["slow"], hold=0.5)
    assert b"on." in body
    assert first == pytest.approx(0.1 + 0.45, abs=0.051)
    counters = next(each for each in running.gateway.plugins if each.name == "moderation").counters  # type: ignore[attr-defined]
    assert counters.unjudged > 0


async def test_a_closed_judge_is_waited_for(gateway: GatewayFactory) -> None:
    body, first, _ = await streamed(gateway, WORDS, lambda each: verdict(each).delayed(0.9), mode="closed", hold=0.2)
    assert b"on." in body
    assert first > 0.9


async def test_the_last_words_wait_for_their_verdict_too(gateway: GatewayFactory) -> None:
    answer = [*WORDS, f" {BAD}"]
    for mode in ("open", "closed"):
        body, _, _ = await streamed(gateway, answer, lambda each: verdict(each).delayed(0.2), pace=0.0, mode=mode)
        assert b"awful" not in body
        assert b"content_filter" in body


async def test_one_that_flags_does_not_let_the_rest_pass_another(gateway: GatewayFactory) -> None:
    """The flagging judge has answered about the beginning when the end comes, of which the other has yet to hear."""

    def judged(request: RecordedRequest) -> ScriptedResponse:
        asked = request.json()
        flagged = asked["judge"] == "flags" or BAD in asked["text"]
        return of_json({"flagged": flagged}).delayed(0.3)

    judges = {name: {**WEBHOOK, "on_failure": "closed"} for name in ("flags", "blocks")}
    checks = [
        {"judges": ["flags"], "on": "output", "action": "flag"},
        {"judges": ["blocks"], "on": "output", "action": "block"},
    ]
    plugins = [{"moderation": {"checks": checks, "judges": judges, "stream": {"judge_every": 20}}}]
    provider = ScriptedProvider(default=openai_chat.answer([*WORDS, f" {BAD}"]))
    async with gateway(plugins, classes=CLASSES, http=ScriptedProvider(default=judged), provider=provider) as running:
        reply = await running.chat(stream=True)
    assert b"awful" not in reply.body
    assert b"content_filter" in reply.body


async def test_a_verdict_that_comes_late_still_ends_the_stream(gateway: GatewayFactory) -> None:
    answer = [BAD, " and more of that. ", *["going on "] * 30]
    body, _, running = await streamed(gateway, answer, lambda each: verdict(each).delayed(0.95), hold=0.2)
    assert b"awful" in body  # open, and held for 0.2 seconds only
    assert b"content_filter" in body
    assert body.count(b"going on") < 20
    assert running.exchanges[0].ended_early
    assert threats(running)[0]["released"] >= len(BAD)


async def test_a_client_that_leaves_ends_the_judging(gateway: GatewayFactory) -> None:
    plugins = config(WEBHOOK, on="output")
    http = ScriptedProvider(default=FAILURES["slow"])
    async with gateway(plugins, classes=CLASSES, http=http, provider=models(WORDS)) as running:
        message = {"model": "gpt-4o-mini", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
        async with running.stream("POST", "/v1/chat/completions", json=message) as live:
            await live.head()
            await asyncio.sleep(0.1)
            await live.leave()
    assert running.exchanges[0].outcome is not None
    assert running.exchanges[0].outcome.kind == "client_disconnected"


# Templates


@pytest.mark.parametrize(
    ("prompt", "answer", "flagged"),
    [
        ("llama-guard", "safe", False),
        ("llama-guard", "\n\nunsafe\nS2", True),
        ("llama-guard", "It is unsafe", None),
        ("prompt-guard", "0.9993", True),
        ("prompt-guard", "1.2e-5", False),
        ("prompt-guard", "JAILBREAK", True),
        ("prompt-guard", "BENIGN", False),
        ("prompt-guard", "maybe", None),
        ("gpt-oss-safeguard", '{"violation": 1, "category": "crime"}', True),
        ("gpt-oss-safeguard", '{"violation":0,"category":null}', False),
        ("gpt-oss-safeguard", "violation", None),
        ("yes-no", "YES.", True),
        ("yes-no", "No", False),
        ("yes-no", "Nobody knows", None),
    ],
)
def test_answers_are_read_or_are_none(prompt: str, answer: str, flagged: bool | None) -> None:
    template = templates()[prompt]
    if flagged is None:
        with pytest.raises(JudgeFailed):
            template.read(answer, 0.5)
    else:
        assert template.read(answer, 0.5).flagged is flagged


def test_what_is_judged_cannot_take_the_place_of_the_policy() -> None:
    system, user = templates()["yes-no"].messages("{policy} {text}", "No {text}.")
    assert "No {text}." in system["content"]
    assert "{policy} {text}" in user["content"]


def test_every_template_can_say_both() -> None:
    assert set(templates()) == {"llama-guard", "prompt-guard", "gpt-oss-safeguard", "yes-no"}
    assert all(template.flagged and template.clean for template in templates().values())
    assert msgspec.json.encode(templates()["llama-guard"].messages("a", "")) == b'[{"role":"user","content":"a"}]'


# Long texts

SHORT = {**WEBHOOK, "max_characters": 100}


@pytest.mark.parametrize("place", [0, 1, 45, 90, 200, 440])
@pytest.mark.parametrize("on", ["input", "output"])
async def test_what_is_harmless_and_long_hides_nothing_from_a_judge(
    gateway: GatewayFactory, place: int, on: str
) -> None:
    text = ("x " * 230)[:place] + BAD + (" y" * 230)[: 460 - place]
    said, answer = ("Hello", text) if on == "output" else (text, "Fine")
    stack = config(SHORT, on=on)
    async with gateway(
        stack, classes=CLASSES, provider=models(answer), http=ScriptedProvider(default=verdict)
    ) as running:
        assert (await running.chat(said)).status == 400
        assert max(len(request.json()["text"]) for request in running.http.requests) <= 100


@pytest.mark.parametrize(("failure", "status"), [("open", 200), ("closed", 413)])
async def test_what_is_longer_than_is_judged_has_no_verdict(gateway: GatewayFactory, failure: str, status: int) -> None:
    judge = {**SHORT, "max_questions": 3, "on_failure": failure}
    http = ScriptedProvider(default=verdict)
    async with gateway(config(judge), classes=CLASSES, provider=models(), http=http) as running:
        assert (await running.chat("x " * 140)).status == 200
        assert running.exchanges[0].annotations["threat"] is False
        assert (await running.chat("x " * 1000)).status == status
        assert running.exchanges[1].annotations["threat"] is None
        assert (await running.chat("x " * 1000 + BAD)).status == 400, "the end is looked at all the same"


async def test_a_conversation_that_goes_on_is_judged_where_it_is_new(gateway: GatewayFactory) -> None:
    http = ScriptedProvider(default=verdict)
    async with gateway(config(SHORT), classes=CLASSES, provider=models(), http=http) as running:
        before = "".join(f"{number} " for number in range(100))
        await running.chat(before)
        asked = len(http.requests)
        await running.chat(before + "and more")
        assert len(http.requests) == asked + 1


def test_pieces_overlap_and_are_the_text() -> None:
    text = "".join(map(chr, range(300)))
    for size in (1, 9, 10, 99, 100, 299, 300, 1000):
        found = pieces(text, size)
        assert all(len(each) <= size for each in found)
        assert all(any(text[at : at + 1 + size // 10] in each for each in found) for at in range(300 - size // 10))


async def test_of_each_choice_of_a_stream_all_is_judged_that_came_meanwhile() -> None:
    asked: list[list[str]] = []

    async def ask(texts: list[str]) -> list[Any]:
        asked.append(texts)
        return []

    verdicts = Verdicts(ask, every=10, hold=1, closed=True, awaited=True, keep=40)
    verdicts.poll()
    for letter in "ab":
        verdicts.receive(letter, letter * 60)
    verdicts.poll()
    await asyncio.sleep(0)
    for letter in "ba":
        verdicts.receive(letter, letter.upper() * 100)  # while the question is under way
    await asyncio.sleep(0)
    verdicts.poll()
    await asyncio.sleep(0)
    verdicts.close()
    assert asked[0] == ["a" * 60, "b" * 60]
    assert [text.lstrip("ab") for text in asked[1]] == ["A" * 100, "B" * 100]

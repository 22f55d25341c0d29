"""The messages of a WebSocket are looked through both ways; its sound passes, and is noted."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection

from helicone_gw.testing import GatewayFactory, RunningGateway, ScriptedProvider, ScriptedResponse
from helicone_gw.testing.record import RecordedRequest
from helicone_gw.testing.script import of_json
from tests.core.asgi.test_websocket import Client, at, voice
from tests.plugins.moderation.finding import ADDRESS, CLASSES, KEY, PHRASE
from tests.plugins.moderation.test_plugin import check, moderation, notes

CHECKS = [check("injection"), check("pii", action="redact"), check("secret", action="redact", on="output")]


def item(text: str, **more: Any) -> str:
    content = [{"type": "input_text", "text": text}]
    event = {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": content}}
    return msgspec.json.encode({**event, **more}).decode()


def delta(text: str, kind: str = "response.output_text") -> str:
    event = {"type": f"{kind}.delta", "response_id": "r", "output_index": 0, "content_index": 0, "delta": text}
    return msgspec.json.encode(event).decode()


def said(sent: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events that a client was sent."""
    return [msgspec.json.decode(each["text"]) for each in sent if each["type"] == "websocket.send"]


DONE = '{"type":"response.output_text.done","output_index":0,"content_index":0,"text":"Fine"}'


class Model:
    """A provider that remembers what it was told, and says one message after another to each."""

    def __init__(self, *answer: str) -> None:
        self.told: list[str] = []
        self._answer = answer

    async def __call__(self, connection: ServerConnection) -> None:
        async for message in connection:
            self.told.append(str(message))
            for each in self._answer:
                await connection.send(each)


async def conversation(running: RunningGateway, model: Model, *messages: str, answers: int) -> list[dict[str, Any]]:
    client = Client(running)
    for message in messages:
        client.says(message)
    await client.got(1 + answers)
    if not client.task.done():
        client.leaves()
    return await client.ended()


@pytest.mark.parametrize(
    "message",
    [
        item(PHRASE, event_id="e1"),
        f'{{"type":"session.update","event_id":"e1","session":{{"instructions":"{PHRASE}"}}}}',
        f'{{"type":"response.create","event_id":"e1","response":{{"tools":[{{"description":"{PHRASE}"}}]}}}}',
        '{"type":"input_audio_buffer.append","audio":"AA==","type":"conversation.item.create"}',
        "no JSON",
        f'["{PHRASE}"]',
        f'{{"event_id":["a"],"type":1,"text":"{PHRASE}"}}',
    ],
)
async def test_a_message_that_is_refused_is_answered_and_the_session_goes_on(
    gateway: GatewayFactory, message: str
) -> None:
    model = Model(delta("Fine"), DONE)
    async with voice(model) as base, gateway(moderation(*CHECKS), classes=CLASSES, config=at(base)) as running:
        sent = await conversation(running, model, message, item("Hello"), answers=3)
        events = said(sent)
        assert [event["type"] for event in events] == [
            "error",
            "response.output_text.delta",
            "response.output_text.done",
        ]
        assert PHRASE not in events[0]["error"]["message"]
        if "e1" in message:
            assert (events[0]["error"]["code"], events[0]["error"]["event_id"]) == ("PROMPT_THREAT_DETECTED", "e1")
            assert notes(running) == [("ignore", "block", "input")]
        assert model.told == [item("Hello")]


async def test_what_is_redacted_comes_back_and_what_is_found_does_not(gateway: GatewayFactory) -> None:
    audio = '{"type":"response.output_audio.delta","delta":"AAAA"}'
    done = msgspec.json.encode(
        {"type": "response.done", "response": {"output": [{"content": [{"text": KEY}]}]}}
    ).decode()
    model = Model(
        delta("Ask [EM"),
        delta("AIL_1], sk-te"),
        audio,
        delta(KEY[5:]),
        delta("Ask [EMAIL_1]", "response.output_audio_transcript"),
        done,
    )
    async with voice(model) as base, gateway(moderation(*CHECKS), classes=CLASSES, config=at(base)) as running:
        events = said(await conversation(running, model, item(f"I am {ADDRESS}"), answers=6))
        assert model.told == [item("I am [EMAIL_1]")]
        texts = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
        assert texts == f"Ask {ADDRESS}, [TEST_KEY]"
        (transcript,) = [event["delta"] for event in events if event["type"].endswith("transcript.delta")]
        assert transcript == f"Ask {ADDRESS}"
        assert events[0] == msgspec.json.decode(audio)  # nobody looks at it, and nobody waits for it
        assert events[-1]["response"]["output"][0]["content"][0]["text"] == "[TEST_KEY]"
        assert notes(running) == [("email", "redact", "input"), ("test_key", "redact", "output")]
        assert running.exchanges[0].annotations["moderation.unread"] == "sound"


async def test_a_session_ends_where_its_answer_is_refused(gateway: GatewayFactory) -> None:
    for answer in (delta(f"It is {KEY} ."), delta(f"It is {KEY[:9]}"), "transcript"):
        spoken = {"type": "conversation.item.input_audio_transcription.completed", "transcript": PHRASE}
        first = msgspec.json.encode(spoken).decode() if answer == "transcript" else answer
        model = Model(first, delta(KEY[9:] + " ."), DONE)
        checks = [check("secret", on="output"), check("injection", on="input")]
        async with voice(model) as base, gateway(moderation(*checks), classes=CLASSES, config=at(base)) as running:
            sent = await conversation(running, model, item("Hello"), answers=2)
            assert sent[-1] == {"type": "websocket.close", "code": 1008, "reason": "content_filter"}
            (event,) = said(sent)
            assert event["type"] == "error"
            assert KEY[:9] not in str(sent)
            assert running.exchanges[0].error is not None


async def test_a_message_waits_no_longer_than_it_may_and_leaves_at_the_end(gateway: GatewayFactory) -> None:
    arrived = asyncio.Event()

    async def model(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(delta("Hello there"))
        await arrived.wait()
        await connection.send(delta(" sk-test"))
        await connection.close(1000)

    config = moderation(check("secret"), stream={"hold": 0.15})
    async with voice(model) as base, gateway(config, classes=CLASSES, config=at(base)) as running:
        client = Client(running)
        client.says(item("Hi"))
        assert [event["delta"] for event in said(await client.got(2))] == ["Hello there"]
        arrived.set()
        assert [event["delta"] for event in said(await client.ended())] == ["Hello there", " sk-test"]


async def test_a_session_is_refused_where_what_it_needs_cannot_be(gateway: GatewayFactory) -> None:
    for checks, more, status in (
        ([check("secret")], {"unread": "refuse"}, 400),
        ([check("secret")], {}, 101),
    ):
        model = Model("x")
        config = moderation(*checks, **more)
        async with voice(model) as base, gateway(config, classes=CLASSES, config=at(base)) as running:
            client = Client(running)
            (first, *_) = await client.got(1)
            assert first.get("status", 101) == status
            client.leaves()
            await client.ended()


# Judges

BAD = "something awful"


def judged(on: str, failure: str = "closed", action: str = "block", *checks: dict[str, Any]) -> list[Any]:
    judge = {"kind": "webhook", "url": "https://judge.example.com", "timeout": 0.5, "on_failure": failure}
    return moderation({"judges": ["judge"], "on": on, "action": action}, *checks, judges={"judge": judge})


def verdict(request: RecordedRequest) -> ScriptedResponse:
    return of_json({"flagged": BAD in request.json()["text"], "categories": ["violence"]})


@pytest.mark.parametrize("path", ["/v1/realtime?model=gpt-realtime", "/v1/responses"])
async def test_a_message_waits_for_its_verdict_and_others_for_it(gateway: GatewayFactory, path: str) -> None:
    model, http = Model(), ScriptedProvider(default=verdict)
    sound = '{"type":"input_audio_buffer.append","audio":"AA=="}'
    messages = [item("One"), sound, item(BAD, event_id="e1"), item(ADDRESS), sound, '{"type":"response.create"}']
    stack = judged("input", "closed", "block", check("pii", action="redact"))
    async with voice(model) as base, gateway(stack, classes=CLASSES, config=at(base), http=http) as running:
        client = Client(running, path)
        for message in messages:
            client.says(message)
        (event,) = said(await client.got(2))
        assert (event["error"]["code"], event["error"]["event_id"]) == ("PROMPT_FLAGGED_FOR_MODERATION", "e1")
        while len(model.told) < 5:
            await asyncio.sleep(0.02)
        client.leaves()
        await client.ended()
    assert model.told == [item("One"), sound, item("[EMAIL_1]"), sound, messages[-1]]
    assert ADDRESS not in str([request.json() for request in http.requests])
    assert notes(running) == [("email", "redact", "input"), ("violence", "block", "input")]


@pytest.mark.parametrize(("failure", "told"), [("open", True), ("closed", False)])
async def test_without_a_verdict_a_message_passes_or_is_refused(
    gateway: GatewayFactory, failure: str, told: bool
) -> None:
    model, http = Model(delta("Fine")), ScriptedProvider(default=of_json({}, status=500))
    async with (
        voice(model) as base,
        gateway(judged("input", failure), classes=CLASSES, config=at(base), http=http) as running,
    ):
        events = said(await conversation(running, model, item("Hello"), answers=1))
    assert [event["type"] for event in events] == ["response.output_text.delta" if told else "error"]
    assert bool(model.told) is told
    assert running.exchanges[0].annotations["threat"] is None


@pytest.mark.parametrize(("failure", "action"), [("closed", "block"), ("open", "block"), ("closed", "flag")])
async def test_what_the_model_says_is_judged(gateway: GatewayFactory, failure: str, action: str) -> None:
    done = '{"type":"response.done","response":{"output":[]}}'
    model, http = Model(delta("It is "), delta(BAD), done), ScriptedProvider(default=verdict)
    stack = judged("output", failure, action)
    async with voice(model) as base, gateway(stack, classes=CLASSES, config=at(base), http=http) as running:
        sent = await conversation(running, model, item("Hello"), answers=3 if action == "flag" else 2)
    if action == "block":
        assert sent[-1] == {"type": "websocket.close", "code": 1008, "reason": "content_filter"}
        assert BAD not in str(sent)
    else:
        assert [event["type"] for event in said(sent)][-1] == "response.done"


@pytest.mark.parametrize("judge", ["against it", "down"])
async def test_what_the_user_was_heard_to_say_is_judged(gateway: GatewayFactory, judge: str) -> None:
    spoken = {"type": "conversation.item.input_audio_transcription.completed", "transcript": BAD}
    model = Model(msgspec.json.encode(spoken).decode())
    http = ScriptedProvider(default=of_json({}, status=500) if judge == "down" else verdict)
    sound = '{"type":"input_audio_buffer.append","audio":"AA=="}'
    stack = judged("input")
    async with voice(model) as base, gateway(stack, classes=CLASSES, config=at(base), http=http) as running:
        sent = await conversation(running, model, sound, answers=3)
    assert sent[-1]["type"] == "websocket.close"
    assert running.exchanges[0].error is not None

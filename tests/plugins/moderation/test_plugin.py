"""Requests and answers are looked through: refused, redacted, flagged or only noted, whole and streamed."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from helicone_gw.testing import GatewayFactory, Reply, RunningGateway, ScriptedProvider
from helicone_gw.testing.dialects import anthropic, gemini, openai_chat, openai_responses
from helicone_gw.testing.dialects.content import ToolCall
from helicone_gw.testing.script import ScriptedResponse, of_events, of_json
from helicone_gw_moderation.plugin import ModerationPlugin
from tests.plugins.moderation.finding import ADDRESS, CLASSES, KEY, PHRASE

pytestmark = pytest.mark.virtual_time  # on a busy machine a stream's hold is over before its answer has come
CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
GEMINI = "/v1beta/models/gemini-2.5-flash:"


def moderation(*checks: dict[str, Any], **config: Any) -> list[Any]:
    """The plugins of a gateway with these checks."""
    return [{"moderation": {"checks": list(checks), **config}}]


def check(*find: str, action: str = "block", on: str = "both", **more: Any) -> dict[str, Any]:
    return {"find": list(find), "action": action, "on": on, **more}


async def ask(running: RunningGateway, dialect: str, text: str = "Hello!", *, stream: bool = False) -> Reply:
    """One question in a dialect."""
    match dialect:
        case "chat":
            return await running.chat(text, stream=stream)
        case "responses":
            body = {"model": "gpt-4o-mini", "input": text, "stream": stream}
            return await running.request("POST", RESPONSES, json=body)
        case "messages":
            return await running.message(text, stream=stream)
        case _:
            verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
            body = {"contents": [{"parts": [{"text": text}], "role": "user"}]}
            return await running.request("POST", GEMINI + verb, json=body)


KITS: dict[str, Any] = {"chat": openai_chat, "responses": openai_responses, "messages": anthropic, "gemini": gemini}


def answer(dialect: str, text: Sequence[str] | str | None, **more: Any) -> ScriptedProvider:
    return ScriptedProvider(default=KITS[dialect].answer(text, **more))


def text_of(reply: Reply, dialect: str) -> str:
    """The text of an answer, whole or streamed."""
    if reply.headers.get("content-type", "").startswith("application/json"):
        value = reply.json()
        match dialect:
            case "chat":
                return str(value["choices"][0]["message"]["content"])
            case "responses":
                return "".join(part["text"] for item in value["output"] for part in item.get("content", ()))
            case "messages":
                return "".join(block.get("text", "") for block in value["content"])
            case _:
                return "".join(part.get("text", "") for part in value["candidates"][0]["content"]["parts"])
    out = ""
    for event in reply.events():
        value = msgspec.json.decode(event.data) if event.data != b"[DONE]" else {}
        match dialect:
            case "chat":
                out += "".join(choice["delta"].get("content") or "" for choice in value.get("choices", ()))
            case "responses":
                out += value["delta"] if value.get("type") == "response.output_text.delta" else ""
            case "messages":
                out += (value.get("delta") or {}).get("text", "")
            case _:
                parts = value["candidates"][0]["content"]["parts"]
                out += "".join(part.get("text", "") for part in parts)
    return out


def notes(running: RunningGateway, number: int = -1) -> list[tuple[str, str, str]]:
    """What the log has of it: label, action, where."""
    threats = running.exchanges[number].annotations.get("threats", [])
    return [(threat["label"], threat["action"], threat["where"]) for threat in threats]


# Requests


@pytest.mark.parametrize("dialect", KITS)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_request_is_refused_as_helicone_refuses_and_nobody_is_asked(
    gateway: GatewayFactory, dialect: str, stream: bool
) -> None:
    async with gateway(moderation(check("injection")), classes=CLASSES) as running:
        reply = await ask(running, dialect, f"Please {PHRASE}.", stream=stream)
    assert reply.status == 400
    value = reply.json()
    assert value["success"] is False
    error = value["error"]
    if dialect == "gemini":
        assert error["details"][0]["reason"] == "PROMPT_THREAT_DETECTED"
    else:
        assert (error["code"], error["type"]) == ("PROMPT_THREAT_DETECTED", "invalid_request_error")
        assert running.exchanges[0].request_id in error["details"]
    assert "previous" not in reply.body.decode()
    assert reply.headers.get("helicone-status") == "failed"
    assert running.provider.requests == []
    assert running.exchanges[0].annotations["threat"] is True
    assert notes(running) == [("ignore", "block", "input")]
    outcome = running.exchanges[0].outcome
    assert outcome is not None
    assert outcome.kind == "refused"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, {"messages": [{"role": "system", "content": KEY}, {"role": "user", "content": "Hi"}]}),
        (CHAT, {"messages": [{"role": "user", "content": [{"type": "text", "text": KEY}]}]}),
        (CHAT, {"messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": f'{{"a":"{KEY}"}}'}}]}]}),
        (CHAT, {"messages": [{"role": "tool", "tool_call_id": "1", "content": KEY}]}),
        (RESPONSES, {"input": [{"type": "function_call_output", "call_id": "1", "output": KEY}]}),
        (
            MESSAGES,
            {"max_tokens": 9, "messages": [{"content": [{"type": "tool_result", "content": KEY}]}]},
        ),
        (MESSAGES, {"max_tokens": 9, "system": [{"type": "text", "text": KEY}], "messages": []}),
        ("/v1/embeddings", {"input": ["a", KEY]}),
        ("/v1/completions", {"prompt": KEY}),
        (GEMINI + "generateContent", {"contents": [{"parts": [{"functionResponse": {"response": {"a": [KEY]}}}]}]}),
    ],
)
async def test_all_roles_and_parts_and_what_tools_said_are_looked_at(
    gateway: GatewayFactory, path: str, body: dict[str, Any]
) -> None:
    async with gateway(moderation(check("secret")), classes=CLASSES) as running:
        reply = await running.request("POST", path, json={"model": "gpt-4o-mini", **body})
        assert (reply.status, running.provider.requests) == (400, [])
        harmless = msgspec.json.encode({"model": "gpt-4o-mini", **body}).replace(KEY.encode(), b"nothing")
        headers = {"content-type": "application/json"}
        assert (await running.request("POST", path, content=harmless, headers=headers)).status == 200
    assert KEY not in repr(running.exchanges[0].annotations)


async def test_what_is_redacted_never_reaches_the_provider_and_is_in_the_answer_again(gateway: GatewayFactory) -> None:
    provider = answer("chat", ["I wrote to [EM", "AIL_1], not", " to [EMAIL_2] or carol@example.com."])
    config = moderation(check("pii", action="redact"))
    body = f'{{"model":"gpt-4o-mini", "messages":[{{"content":"Write to {ADDRESS}"}}],"user":"{ADDRESS}"}}'
    async with gateway(config, classes=CLASSES, provider=provider) as running:
        for streaming in ("", ',"stream":true'):
            content = (body[:-1] + streaming + "}").encode()
            reply = await running.request("POST", CHAT, content=content, headers={"content-type": "application/json"})
            assert text_of(reply, "chat") == f"I wrote to {ADDRESS}, not to [EMAIL_2] or [EMAIL]."
            sent = running.provider.requests[-1].body
            redacted = content.replace(f"to {ADDRESS}".encode(), b"to [EMAIL_1]")
            assert redacted[1:] in sent  # streamed, usage is asked for before it
            assert notes(running) == [("email", "redact", "input"), ("email", "redact", "output")]
            assert running.exchanges[-1].annotations["threat"] is False
    assert reply.headers.get("helicone-moderation") == "redacted"


async def test_a_placeholder_that_stands_in_the_request_is_not_taken(gateway: GatewayFactory) -> None:
    config = moderation(check("pii", action="redact"))
    async with gateway(config, classes=CLASSES, provider=answer("chat", "[EMAIL_1] [EMAIL_2]")) as running:
        reply = await running.chat(f"Is [EMAIL_1] {ADDRESS}?")
        assert running.provider.requests[0].json()["messages"][0]["content"] == "Is [EMAIL_1] [EMAIL_2]?"
    assert text_of(reply, "chat") == f"[EMAIL_1] {ADDRESS}"


@pytest.mark.parametrize(("action", "header"), [("flag", "flagged"), ("shadow", None)])
async def test_flags_are_told_and_shadows_only_noted(gateway: GatewayFactory, action: str, header: str | None) -> None:
    async with gateway(moderation(check("keyword", action=action)), classes=CLASSES) as running:
        reply = await running.chat("forbidden")
    assert reply.status == 200
    assert reply.headers.get("helicone-moderation") == header
    assert notes(running) == [("word", action, "input")]


async def test_of_several_checks_the_strongest_counts(gateway: GatewayFactory) -> None:
    checks = [
        check("keyword", action="shadow"),
        check("word", action="block", on="input"),
        check("keyword", action="flag"),
    ]
    async with gateway(moderation(*checks), classes=CLASSES, provider=answer("chat", "forbidden")) as running:
        assert (await running.chat("forbidden")).status == 400
        assert (await running.chat("Hello")).status == 200
    assert notes(running) == [("word", "flag", "output")]


# The client's headers, and rules


@pytest.mark.parametrize("header", ["Helicone-LLM-Security-Enabled", "Helicone-Prompt-Security-Enabled"])
async def test_clients_ask_for_security(gateway: GatewayFactory, header: str) -> None:
    async with gateway(["moderation"], classes=CLASSES) as running:
        assert (await running.chat(PHRASE)).status == 200
        assert "threat" not in running.exchanges[0].annotations
        reply = await running.chat(PHRASE, headers={header: "true"})
        assert (reply.status, reply.json()["error"]["code"]) == (400, "PROMPT_THREAT_DETECTED")
        assert (await running.chat("Hello", headers={header: "true"})).status == 200
        assert running.exchanges[2].annotations["threat"] is False


async def test_clients_ask_for_personal_data_to_be_redacted(gateway: GatewayFactory) -> None:
    async with gateway(["moderation"], classes=CLASSES, provider=answer("chat", "To [EMAIL_1]")) as running:
        reply = await running.chat(f"To {ADDRESS}", headers={"Helicone-Peyeeye-Enabled": "true"})
        assert running.provider.requests[0].json()["messages"][0]["content"] == "To [EMAIL_1]"
    assert text_of(reply, "chat") == f"To {ADDRESS}"


async def test_no_header_of_a_client_takes_a_check_away(gateway: GatewayFactory) -> None:
    async with gateway(moderation(check("injection")), classes=CLASSES) as running:
        headers = {"Helicone-LLM-Security-Enabled": "false", "Helicone-Moderations-Enabled": "false"}
        assert (await running.chat(PHRASE, headers=headers)).status == 400


async def test_rules_are_for_models_routes_and_keys(gateway: GatewayFactory) -> None:
    keys = {"mine": {"key": "sk-helicone-mine-0123456789"}, "other": {"key": "sk-helicone-other-0123456789"}}
    rules = [
        {"models": ["gpt-4o*"], "checks": [check("keyword")]},
        {"keys": ["other"], "checks": [check("secret")]},
    ]
    plugins = [{"security": {"keys": keys}}, {"moderation": {"rules": rules}}]

    async def status(text: str, model: str, key: str) -> int:
        headers = {"Helicone-Auth": f"Bearer sk-helicone-{key}-0123456789"}
        return (await running.chat(text, model=model, headers=headers)).status

    async with gateway(plugins, classes=CLASSES) as running:
        assert await status("forbidden", "gpt-4o-mini", "mine") == 400
        assert await status("forbidden", "gpt-5", "mine") == 200
        assert await status(KEY, "gpt-5", "mine") == 200
        assert await status(KEY, "gpt-5", "other") == 400


# Answers


@pytest.mark.parametrize("dialect", KITS)
async def test_an_answer_is_refused_whole_and_ends_cleanly_in_the_middle(gateway: GatewayFactory, dialect: str) -> None:
    words = "This goes on for quite a while before it comes to anything at all, as answers do: "
    provider = answer(dialect, [words, f"it is {KEY[:9]}", KEY[9:], " and", " nothing", " else."])
    async with gateway(moderation(check("secret")), classes=CLASSES, provider=provider) as running:
        whole = await ask(running, dialect)
        live = await ask(running, dialect, stream=True)
    assert whole.status == 400
    assert KEY not in whole.body.decode()
    assert (live.status, live.aborted) == (200, False)
    body = live.body.decode()
    assert words.startswith(text_of(live, dialect))
    assert "sk-test" not in body
    assert "content_filter" in body or "refusal" in body or "SAFETY" in body
    assert body.count("[DONE]") == (1 if dialect == "chat" else 0)
    assert body.count('"type":"message_stop"') == (1 if dialect == "messages" else 0)
    assert body.count('"type":"response.incomplete"') == (1 if dialect == "responses" else 0)
    assert notes(running, 0) == notes(running, 1) == [("test_key", "block", "output")]
    for exchange in running.exchanges:
        assert exchange.outcome is not None
        assert (exchange.outcome.kind, exchange.outcome.code) == ("refused", "PROMPT_FLAGGED_FOR_MODERATION")
        assert exchange.usage is not None
        assert exchange.annotations["cache.store"] is False


@pytest.mark.parametrize("dialect", KITS)
async def test_an_answer_is_redacted_alike_whole_and_streamed(gateway: GatewayFactory, dialect: str) -> None:
    provider = answer(dialect, ["Write to ali", "ce@exam", "ple.com or ", "bob@example.com", ". Good", " luck!"])
    async with gateway(moderation(check("pii", action="redact")), classes=CLASSES, provider=provider) as running:
        whole = await ask(running, dialect)
        live = await ask(running, dialect, stream=True)
    assert text_of(whole, dialect) == text_of(live, dialect) == "Write to [EMAIL] or [EMAIL]. Good luck!"
    assert "example.com" not in live.body.decode()
    assert notes(running, 0) == notes(running, 1)
    assert not running.faults


@pytest.mark.parametrize("dialect", KITS)
async def test_what_has_nothing_in_it_passes_as_it_came(gateway: GatewayFactory, dialect: str) -> None:
    call = ToolCall("look_up", {"who": "anybody", "n": [1, 2]})
    provider = answer(dialect, "Nothing in particular, and it goes on for a while.", tools=[call])
    async with gateway(classes=CLASSES, provider=provider) as without:
        expected = [await ask(without, dialect, stream=stream) for stream in (False, True)]
    config = moderation(check("secret", "pii", "injection"))
    async with gateway(config, classes=CLASSES, provider=provider) as running:
        replies = [await ask(running, dialect, stream=stream) for stream in (False, True)]
    assert [reply.body for reply in replies] == [reply.body for reply in expected]
    assert [exchange.annotations["threat"] for exchange in running.exchanges] == [False, False]


@pytest.mark.parametrize("dialect", KITS)
async def test_arguments_of_tools_are_answers_too(gateway: GatewayFactory, dialect: str) -> None:
    provider = answer(dialect, None, tools=[ToolCall("send", {"to": ADDRESS, "about": "ä"})])
    async with gateway(moderation(check("pii", action="redact")), classes=CLASSES, provider=provider) as running:
        bodies = [(await ask(running, dialect, stream=stream)).body.decode() for stream in (False, True)]
    assert notes(running, 0) == notes(running, 1) == [("email", "redact", "output")]
    for body in bodies:
        assert "example" not in body
        assert "EMAIL" in body


async def test_each_choice_is_a_text_of_its_own(gateway: GatewayFactory) -> None:
    def event(index: int, content: str) -> bytes:
        return b"data: %s\n\n" % msgspec.json.encode({"choices": [{"index": index, "delta": {"content": content}}]})

    events = (event(0, "It is sk-test-"), event(1, "Ab3dEf6hIj9lMn2p"), event(0, "nothing"), event(1, " at all"))
    stream = openai_chat.stream("x").parts
    provider = ScriptedProvider(default=of_events(*events, stream[-3], stream[-1]))
    async with gateway(moderation(check("secret")), classes=CLASSES, provider=provider) as running:
        reply = await running.chat(stream=True, n=2)
    assert notes(running) == []
    assert reply.body.startswith(b"".join(events))


@pytest.mark.parametrize("value", ['"\\ud800 ', '"\\ude00\\ud83d ', '"\xff '])
async def test_what_is_hardly_json_is_looked_at(gateway: GatewayFactory, value: str) -> None:
    event = b'data: {"choices": [{"index": 0, "delta": {"content": %s%s ok"}, "logprobs": NaN}]}\n\n'
    stream = openai_chat.stream("x").parts
    provider = ScriptedProvider(
        default=of_events(event % (value.encode("latin-1"), ADDRESS.encode()), stream[-3], stream[-1])
    )
    async with gateway(moderation(check("pii", action="redact")), classes=CLASSES, provider=provider) as running:
        assert text_of(await running.chat(stream=True), "chat").endswith(" [EMAIL] ok")


LIKELY = {"content": [{"token": ADDRESS, "logprob": -0.1, "bytes": [97], "top_logprobs": []}]}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("text", [f"It is {ADDRESS} ", "It is nothing. "])
async def test_how_likely_tokens_were_does_not_tell_what_was_redacted(
    gateway: GatewayFactory, stream: bool, text: str
) -> None:
    said = {"delta" if stream else "message": {"role": "assistant", "content": text}}
    body = {"id": "1", "model": "m", "choices": [{"index": 0, **said, "logprobs": LIKELY, "finish_reason": "stop"}]}
    end = openai_chat.stream("x").parts[-1]
    whole, events = of_json(body), of_events(b"data: " + msgspec.json.encode(body) + b"\n\n", end)
    provider = ScriptedProvider(default=events if stream else whole)
    async with gateway(moderation(check("pii", action="redact")), classes=CLASSES, provider=provider) as running:
        reply = await running.chat(stream=stream)
    assert (ADDRESS.encode() in reply.body) is ("nothing" in text)
    assert (b'"logprobs":null' in reply.body) is ("nothing" not in text)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("text", [f"It is {ADDRESS} ", "It is nothing. "])
async def test_what_repeats_the_text_does_not_tell_what_was_redacted(
    gateway: GatewayFactory, stream: bool, text: str
) -> None:
    supports = {"groundingSupports": [{"segment": {"endIndex": len(text), "text": text}}], "webSearchQueries": ["it"]}
    said: dict[str, Any] = {"index": 0, "content": {"role": "model", "parts": [{"text": text}]}}
    last = {
        "content": {"role": "model", "parts": [{"text": ""}]},
        "finishReason": "STOP",
        "groundingMetadata": supports,
    }
    whole = of_json({"candidates": [{**last, **said}]})
    events = of_events(
        *(b"data: " + msgspec.json.encode({"candidates": [each]}) + b"\r\n\r\n" for each in (said, last))
    )
    provider = ScriptedProvider(default=events if stream else whole)
    async with gateway(moderation(check("pii", action="redact")), classes=CLASSES, provider=provider) as running:
        reply = await ask(running, "gemini", stream=stream)
    assert ADDRESS.encode() not in reply.body
    assert (b'"endIndex"' in reply.body) is ("nothing" in text)
    assert b'"webSearchQueries"' in reply.body


async def test_quotations_are_looked_at(gateway: GatewayFactory) -> None:
    quoted = {"type": "text", "text": "So it says.", "citations": [{"type": "char_location", "cited_text": KEY}]}
    begin, *_, done = anthropic.stream("x").parts
    event = b'event: content_block_delta\ndata: {"type": "content_block_delta", "index": 0, "delta": '
    event += (
        b'{"type": "citations_delta", "citation": {"type": "char_location", "cited_text": "%s"}}}\n\n' % KEY.encode()
    )
    whole = of_json({"type": "message", "role": "assistant", "model": "m", "content": [quoted]})
    for stream, answered in ((False, whole), (True, of_events(begin, event, done))):
        provider = ScriptedProvider(default=answered)
        async with gateway(moderation(check("secret", action="redact")), classes=CLASSES, provider=provider) as running:
            reply = await running.message(stream=stream)
        assert b"[TEST_KEY]" in reply.body
        assert KEY.encode() not in reply.body


async def test_whole_texts_are_judged_at_their_end(gateway: GatewayFactory) -> None:
    provider = answer("chat", "Too long. " * 20)
    checks = check("length", on="output")
    async with gateway(moderation(checks), classes=CLASSES, provider=provider) as running:
        assert (await running.chat()).status == 400
        live = await running.chat(stream=True)
        assert live.body.startswith(b'data: {"id"')
        assert b"content_filter" in live.body
    config = moderation(checks, stream={"whole": True})
    async with gateway(config, classes=CLASSES, provider=provider) as running:
        live = await running.chat(stream=True)
        assert b"Too" not in live.body
        assert b"content_filter" in live.body


async def test_answers_of_another_dialect_are_looked_at_in_the_clients(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(default=anthropic.answer(["Write to alice@exa", "mple.com", " soon, please!"]))
    async with gateway([*moderation(check("pii")), "router"], classes=CLASSES, provider=provider) as running:
        whole = await running.chat(model="claude-sonnet-4-5")
        live = await running.chat(model="claude-sonnet-4-5", stream=True)
    assert whole.status == 400
    assert b"alice" not in live.body
    assert live.body.endswith(b"data: [DONE]\n\n")
    assert b"content_filter" in live.body
    assert not live.aborted


async def test_a_response_that_is_fetched_later_is_an_answer_too(gateway: GatewayFactory) -> None:
    async with gateway(
        moderation(check("secret")), classes=CLASSES, provider=answer("responses", f"It is {KEY}")
    ) as running:
        running.provider.default = openai_responses.reply(f"It is {KEY}")
        assert (await running.request("GET", RESPONSES + "/resp_1")).status == 400
        running.provider.default = openai_responses.stream(f"It is {KEY}")
        live = await running.request("GET", RESPONSES + "/resp_1?stream=true")
        assert live.status == 200
        assert KEY.encode() not in live.body
        assert (await running.request("GET", "/v1/models")).status == 200
        assert "threat" not in running.exchanges[-1].annotations


@pytest.mark.parametrize(("unread", "status"), [("pass", 200), ("refuse", 400)])
async def test_an_answer_in_a_coding_that_nobody_knows_is_noted_or_refused(
    gateway: GatewayFactory, unread: str, status: int
) -> None:
    coded = ScriptedResponse(200, (("content-type", "application/json"), ("content-encoding", "x-own")), (b"\xff\x00",))
    async with gateway(
        moderation(check("secret"), unread=unread), classes=CLASSES, provider=ScriptedProvider(default=coded)
    ) as running:
        reply = await running.request("POST", "/v1/something/else", json={"a": 1})
    assert (reply.status, b"\xff" in reply.body) == (status, status == 200)
    assert running.exchanges[0].annotations["moderation.unread"] == "answer"


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_an_answer_in_plain_text_is_looked_through(gateway: GatewayFactory, encoding: str) -> None:
    said = f"1\n00:00:01 --> 00:00:02\nWrite to {ADDRESS}.\n".encode()
    coded = (gzip.compress(said[:40]), gzip.compress(said[40:])) if encoding == "gzip" else (said[:40], said[40:])
    fields = (("content-type", "text/plain; charset=utf-8"), ("content-encoding", encoding))
    provider = ScriptedProvider(default=ScriptedResponse(200, fields, coded))
    form = b'--b\r\nContent-Disposition: form-data; name="response_format"\r\n\r\nsrt\r\n--b--\r\n'
    async with gateway(moderation(check("pii", action="redact")), classes=CLASSES, provider=provider) as running:
        reply = await running.request(
            "POST",
            "/v1/audio/transcriptions",
            content=form,
            headers={"content-type": "multipart/form-data; boundary=b"},
        )
    assert (reply.status, reply.body) == (200, said.replace(ADDRESS.encode(), b"[EMAIL]"))
    assert reply.headers.get("content-encoding") in (None, "identity")
    assert notes(running) == [("email", "redact", "output")]


async def test_geminis_arrays_are_streams(gateway: GatewayFactory) -> None:
    provider = answer("gemini", ["Write to ali", "ce@exam", "ple.com, ", f"or use {KEY}", "."])
    checks = (check("pii", action="redact"), check("secret"))
    async with gateway(moderation(*checks), classes=CLASSES, provider=provider) as running:
        body = {"contents": [{"parts": [{"text": "Hi"}]}]}
        reply = await running.request("POST", GEMINI + "streamGenerateContent", json=body)
    assert KEY.encode() not in reply.body
    assert b"alice" not in reply.body


async def test_two_of_them_note_what_both_found(gateway: GatewayFactory) -> None:
    first = {"moderation": {"checks": [check("keyword", action="flag")], "name": "outer"}}
    second = {"moderation": {"checks": [check("pii", action="redact", on="input")], "name": "inner"}}
    async with gateway([first, second], classes=CLASSES) as running:
        assert (await running.chat(f"forbidden {ADDRESS}")).status == 200
    assert notes(running) == [("word", "flag", "input"), ("email", "redact", "input")]


async def test_an_error_of_a_provider_is_no_answer(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(default=openai_chat.error(503, f"failed with {KEY}"))
    async with gateway(moderation(check("secret", on="output")), classes=CLASSES, provider=provider) as running:
        assert (await running.chat()).status == 503


async def test_a_stream_that_is_cut_says_so_and_lets_nothing_held_go(gateway: GatewayFactory) -> None:
    stream = openai_chat.stream(["Hello ", "sk-te", "st-Ab3d"]).cut(events=4)
    async with gateway(
        moderation(check("secret")), classes=CLASSES, provider=ScriptedProvider(default=stream)
    ) as running:
        reply = await running.chat(stream=True)
    assert reply.aborted
    assert b"sk-te" not in reply.body


async def test_bodies_that_nobody_can_read_are_noted(gateway: GatewayFactory) -> None:
    async with gateway(moderation(check("secret")), classes=CLASSES) as running:
        content = b"\x89PNG\0" + KEY.encode()
        await running.request("POST", "/v1/files", content=content, headers={"content-type": "image/png"})
    assert running.exchanges[0].annotations["moderation.unread"] == "request"
    assert running.exchanges[0].annotations["threat"] is None


@pytest.mark.parametrize("content_type", ["application/octet-stream", "multipart/form-data; boundary=x", "x"])
async def test_another_content_type_is_no_way_round_it(gateway: GatewayFactory, content_type: str) -> None:
    body = b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "%s"}]}' % PHRASE.encode()
    for action, status in (("block", 415), ("redact", 415), ("flag", 200)):
        async with gateway(moderation(check("injection", action=action)), classes=CLASSES) as running:
            reply = await running.request("POST", CHAT, content=body, headers={"content-type": content_type})
        assert reply.status == status
        assert len(running.provider.requests) == (status == 200)


async def test_what_cannot_be_looked_through_is_refused_where_that_is_wanted(gateway: GatewayFactory) -> None:
    for checks, status in ((check("secret"), 400), (check("secret", action="flag"), 200)):
        async with gateway(moderation(checks, unread="refuse"), classes=CLASSES) as running:
            upload = await running.request("POST", "/v1/files", content=b"\0", headers={"content-type": "text/plain"})
            assert (upload.status == 400) is (status == 400)
            assert (b"cannot_be_moderated" in upload.body) is (status == 400)
            assert (await running.chat()).status == 200
            assert (await running.request("GET", "/v1/files")).status != 400


async def test_a_request_that_is_too_long_to_look_through_is_refused_where_it_matters(gateway: GatewayFactory) -> None:
    for action, status in (("block", 413), ("flag", 200)):
        config = moderation(check("secret", action=action), max_characters=10)
        async with gateway(config, classes=CLASSES) as running:
            assert (await running.chat("a" * 11)).status == status
            assert (await running.chat("a" * 10)).status == 200


async def test_what_was_looked_through_before_is_not_looked_through_again(gateway: GatewayFactory) -> None:
    rules = [{"models": ["gpt-5"], "checks": [check("keyword")]}]
    async with gateway(moderation(check("secret", on="input"), rules=rules), classes=CLASSES) as running:
        (plugin,) = running.gateway.plugins
        assert isinstance(plugin, ModerationPlugin)
        for known in (0, 1, 2):
            assert (await running.chat("forbidden")).status == 200
            assert plugin._clean.hits == known
        assert (await running.chat("forbidden", model="gpt-5")).status == 400  # another plan
        for _ in range(2):
            assert (await running.chat(f"Hello {KEY}")).status == 400
        assert plugin._clean.hits == 2


async def test_gzip_is_read_and_so_is_what_was_escaped(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(default=openai_chat.reply(f"It is {KEY}").gzipped())
    async with gateway(moderation(check("secret")), classes=CLASSES, provider=provider) as running:
        assert (await running.chat(headers={"accept-encoding": "gzip"})).status == 400
        content = b'{"model": "gpt-4o-mini", "messages": [{"content": "\\u0073k-test-Ab3dEf6hIj9lMn2p"}]}'
        reply = await running.request("POST", CHAT, content=content, headers={"content-type": "application/json"})
        assert reply.status == 400


async def test_what_only_clients_ask_for_is_made_once_when_the_first_one_does(
    gateway: GatewayFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    configured = ModerationPlugin.detectors
    monkeypatch.setattr(ModerationPlugin, "detectors", lambda self: [made.append(1), configured(self)][1])
    async with gateway(["moderation"]) as running:
        assert (await running.chat(PHRASE)).status == 200
        assert made == []
        asking = {"Helicone-LLM-Security-Enabled": "true"}
        replies = await asyncio.gather(*(running.chat(PHRASE, headers=asking) for _ in range(5)))
        assert [reply.status for reply in replies] == [400] * 5
        assert made == [1]

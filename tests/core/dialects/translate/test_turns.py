"""Thoughts across turns: what a model signed comes back to its maker through any client, and goes to nobody else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from helicone_gw.dialects.translate.base import Destination
from helicone_gw.dialects.translate.translation import Made, translate
from helicone_gw.headers import Headers
from helicone_gw.helicone import EMPTY
from helicone_gw.model import Request
from helicone_gw.sse import EventSplitter, encode_event, event_data

SIGNATURE = "c2lnbmVkIQ=="
CALL = {"city": "Bern"}
ARGUMENTS = json.dumps(CALL)
MADE = Made("made-up", 1700000000)
MODELS = {"anthropic": "claude-sonnet-4-5", "gemini": "gemini-3-pro", "openai": "gpt-5-codex"}


def anthropic_answer() -> Any:
    content = [
        {"type": "thinking", "thinking": "Hm.", "signature": SIGNATURE},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": CALL},
    ]
    usage = {"input_tokens": 1, "output_tokens": 1}
    return {"id": "msg_1", "model": "m", "content": content, "stop_reason": "tool_use", "usage": usage}


def gemini_answer() -> Any:
    call = {"functionCall": {"name": "weather", "args": CALL}, "thoughtSignature": SIGNATURE}
    parts = [{"text": "Hm.", "thought": True}, call]
    return {"responseId": "r1", "candidates": [{"content": {"parts": parts, "role": "model"}, "finishReason": "STOP"}]}


def openai_answer() -> Any:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": SIGNATURE}
    call = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": "weather",
        "arguments": json.dumps(CALL),
    }
    return {"id": "resp_1", "object": "response", "status": "completed", "model": "m", "output": [thought, call]}


ANSWERS: dict[str, Callable[[], Any]] = {
    "anthropic": anthropic_answer,
    "gemini": gemini_answer,
    "openai": openai_answer,
}


def events_of(maker: str) -> list[bytes]:
    """The same answer as a stream."""
    answer = ANSWERS[maker]()
    if maker == "gemini":
        return [encode_event(json.dumps(answer).encode())]
    if maker == "openai":
        events: list[dict[str, Any]] = [{"type": "response.created", "response": {**answer, "output": []}}]
        for index, item in enumerate(answer["output"]):
            begun = {**item, "encrypted_content": None} if item["type"] == "reasoning" else {**item, "arguments": ""}
            events.append({"type": "response.output_item.added", "output_index": index, "item": begun})
            events.append({"type": "response.output_item.done", "output_index": index, "item": item})
        events.append({"type": "response.completed", "response": answer})
        return [encode_event(json.dumps(event).encode(), event["type"]) for event in events]
    thought, call = answer["content"]
    events = [
        {"type": "message_start", "message": {**answer, "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": {**thought, "thinking": "", "signature": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": SIGNATURE}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {**call, "input": {}}},
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": ARGUMENTS},
        },
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]
    return [encode_event(json.dumps(event).encode(), event["type"]) for event in events]


def request(client: str, body: Any, maker: str, *, stream: bool = False) -> Any:
    dialect, operation = CLIENTS[client]
    if client == "gemini" and stream:
        operation = "stream_generate_content"
    data = msgspec.json.encode({**body, "model": MODELS[maker], **({"stream": True} if stream else {})})
    one = Request(
        "POST", "/", "alt=sse", Headers(), data, dialect, operation, EMPTY, model=MODELS[maker], stream=stream
    )
    return translate(one, maker, Destination(maker, MODELS[maker]))


CLIENTS = {
    "chat": ("openai", "chat"),
    "responses": ("openai", "responses"),
    "messages": ("anthropic", "messages"),
    "gemini": ("gemini", "generate_content"),
}
TOOL = {"type": "object", "properties": {"city": {"type": "string"}}}
FIRST: dict[str, Any] = {
    "chat": {
        "messages": [{"role": "user", "content": "Hi"}],
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": TOOL}}],
        "reasoning_effort": "low",
    },
    "responses": {"input": [{"role": "user", "content": "Hi"}], "reasoning": {"effort": "low", "summary": "auto"}},
    "messages": {
        "max_tokens": 9000,
        "messages": [{"role": "user", "content": "Hi"}],
        "thinking": {"type": "enabled", "budget_tokens": 2000},
    },
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
}


def second(client: str, answer: Any) -> Any:
    """The next request as an agent sends it: the answer as it came, and the result of the tool."""
    first = FIRST[client]
    match client:
        case "chat":
            message = answer["choices"][0]["message"]
            result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "rain"}
            return {**first, "messages": [*first["messages"], message, result]}
        case "responses":
            call = answer["output"][-1]["call_id"]
            result = {"type": "function_call_output", "call_id": call, "output": "rain"}
            return {**first, "input": [*first["input"], *answer["output"], result]}
        case "messages":
            call = next(block["id"] for block in answer["content"] if block["type"] == "tool_use")
            result = {"type": "tool_result", "tool_use_id": call, "content": "rain"}
            turns = [{"role": "assistant", "content": answer["content"]}, {"role": "user", "content": [result]}]
            return {**first, "messages": [*first["messages"], *turns]}
    result = {"functionResponse": {"name": "weather", "response": {"result": "rain"}}}
    turns = [answer["candidates"][0]["content"], {"role": "user", "parts": [result]}]
    return {**first, "contents": [*first["contents"], *turns]}


def added_up(client: str, data: bytes) -> Any:
    """The answer that a stream adds up to, as the client's SDK adds it."""
    events = [event_data(event) for event in EventSplitter(1 << 20).feed(data)]
    found = [json.loads(event) for event in events if event != b"[DONE]"]
    if client == "responses":
        return found[-1]["response"]
    if client == "gemini":
        parts = [part for each in found for part in each["candidates"][0]["content"]["parts"]]
        return {"candidates": [{"content": {"role": "model", "parts": parts}}]}
    if client == "messages":
        blocks: dict[int, dict[str, Any]] = {}
        for event in found:
            if event["type"] == "content_block_start":
                blocks[event["index"]] = {**event["content_block"], "json": ""}
            elif event["type"] == "content_block_delta":
                block, delta = blocks[event["index"]], event["delta"]
                for name, key in (("thinking", "thinking"), ("signature", "signature"), ("partial_json", "json")):
                    block[key] = block.get(key, "") + delta.get(name, "") if name in delta else block.get(key, "")
        for block in blocks.values():
            text = block.pop("json")
            if block["type"] == "tool_use":
                block["input"] = json.loads(text)
                del block["thinking"], block["signature"]
        return {"content": list(blocks.values())}
    message: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": [], "thinking_blocks": []}
    for each in found:
        for choice in each["choices"]:
            for kind in ("tool_calls", "thinking_blocks"):
                for piece in choice["delta"].get(kind, ()):
                    add(message[kind], piece)
    return {"choices": [{"message": message}]}


def add(items: list[dict[str, Any]], piece: dict[str, Any]) -> None:
    """What SDKs do with pieces that have an index: strings are joined."""
    index = piece["index"]
    if index == len(items):
        items.append({key: value for key, value in piece.items() if key != "index"})
        return
    for key, value in piece.items():
        if key == "function":
            items[index][key]["arguments"] += value["arguments"]
        elif key not in ("index", "type"):
            items[index][key] = items[index].get(key, "") + value


OTHERS = [(client, maker) for client in CLIENTS for maker in MODELS if CLIENTS[client][0] != maker]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("client", "maker"), OTHERS)
def test_what_a_model_signed_comes_back_to_its_maker_alone(client: str, maker: str, streamed: bool) -> None:
    first = request(client, FIRST[client], maker, stream=streamed)
    if streamed:
        translator = first.stream(MADE)
        data = b"".join(translator.feed(event) for event in events_of(maker)) + translator.finish()
        answer = added_up(client, data)
    else:
        answer = json.loads(first.reply(json.dumps(ANSWERS[maker]()).encode(), MADE))
    again = request(client, second(client, answer), maker)
    assert SIGNATURE in again.outgoing.body.decode()
    assert "rain" in again.outgoing.body.decode()
    for other in MODELS:
        if other not in (maker, CLIENTS[client][0]):
            elsewhere = request(client, second(client, answer), other)
            assert SIGNATURE not in elsewhere.outgoing.body.decode()
            assert b"rain" in elsewhere.outgoing.body


def test_gemini_gets_a_stand_in_for_the_signature_of_a_foreign_call() -> None:
    first = request("chat", FIRST["chat"], "anthropic")
    answer = json.loads(first.reply(json.dumps(anthropic_answer()).encode(), MADE))
    elsewhere = msgspec.json.decode(request("chat", second("chat", answer), "gemini").outgoing.body)
    (called,) = [part for content in elsewhere["contents"] for part in content["parts"] if "functionCall" in part]
    assert called["thoughtSignature"] == "skip_thought_signature_validator"

"""Replicate's predictions: conversations as prompts, and answers whole or streamed."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helicone_gw.dialects.translate.conversation import (
    Audio,
    ConversationRequest,
    Document,
    Image,
    Message,
    Reasoning,
    ResponseFormat,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.replicate_predictions import ReplicateEgress
from helicone_gw.dialects.translate.reply import Choice, ConversationReply, Ended, Failed
from helicone_gw.errors import BadRequest
from helicone_gw.model import Usage
from helicone_gw.sse import encode_event
from tests.core.dialects.translate.asking import PIXEL, asked, assistant, body, requests, results, to, user
from tests.core.dialects.translate.folding import fold, read_all

LLAMA = "meta/meta-llama-3-70b-instruct"
VERSION = "02e509c789964a7ea8736978a43525956ef40397be9033abf9fd2badfe68c9e3"
REPLICATE = ReplicateEgress()
METRICS = {"input_token_count": 12, "output_token_count": 30}
WORDS = st.lists(st.text("abc é{}", min_size=1, max_size=6), max_size=4)


def written(request: ConversationRequest, model: str = LLAMA) -> tuple[Any, list[str]]:
    """The inputs, and what was lost."""
    loss = Loss()
    return body(REPLICATE.write_request(request, to("replicate", model), loss))["input"], list(loss.paths)


@pytest.mark.parametrize("model", [LLAMA, "openai/gpt-5", "anthropic/claude-4-sonnet", "google/gemini-2.5-flash"])
@settings(max_examples=40)
@given(data=st.data())
def test_whatever_is_asked_is_plain_inputs(model: str, data: st.DataObject) -> None:
    request = data.draw(requests(model))
    inputs, lost = written(request, model)
    assert isinstance(inputs["prompt"], str)
    for value in inputs.values():
        assert isinstance(value, str | int | float) or all(isinstance(each, str) for each in value)
    with pytest.raises(BadRequest, match="without loss") if lost else contextlib.nullcontext():
        REPLICATE.write_request(request, to("replicate", model), Loss(strict=True))


@pytest.mark.parametrize(
    ("model", "path", "version"),
    [
        (LLAMA, f"/v1/models/{LLAMA}/predictions", None),
        (f"meta/llama-2:{VERSION}", "/v1/predictions", VERSION),
        (VERSION, "/v1/predictions", VERSION),
        ("deployments/acme/chat", "/v1/deployments/acme/chat/predictions", None),
    ],
)
def test_where_a_model_is(model: str, path: str, version: str | None) -> None:
    for stream in (False, True):
        request = asked(user("Hi"), stream=stream)
        outgoing = REPLICATE.write_request(request, to("replicate", model), Loss())
        assert (outgoing.path, outgoing.operation) == (path, "predictions")
        assert outgoing.headers.get("prefer") == (None if stream else "wait")
        value = json.loads(outgoing.body)
        assert (value.get("version"), value.get("stream")) == (version, True if stream else None)


@pytest.mark.parametrize("model", ["gpt-4o", "a/b/c", "../x", "a/b?c=d", "deployments/a"])
def test_names_that_no_model_has(model: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        written(asked(user("Hi")), model)
    assert refusal.value.code == "model_not_found"


def test_one_question_is_the_prompt() -> None:
    request = asked(
        user("Hi"),
        system=(Text("Be brief."),),
        max_tokens=9,
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        seed=7,
        stop=("a", "b"),
    )
    common = {"prompt": "Hi", "temperature": 0.5, "top_p": 0.9, "top_k": 40, "seed": 7, "stop_sequences": "a,b"}
    assert written(request) == ({**common, "system_prompt": "Be brief.", "max_tokens": 9}, [])
    assert written(request, "openai/gpt-5")[0] == {
        **common,
        "system_prompt": "Be brief.",
        "max_completion_tokens": 9,
    }
    assert written(request, "google/gemini-2.5-flash")[0] == {
        **common,
        "system_instruction": "Be brief.",
        "max_output_tokens": 9,
    }


def test_several_turns_are_told_as_one_text() -> None:
    request = asked(
        user("Weather?"),
        assistant(ToolCall("1", "look", '{"a":1}')),
        results(ToolResult("1", (Text("sunny"),))),
        user("And?"),
    )
    inputs, lost = written(request)
    assert inputs["prompt"] == 'User: Weather?\n\nAssistant: look({"a":1})\n\nTool: sunny\n\nUser: And?\n\nAssistant:'
    assert lost == ["messages.content.tool_calls", "messages.content.tool_result", "messages.role"]


@pytest.mark.parametrize(
    ("request_", "lost"),
    [
        (asked(user("a"), tools=(Tool("f"),)), ["tools"]),
        (asked(user("a"), response_format=ResponseFormat()), ["response_format"]),
        (asked(user("a"), stop=("a,b",)), ["stop"]),
        (asked(user("a"), n=2, user="u"), ["n", "user"]),
        (asked(user("a"), reasoning=Reasoning("low")), ["reasoning_effort"]),
        (asked(user("a", Audio("AAAA", "audio/wav"))), ["messages.content.audio"]),
        (asked(user("a", Document(file_id="f"))), ["messages.content.document"]),
        (asked(user("a", Image(data=PIXEL, media_type="image/png"))), ["messages.content.image"]),
        (asked(user("a", Thinking("hm"))), ["messages.content.thinking"]),
        (asked(Message("user", (Text("a", cache="5m"),))), ["messages.content.cache_control"]),
        (asked(user("a", Document(text="b", name="n"))), []),
    ],
)
def test_what_has_no_word_is_lost(request_: ConversationRequest, lost: list[str]) -> None:
    assert written(request_)[1] == lost


def test_pictures_and_effort_where_a_makers_models_take_them() -> None:
    picture = f"data:image/png;base64,{PIXEL}"
    request = asked(
        user("a", Image(url="https://e.com/a.png"), Image(data=PIXEL, media_type="image/png")),
        reasoning=Reasoning("xhigh"),
    )
    inputs, lost = written(request, "openai/gpt-5")
    assert (inputs["image_input"], inputs["reasoning_effort"], lost) == (["https://e.com/a.png", picture], "high", [])
    inputs, lost = written(request, "anthropic/claude-4-sonnet")
    assert (inputs["image"], lost) == (picture, ["messages.content.image", "reasoning_effort"])


def prediction(**members: Any) -> bytes:
    return json.dumps({"id": "p1", "model": LLAMA, "status": "succeeded", "metrics": METRICS, **members}).encode()


@given(WORDS)
def test_a_stream_says_what_the_whole_answer_says(words: list[str]) -> None:
    unary = REPLICATE.read_reply(prediction(output=words), Loss())
    sent = [encode_event(word.encode(), "output") for word in words]
    sent += [encode_event(prediction(), "prediction"), encode_event(b"{}", "done")]
    streamed = fold(read_all(REPLICATE.stream_reader(Loss()), sent))
    assert streamed.choices == unary.choices
    assert streamed.usage == unary.usage == Usage(12, 30)


def test_a_reply() -> None:
    loss = Loss()
    reply = REPLICATE.read_reply(prediction(output="Hi", created_at="2026-11-26T12:00:00.5Z"), loss)
    assert reply == ConversationReply("p1", LLAMA, [Choice([Text("Hi")], "stop")], 1795694400, Usage(12, 30))
    assert REPLICATE.read_reply(prediction(output=None), loss).choices == [Choice([], "stop")]
    assert loss.paths == ()
    assert REPLICATE.read_reply(prediction(output={"text": "a"}), loss).choices[0].parts == [Text('{"text":"a"}')]
    assert loss.paths == ("output",)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", prediction(status="failed", error="no")])
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        REPLICATE.read_reply(body, Loss())


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (b'event: error\ndata: {"detail":"no memory"}\n\n', "no memory"),
        (b"event: error\ndata: plain\n\n", "plain"),
        (b'event: done\ndata: {"reason":"canceled"}\n\n', "The prediction ended early: canceled."),
    ],
)
def test_an_error_in_the_middle(event: bytes, message: str) -> None:
    reader = REPLICATE.stream_reader(Loss())
    reader.feed(b"event: output\ndata: a\n\n")
    (failed,) = reader.feed(event)
    assert isinstance(failed, Failed)
    assert failed.message == message
    assert reader.feed(b"event: done\ndata: {}\n\n") == ()


def test_a_stream_without_its_end_was_cut() -> None:
    events = read_all(REPLICATE.stream_reader(Loss()), [b"event: output\ndata: a\n\n"])
    assert not any(isinstance(each, Ended) for each in events)

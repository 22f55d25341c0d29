"""Bodies of other dialects as clouds and vendors take them at paths of their own."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from helicone_gw.dialects import wire_format
from helicone_gw.dialects.base import WireFormat


def wire(dialect: str, operation: str) -> WireFormat:
    found = wire_format(dialect, operation)
    assert found is not None
    return found


def body(**members: Any) -> bytes:
    return msgspec.json.encode(members)


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        (body(prompt="Q"), body(generation="A")),
        (body(inputText="Q"), body(results=[{"outputText": "A"}])),
        (body(prompt="Q"), body(outputs=[{"text": "A"}])),
        (body(message="Q"), body(text="A")),
        (body(textToImageParams={"text": "Q"}), body(results=[{"outputText": "A"}])),
        (body(text_prompts=[{"text": "Q"}]), body(completion="A")),
        (body(messages=[{"role": "user", "content": [{"text": "Q"}]}]), body(output={"message": {"content": "A"}})),
        (body(messages=[{"role": "user", "content": "Q"}]), body(choices=[{"message": {"content": "A"}}])),
        (body(system="Q"), body(type="message", content=[{"type": "text", "text": "A"}])),
    ],
)
def test_an_invoked_model_is_read_whoever_made_it(asked: bytes, answered: bytes) -> None:
    invoke = wire("bedrock", "invoke")
    assert invoke.prompt_text(asked) == ["Q"]
    assert invoke.with_prompt_text(asked, lambda text: "other") == asked.replace(b'"Q"', b'"other"')
    assert invoke.reply_text(answered) == ["A"]
    assert invoke.with_model(asked, "m") == asked


def test_usage_of_an_invoked_model_is_read_where_it_is_anthropics() -> None:
    reply = wire("bedrock", "invoke").reply(body(type="message", usage={"input_tokens": 3, "output_tokens": 4}))
    assert reply.usage is not None
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (3, 4)
    assert wire("bedrock", "invoke").reply(body(generation="A", prompt_token_count=3)).usage is None


def test_a_model_that_nobody_acts_on_is_none() -> None:
    said = body(model="m", stream=True, messages=[])
    assert wire("openai", "fim").envelope(said).model == "m"
    for dialect, operation in (("openai", "agents"), ("replicate", "create_prediction")):
        assert wire(dialect, operation).envelope(said).model is None
    assert wire("openai", "agents").with_model(said, "n") == said
    assert wire("openai", "fim").with_model(said, "n") == said.replace(b'"m"', b'"n"')


def test_a_prediction_in_pieces_is_one_text() -> None:
    predictions, answer = wire("replicate", "create_prediction"), body(status="failed", output=["se", "cr", "et"])
    assert predictions.reply_text(answer) == ["secret"]
    assert predictions.with_reply_text(answer, str.upper) == body(status="failed", output=["SECRET", "", ""])
    assert predictions.with_reply_text(answer, str) == answer
    assert predictions.reply(answer).error is None

"""Custom tools take free text at OpenAI; elsewhere they are functions of one text, and in the answer custom again."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from helicone_gw.dialects.translate.base import Destination
from helicone_gw.dialects.translate.custom_tools import PARAMETERS, unwrapped
from helicone_gw.dialects.translate.translation import Made, Translation, translate
from helicone_gw.headers import Headers
from helicone_gw.helicone import EMPTY
from helicone_gw.model import Request
from helicone_gw.sse import EventSplitter, event_data
from helicone_gw.testing.dialects import ToolCall, anthropic, gemini, openai_chat

PATCH = '*** Begin Patch\n+ "x"\n*** End Patch'
GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: patch"}
PROVIDERS: dict[str, tuple[Any, str, str]] = {
    "claude-sonnet-4-5": (anthropic, "anthropic", "anthropic"),
    "gemini-2.5-flash": (gemini, "gemini", "gemini"),
    "mistral-large": (openai_chat, "openai", "mistral"),
}
MADE = Made("id", 1)


def asked(model: str, *, stream: bool = False) -> Translation:
    body = {
        "input": [
            {"role": "user", "content": "Patch it."},
            {"type": "custom_tool_call", "call_id": "c0", "name": "patch", "input": PATCH},
            {"type": "custom_tool_call_output", "call_id": "c0", "output": "done"},
        ],
        "tools": [{"type": "custom", "name": "patch", "description": "Patches.", "format": GRAMMAR}],
        "model": model,
        "stream": stream,
    }
    _, dialect, provider = PROVIDERS[model]
    data = msgspec.json.encode(body)
    request = Request("POST", "/", "", Headers(), data, "openai", "responses", EMPTY, model=model, stream=stream)
    return translate(request, dialect, Destination(provider, model))


@pytest.mark.parametrize("model", PROVIDERS)
def test_asked_as_a_function(model: str) -> None:
    how = asked(model)
    body = how.outgoing.body.decode()
    assert "Begin Patch" in body
    assert "start: patch" in body
    assert how.loss.paths == ()
    if model.startswith("claude"):
        (tool,) = json.loads(body)["tools"]
        assert tool["input_schema"] == PARAMETERS
        assert json.loads(body)["messages"][1]["content"][0]["input"] == {"input": PATCH}


@pytest.mark.parametrize("model", PROVIDERS)
def test_answered_as_a_custom_call_whole_and_streamed(model: str) -> None:
    kit = PROVIDERS[model][0]
    call = ToolCall("patch", {"input": PATCH}, id="c1")
    whole = json.loads(asked(model).reply(kit.reply(None, tools=[call]).body, MADE))
    translator = asked(model, stream=True).stream(MADE)
    assert translator is not None
    sent = EventSplitter(1 << 20).feed(kit.stream(None, tools=[call]).body)
    data = b"".join(translator.feed(event) for event in sent)
    events = [json.loads(event_data(event)) for event in EventSplitter(1 << 20).feed(data + translator.finish())]
    deltas = [event["delta"] for event in events if event["type"] == "response.custom_tool_call_input.delta"]
    assert "".join(deltas) == PATCH
    for response in (whole, events[-1]["response"]):
        (item,) = (item for item in response["output"] if "call_id" in item)
        assert (item["type"], item["name"], item["input"]) == ("custom_tool_call", "patch", PATCH)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [('{"input":"a"}', "a"), ('{"input":7}', '{"input":7}'), ("plain", "plain"), ("[1]", "[1]"), ("", "")],
)
def test_what_is_in_the_arguments(arguments: str, text: str) -> None:
    assert unwrapped(arguments) == text

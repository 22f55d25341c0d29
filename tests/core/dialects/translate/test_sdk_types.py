"""What is written for clients is valid by the types of their official SDKs, whole and event by event."""

from __future__ import annotations

import json
import warnings
from typing import Any

import pytest
from anthropic.types import Message as AnthropicMessage
from anthropic.types import RawMessageStreamEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from helicone_gw.dialects.translate.conversation import ConversationRequest, Message, Text
from helicone_gw.dialects.translate.conversations import CHAT, COMPLETIONS, GEMINI, MESSAGES, RESPONSES
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.sse import EventSplitter, event_data
from tests.core.dialects.translate.generated import replies, stream_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own, at import
    from google.genai.types import GenerateContentResponse

ASKED = ConversationRequest("a-model", [Message("user", (Text("Hi"),))], include_usage=True, stream=True)
CLIENTS: dict[str, tuple[Any, TypeAdapter[Any], TypeAdapter[Any]]] = {
    "chat": (CHAT, TypeAdapter(ChatCompletion), TypeAdapter(ChatCompletionChunk)),
    "completions": (COMPLETIONS, TypeAdapter(Completion), TypeAdapter(Completion)),
    "responses": (RESPONSES, TypeAdapter(Response), TypeAdapter(ResponseStreamEvent)),
    "messages": (MESSAGES, TypeAdapter(AnthropicMessage), TypeAdapter(RawMessageStreamEvent)),
    "gemini": (GEMINI, TypeAdapter(GenerateContentResponse), TypeAdapter(GenerateContentResponse)),
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("maker", ["anthropic", "openai", "google"])
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_answers_are_what_the_sdk_says(client: str, maker: str, data: st.DataObject) -> None:
    codec, whole, event = CLIENTS[client]
    reply = data.draw(replies(vendor=maker))
    whole.validate_json(codec.write_reply(reply, ASKED, Loss()))
    writer = codec.stream_writer(ASKED, Loss())
    sent = b"".join(writer.feed(each) for each in stream_of(reply)) + writer.finish()
    for each in EventSplitter(1 << 20).feed(sent):
        if (found := event_data(each)) != b"[DONE]":
            event.validate_python(unfinished(json.loads(found)) if client == "completions" else json.loads(found))


def unfinished(chunk: Any) -> Any:
    """The SDK types a chunk as a whole completion, which OpenAI's own chunks are not before the last."""
    for choice in chunk["choices"]:
        choice["finish_reason"] = choice["finish_reason"] or "stop"
    return chunk

"""Answers: what is written in a dialect is read back the same, and a stream says what the whole answer says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from helicone_gw.dialects import wire_format
from helicone_gw.dialects.translate.conversation import ConversationRequest, Message, Text, Thinking, ToolCall
from helicone_gw.dialects.translate.conversations import CHAT, GEMINI, MESSAGES, RESPONSES
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.reply import ConversationReply
from helicone_gw.sse import EventSplitter
from tests.core.dialects.translate.generated import gathered, replies, stream_of

ASKED = ConversationRequest("a-model", [Message("user", (Text("Hi"),))], include_usage=True, stream=True)
DIALECTS: dict[str, tuple[Any, str]] = {
    "chat": (CHAT, "openai"),
    "responses": (RESPONSES, "openai"),
    "messages": (MESSAGES, "anthropic"),
    "gemini": (GEMINI, "google"),
}
OPERATIONS = {"chat": "chat", "responses": "responses", "messages": "messages", "gemini": "stream_generate_content"}


def comparable(reply: ConversationReply, *, ids: bool = False) -> dict[str, Any]:
    """What has to survive: parts, stop reason, usage. Ids of thoughts are the dialect's own."""
    choice = reply.choices[0]
    parts = [
        replace(part, id=None, vendor=part.vendor if part.signature else None) if isinstance(part, Thinking) else part
        for part in choice.parts
    ]
    usage = reply.usage
    if usage is not None:  # responses must name every class, so that there zero may mean unknown
        usage = replace(usage, service_tier=None, cache_write_tokens=usage.cache_write_tokens or None)
    return {"parts": parts, "stop": choice.stop, "usage": usage, "model": reply.model}


def streamed(codec: Any, reply: ConversationReply, loss: Loss) -> bytes:
    writer = codec.stream_writer(ASKED, loss)
    return b"".join(writer.feed(event) for event in stream_of(reply)) + writer.finish()


def read_stream(codec: Any, data: bytes, loss: Loss) -> ConversationReply:
    reader = codec.stream_reader(loss)
    events = [event for whole in EventSplitter(1 << 20).feed(data) for event in reader.feed(whole)]
    return gathered([*events, *reader.finish()])


@pytest.mark.parametrize("name", DIALECTS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_written_answer_is_read_back_the_same_whole_and_streamed(name, data):
    codec, vendor = DIALECTS[name]
    reply = data.draw(replies(vendor=vendor))
    loss = Loss()
    whole = codec.read_reply(codec.write_reply(reply, ASKED, loss), loss)
    in_pieces = read_stream(codec, streamed(codec, reply, loss), loss)
    assert comparable(whole) == comparable(reply)
    assert comparable(in_pieces) == comparable(reply)
    assert loss.paths == ()


@pytest.mark.parametrize("name", DIALECTS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_the_core_reads_the_same_usage_from_what_is_written_whole_or_streamed(name, data):
    codec, vendor = DIALECTS[name]
    reply = data.draw(replies(vendor=vendor))
    wire = wire_format(codec.dialect, OPERATIONS[name])
    assert wire is not None
    whole = wire.reply(codec.write_reply(reply, ASKED, Loss()))
    reader = wire.stream_reader()
    for event in EventSplitter(1 << 20).feed(streamed(codec, reply, Loss())):
        assert reader.feed(event).error is None
    assert reader.complete
    assert reader.usage == whole.usage
    assert (reader.stop_reason, reader.model) == (whole.stop_reason, whole.model)
    assert whole.usage is not None
    assert reply.usage is not None
    assert whole.usage.input_tokens == reply.usage.input_tokens
    assert whole.usage.output_tokens == reply.usage.output_tokens


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("maker", ["anthropic", "openai", "google"])
def test_a_signature_goes_through_every_dialect_marked_with_its_maker(name, maker):
    codec, _ = DIALECTS[name]
    reply = ConversationReply("id1", "m", [_choice([Thinking("hm", "c2lnbg==", vendor=maker)])], 1)
    loss = Loss()
    for found in (
        codec.read_reply(codec.write_reply(reply, ASKED, loss), loss),
        read_stream(codec, streamed(codec, reply, loss), loss),
    ):
        (thought,) = found.choices[0].parts
        assert (thought.text, thought.signature, thought.vendor) == ("hm", "c2lnbg==", maker)


def _choice(parts: list[Any]) -> Any:
    from helicone_gw.dialects.translate.reply import Choice

    return Choice(parts, "tool_calls" if any(isinstance(part, ToolCall) for part in parts) else "stop")

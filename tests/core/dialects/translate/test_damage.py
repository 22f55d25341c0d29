"""Damage: whatever clients and providers send, translation answers with an error of its own or reads on."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helicone_gw.dialects.translate.base import Destination
from helicone_gw.dialects.translate.conversation import ConversationRequest, Message, Text
from helicone_gw.dialects.translate.conversations import CHAT, COMPLETIONS, GEMINI, MESSAGES, RESPONSES
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.errors import BadRequest, MalformedBody
from helicone_gw.sse import EventSplitter, encode_event, event_data, event_name
from helicone_gw.testing.dialects import ToolCall, anthropic, gemini, openai_chat, openai_responses
from tests.docs import dialects_samples as samples

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("ab\u20ac", max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=3), inner, max_size=3),
    max_leaves=6,
)
REQUESTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "chat": (CHAT, samples.CHAT),
    "responses": (RESPONSES, samples.RESPONSES),
    "completions": (COMPLETIONS, samples.COMPLETIONS),
    "messages": (MESSAGES, samples.MESSAGES),
    "gemini": (GEMINI, samples.GEMINI),
}
EGRESS: dict[str, tuple[Any, str, str, Any]] = {
    "chat": (CHAT, "openai", "gpt-4o", openai_chat),
    "responses": (RESPONSES, "openai", "gpt-5", openai_responses),
    "messages": (MESSAGES, "anthropic", "claude-sonnet-4-5", anthropic),
    "gemini": (GEMINI, "gemini", "gemini-3-pro", gemini),
}
CALLS = [ToolCall("weather", {"city": "Zürich"})]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inner for place in places(each, (*path, key)))]


def damaged(draw: Any, value: Any) -> Any:
    """``value`` with something else at one of its places."""
    found = copy.deepcopy(value)
    path = draw(st.sampled_from(places(found)[1:]))
    holder = found
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = draw(JSON)
    return found


@pytest.mark.parametrize("name", REQUESTS)
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_damaged_request_is_refused_by_name_or_carried(name: str, data: st.DataObject) -> None:
    codec, body = REQUESTS[name]
    broken = msgspec.json.encode(damaged(data.draw, body))
    try:
        request = codec.read_request(broken, Loss(), model="m", stream=False)
    except BadRequest as refused:
        if isinstance(refused, MalformedBody) and "must be" not in refused.message:
            raise
        return
    for egress, provider, model, _ in EGRESS.values():
        written = egress.write_request(request, Destination(provider, model), Loss())
        msgspec.json.decode(written.body)


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"text"', b"{", b"\xff", b"[" * 5000])
def test_what_is_no_object_is_refused(name: str, body: bytes) -> None:
    with pytest.raises(MalformedBody):
        REQUESTS[name][0].read_request(body, Loss(), model="m", stream=False)


@pytest.mark.parametrize("client", ["chat", "responses", "messages", "gemini"])
@pytest.mark.parametrize("name", EGRESS)
@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_a_damaged_answer_is_read_or_is_none(client: str, name: str, data: st.DataObject) -> None:
    codec, _, _, kit = EGRESS[name]
    value = msgspec.json.decode(kit.reply("Hello", tools=CALLS).body)
    asked = ConversationRequest("m", [Message("user", (Text("Hi"),))])
    try:
        reply = codec.read_reply(msgspec.json.encode(damaged(data.draw, value)), Loss())
    except ValueError:
        return
    msgspec.json.decode(REQUESTS[client][0].write_reply(reply, asked, Loss()))


@pytest.mark.parametrize("client", REQUESTS)
@pytest.mark.parametrize("name", EGRESS)
@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_a_damaged_stream_raises_nothing(client: str, name: str, data: st.DataObject) -> None:
    codec, _, _, kit = EGRESS[name]
    events = EventSplitter(1 << 20).feed(kit.stream("Hello", tools=CALLS).body)
    at = data.draw(st.integers(0, len(events) - 1))
    broken = encode_event(b"{" if data.draw(st.booleans()) else b"[1]", event_name(events[at]))
    if event_data(events[at]).startswith(b"{"):
        value = damaged(data.draw, msgspec.json.decode(event_data(events[at])))
        broken = encode_event(msgspec.json.encode(value), event_name(events[at]))
    events[at] = broken
    order = data.draw(st.permutations(range(len(events)))) if data.draw(st.booleans()) else range(len(events))
    asked = ConversationRequest("m", [Message("user", (Text("Hi"),))], stream=True, include_usage=True)
    reader, writer = codec.stream_reader(Loss()), REQUESTS[client][0].stream_writer(asked, Loss())
    out = b"".join(writer.feed(each) for index in order for each in reader.feed(events[index]))
    out += b"".join(writer.feed(each) for each in reader.finish()) + writer.finish()
    for event in EventSplitter(1 << 20).feed(out):
        if not event_data(event).startswith(b"[DONE]"):
            msgspec.json.decode(event_data(event))

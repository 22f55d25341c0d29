"""Requests in neutral form, generated: what writers of providers' dialects are given."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from helicone_gw.dialects.translate.base import Destination, Outgoing
from helicone_gw.dialects.translate.conversation import (
    Audio,
    Citation,
    ConversationRequest,
    Document,
    Image,
    Message,
    Reasoning,
    Refusal,
    ResponseFormat,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)

PIXEL = "iVBORw0KGgo="
WORDS = st.text("abc é\n", max_size=8)
NAMES = st.sampled_from(["weather", "get time", "лучше", "a" * 70, "1st", "f.g"])
IDS = st.sampled_from(["call_1", "toolu_01A", "call|2", "x" * 80, "c.d:e"])
CACHE = st.sampled_from([None, None, "5m", "1h"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.text("ab", max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab", max_size=3), inner, max_size=2),
    max_leaves=4,
)
OBJECTS = st.dictionaries(st.text("abc", min_size=1, max_size=3), JSON, max_size=3)
SCHEMAS = OBJECTS.map(lambda extra: {"type": "object", "properties": {}, **extra})
ARGUMENTS = OBJECTS.map(json.dumps) | st.sampled_from(["", "{", "[1]", "plain text"])

TEXTS = st.builds(Text, WORDS, CACHE, st.sampled_from([(), (Citation(url="https://example.com"),)]))
IMAGES = st.sampled_from(
    [
        Image(data=PIXEL, media_type="image/png"),
        Image(data=PIXEL, media_type="image/tiff"),
        Image(url="https://example.com/a.png", detail="high"),
        Image(url="s3://bucket/a.jpeg"),
        Image(file_id="file-1"),
    ]
)
AUDIO = st.sampled_from([Audio("AAAA", "audio/wav"), Audio("AAAA", "audio/x-odd")])
DOCUMENTS = st.sampled_from(
    [
        Document(data="AAAA", media_type="application/pdf", name="Report: Q1/Q2.pdf", citations=True),
        Document(text="plain", name="notes", context="from the wiki"),
        Document(url="https://example.com/a.pdf", media_type="application/pdf"),
        Document(file_id="file-2"),
        Document(data="AAAA", media_type="application/x-odd"),
    ]
)
THOUGHTS = st.sampled_from(
    [
        Thinking("hm", "c2lnbg==", vendor="anthropic"),
        Thinking("hm", vendor="other"),
        Thinking(redacted="c2VjcmV0", vendor="anthropic"),
        Thinking("hm", "sig", vendor="google"),
        Thinking("summary", vendor="openai", id="rs_1"),
    ]
)
CALLS = st.builds(ToolCall, IDS, NAMES, ARGUMENTS, custom=st.sampled_from([False, False, True]), cache=CACHE)
RESULTS = st.builds(
    ToolResult,
    IDS,
    st.lists(TEXTS | IMAGES | DOCUMENTS | AUDIO, max_size=2).map(tuple),
    st.none() | NAMES,
    st.booleans(),
    CACHE,
)
MESSAGES = st.one_of(
    st.builds(Message, st.just("user"), st.lists(TEXTS | IMAGES | AUDIO | DOCUMENTS, max_size=3).map(tuple)),
    st.builds(
        Message,
        st.just("assistant"),
        st.lists(TEXTS | THOUGHTS | CALLS | st.builds(Refusal, WORDS), max_size=3).map(tuple),
    ),
    st.builds(Message, st.just("tool"), st.lists(RESULTS, min_size=1, max_size=2).map(tuple)),
    st.builds(Message, st.just("system"), st.lists(TEXTS, max_size=1).map(tuple), st.just("admin")),
)
TOOLS = st.builds(Tool, NAMES, st.none() | WORDS, st.none() | SCHEMAS, st.none() | st.booleans(), CACHE)
CHOICES = st.builds(
    ToolChoice, st.sampled_from(["auto", "none", "required"]), st.lists(NAMES, max_size=2, unique=True).map(tuple)
)
FORMATS = st.builds(ResponseFormat, st.none() | SCHEMAS, st.none() | st.just("answer"))
EFFORTS = st.sampled_from([None, "none", "minimal", "low", "medium", "high", "xhigh", "max"])
REASONING = st.builds(Reasoning, EFFORTS, st.sampled_from([None, -1, 0, 500, 4096]), st.none() | st.booleans())
EXTRAS = st.sampled_from([{}, {"logit_bias": {"1": 2}}])


def requests(model: str) -> st.SearchStrategy[ConversationRequest]:
    """Requests for ``model`` with anything in them, sensible or not."""
    return st.builds(
        ConversationRequest,
        st.just(model),
        st.lists(MESSAGES, max_size=4),
        system=st.lists(TEXTS, max_size=2).map(tuple),
        tools=st.lists(TOOLS, max_size=2).map(tuple),
        tool_choice=st.none() | CHOICES,
        parallel_tool_calls=st.none() | st.booleans(),
        response_format=st.none() | FORMATS,
        reasoning=st.none() | REASONING,
        verbosity=st.none() | st.just("low"),
        max_tokens=st.none() | st.integers(1, 40_000),
        stop=st.lists(WORDS, max_size=6).map(tuple),
        temperature=st.none() | st.floats(0, 2),
        top_p=st.none() | st.floats(0, 1),
        top_k=st.none() | st.integers(0, 700),
        min_p=st.none() | st.floats(0, 1),
        frequency_penalty=st.none() | st.floats(-2, 2),
        presence_penalty=st.none() | st.floats(-2, 2),
        seed=st.none() | st.integers(-(2**63), 2**63),
        n=st.sampled_from([None, 1, 2]),
        top_logprobs=st.none() | st.integers(0, 20),
        user=st.none() | st.just("u-1"),
        metadata=st.none() | st.dictionaries(st.text("ab:ü", max_size=3), st.text("ab:ü", max_size=3), max_size=20),
        service_tier=st.sampled_from([None, "auto", "default", "flex", "priority", "scale"]),
        web_search=st.booleans(),
        stream=st.booleans(),
        include_usage=st.booleans(),
        extras=EXTRAS,
    )


def asked(*messages: Message, model: str = "m", **members: Any) -> ConversationRequest:
    """A request of these messages."""
    return ConversationRequest(model, list(messages), **members)


def user(*parts: Any) -> Message:
    """A turn of the user's; strings are texts."""
    return Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def assistant(*parts: Any) -> Message:
    """A turn of the model's; strings are texts."""
    return Message("assistant", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def results(*parts: ToolResult) -> Message:
    """What tools returned."""
    return Message("tool", parts)


def to(provider: str, model: str, longest: int | None = None) -> Destination:
    """A model of a provider."""
    return Destination(provider, model, longest)


def body(outgoing: Outgoing) -> Any:
    """The body, decoded."""
    return json.loads(outgoing.body)

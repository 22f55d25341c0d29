"""Bedrock's Converse, answers: a stream says what the whole answer says, however it is cut."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.dialects.translate.bedrock_converse import ConverseEgress
from helicone_gw.dialects.translate.conversation import Citation, Image, Text, Thinking, ToolCall
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.reply import (
    Choice,
    ConversationReply,
    Ended,
    Failed,
    Started,
    Stopped,
    UsageReported,
)
from helicone_gw.eventstream import encode_frame
from helicone_gw.model import Usage
from helicone_gw.pipeline.reframing import reframing
from helicone_gw.sse import EventSplitter, encode_event
from tests.core.dialects.translate.folding import fold, read_all

CONVERSE = ConverseEgress()
COUNTS = {"inputTokens": 7, "outputTokens": 20, "totalTokens": 27, "cacheReadInputTokens": 3}
USAGE = Usage(10, 20, cache_read_tokens=3)
CITED = {
    "title": "Report",
    "sourceContent": [{"text": "cats "}, {"text": "sleep"}],
    "location": {"documentChar": {"documentIndex": 1, "start": 4, "end": 9}},
}
CITATION = Citation(title="Report", cited="cats sleep", document=1)
WORDS = st.text("abc é\n", min_size=1, max_size=6)
PIECES = st.lists(WORDS, min_size=1, max_size=3)
OBJECTS = st.dictionaries(WORDS, st.integers() | WORDS, max_size=2)
BLOCKS = st.one_of(
    PIECES.map(lambda pieces: ("text", pieces)),
    PIECES.map(lambda pieces: ("thinking", pieces)),
    st.just(("redacted", ["c2VjcmV0"])),
    st.tuples(st.sampled_from(["f", "g"]), OBJECTS).map(lambda call: ("tool", list(call))),
    st.just(("cited", ["cats sleep"])),
)


def event(name: str, **value: Any) -> bytes:
    return encode_event(json.dumps(value).encode(), name)


def delta(index: int, **members: Any) -> bytes:
    return event("contentBlockDelta", contentBlockIndex=index, delta=members)


def whole(blocks: list[tuple[str, list[Any]]]) -> bytes:
    content: list[dict[str, Any]] = []
    for kind, value in blocks:
        match kind:
            case "text":
                content.append({"text": "".join(value)})
            case "thinking":
                thought = {"text": "".join(value), "signature": "c2ln"}
                content.append({"reasoningContent": {"reasoningText": thought}})
            case "redacted":
                content.append({"reasoningContent": {"redactedContent": value[0]}})
            case "cited":
                content.append({"citationsContent": {"content": [{"text": value[0]}], "citations": [CITED]}})
            case "tool":
                content.append({"toolUse": {"toolUseId": f"t{len(content)}", "name": value[0], "input": value[1]}})
    output = {"message": {"role": "assistant", "content": content}}
    return json.dumps({"output": output, "stopReason": "tool_use", "usage": COUNTS, "metrics": {}}).encode()


def streamed(blocks: list[tuple[str, list[Any]]]) -> list[bytes]:
    sent = [event("messageStart", role="assistant")]
    for index, (kind, value) in enumerate(blocks):
        match kind:
            case "text":
                sent += (delta(index, text=piece) for piece in value)
            case "thinking":
                sent += (delta(index, reasoningContent={"text": piece}) for piece in value)
                sent.append(delta(index, reasoningContent={"signature": "c2ln"}))
            case "redacted":
                sent.append(delta(index, reasoningContent={"redactedContent": value[0]}))
            case "cited":
                sent += [delta(index, text=value[0]), delta(index, citation=CITED)]
            case "tool":
                start = {"toolUse": {"toolUseId": f"t{index}", "name": value[0]}}
                sent.append(event("contentBlockStart", contentBlockIndex=index, start=start))
                text = json.dumps(value[1], separators=(",", ":"), ensure_ascii=False) if value[1] else ""
                sent += (delta(index, toolUse={"input": text[at : at + 3]}) for at in range(0, len(text), 3))
        sent.append(event("contentBlockStop", contentBlockIndex=index))
    return [*sent, event("messageStop", stopReason="tool_use"), event("metadata", usage=COUNTS, metrics={})]


@given(st.lists(BLOCKS, max_size=4))
def test_a_stream_says_what_the_whole_answer_says(blocks: list[tuple[str, list[Any]]]) -> None:
    unary = CONVERSE.read_reply(whole(blocks), Loss())
    loss = Loss()
    assert fold(read_all(CONVERSE.stream_reader(loss), streamed(blocks))) == unary
    assert loss.paths == ()


@given(st.lists(st.integers(0, 3000), max_size=8))
async def test_any_cut_of_the_frames_gives_the_same_answer(cuts: list[int]) -> None:
    frames = b"".join(
        encode_frame(data, {":message-type": "event", ":event-type": name})
        for name, data in [
            ("messageStart", b'{"role":"assistant"}'),
            ("contentBlockDelta", b'{"contentBlockIndex":0,"delta":{"text":"Hi"}}'),
            ("contentBlockStop", b'{"contentBlockIndex":0}'),
            ("messageStop", b'{"stopReason":"end_turn"}'),
            ("metadata", json.dumps({"usage": COUNTS}).encode()),
        ]
    )
    edges = [0, *sorted(cut % (len(frames) + 1) for cut in cuts), len(frames)]

    async def pieces() -> AsyncIterator[bytes]:
        for start, end in itertools.pairwise(edges):
            yield frames[start:end]

    reframe = reframing("application/vnd.amazon.eventstream")
    assert reframe is not None
    splitter = EventSplitter(1 << 16)
    sent = [event async for piece in reframe(pieces(), 1 << 16) for event in splitter.feed(piece)]
    assert fold(read_all(CONVERSE.stream_reader(Loss()), sent)) == ConversationReply(
        "", "", [Choice([Text("Hi")], "stop")], usage=USAGE
    )


def test_every_kind_of_block() -> None:
    blocks: list[tuple[str, list[Any]]] = [
        ("thinking", ["hm"]),
        ("redacted", ["c2VjcmV0"]),
        ("text", ["Sunny"]),
        ("cited", ["cats sleep"]),
        ("tool", ["f", {"a": 1}]),
        ("tool", ["g", {}]),
    ]
    reply = CONVERSE.read_reply(whole(blocks), Loss())
    assert reply.choices[0].parts == [
        Thinking("hm", "c2ln", vendor="anthropic"),
        Thinking(redacted="c2VjcmV0", vendor="anthropic"),
        Text("Sunny"),
        Text("cats sleep", citations=(CITATION,)),
        ToolCall("t4", "f", '{"a":1}'),
        ToolCall("t5", "g", "{}"),
    ]
    assert reply.usage == USAGE


def test_pictures_and_blocks_that_are_unknown() -> None:
    content = [{"image": {"format": "png", "source": {"bytes": "AAAA"}}}, {"hologram": {}}]
    loss = Loss()
    reply = CONVERSE.read_reply(json.dumps({"output": {"message": {"content": content}}}).encode(), loss)
    assert reply.choices[0].parts == [Image(data="AAAA", media_type="image/png")]
    assert loss.paths == ("output.message.content.hologram",)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("tool_use", "tool_calls"),
        ("max_tokens", "length"),
        ("stop_sequence", "stop_sequence"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("model_context_window_exceeded", "context"),
        ("malformed_tool_use", "stop"),
    ],
)
def test_stop_reasons(word: str, reason: str) -> None:
    body = json.dumps({"output": {"message": {"content": [{"text": "a"}]}}, "stopReason": word}).encode()
    assert CONVERSE.read_reply(body, Loss()).choices[0].stop == reason
    assert Stopped(reason) in CONVERSE.stream_reader(Loss()).feed(event("messageStop", stopReason=word))  # type: ignore[arg-type]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"output":{}}', b'{"message":"no"}'])
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        CONVERSE.read_reply(body, Loss())


def test_a_stream_without_its_end_was_cut() -> None:
    sent = streamed([("text", ["a", "b"])])
    for length in range(len(sent) - 2):
        assert Ended() not in read_all(CONVERSE.stream_reader(Loss()), sent[:length])
    # The usage may be missing, the answer is whole.
    assert read_all(CONVERSE.stream_reader(Loss()), sent[:-1])[-1] == Ended()


def test_an_error_in_the_middle() -> None:
    reader = CONVERSE.stream_reader(Loss())
    reader.feed(delta(0, text="a"))
    error = {"type": "error", "error": {"type": "throttlingException", "message": "slow down"}}
    (failed,) = reader.feed(event("error", **error))
    assert failed == Failed("slow down", 429, error)
    assert reader.feed(event("messageStop", stopReason="end_turn")) == ()
    assert reader.finish() == ()


@given(st.lists(st.sampled_from(streamed([("text", ["a"]), ("tool", ["f", {"a": 1}]), ("thinking", ["b"])]))))
def test_events_in_any_order_raise_nothing_and_never_end_twice(sent: list[bytes]) -> None:
    events = read_all(CONVERSE.stream_reader(Loss()), sent)
    assert sum(isinstance(each, Ended) for each in events) <= 1
    assert sum(isinstance(each, Started) for each in events) <= 1
    assert sum(isinstance(each, Stopped) for each in events) <= 1


def test_usage_comes_after_the_stop() -> None:
    events = read_all(CONVERSE.stream_reader(Loss()), streamed([("text", ["a"])]))
    assert events[-3:] == [Stopped("tool_calls"), UsageReported(USAGE), Ended()]

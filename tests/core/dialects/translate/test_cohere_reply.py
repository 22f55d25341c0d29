"""Cohere's chat, answers: a stream says what the whole answer says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.dialects.translate.cohere_chat import CohereEgress
from helicone_gw.dialects.translate.conversation import Citation, Text, Thinking, ToolCall
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.reply import Ended, Failed, PartEnded, PartStarted, Started, Stopped, TokenLogprob
from helicone_gw.model import Usage
from helicone_gw.sse import encode_event
from tests.core.dialects.translate.folding import fold, read_all

COHERE = CohereEgress()
COUNTS = {"billed_units": {"input_tokens": 5, "output_tokens": 9}, "tokens": {"input_tokens": 70, "output_tokens": 9}}
CITED = {
    "start": 2,
    "end": 6,
    "text": "cats",
    "type": "TEXT_CONTENT",
    "sources": [{"type": "document", "id": "doc:0", "document": {"title": "Report", "snippet": "cats sleep"}}],
}
WORDS = st.text("abc é\n", min_size=1, max_size=6)
PIECES = st.lists(WORDS, min_size=1, max_size=3)
CONTENT = st.lists(
    st.tuples(st.sampled_from(["text", "thinking"]), PIECES, st.lists(st.just(CITED), max_size=1)), max_size=3
)
CALLS = st.lists(st.tuples(st.sampled_from(["f", "g"]), st.sampled_from(["", "{}", '{"a":1,"b":"é"}'])), max_size=2)


def event(kind: str, **value: Any) -> bytes:
    return encode_event(json.dumps({"type": kind, **value}).encode(), kind)


def message(**members: Any) -> dict[str, Any]:
    return {"message": members}


def whole(plan: list[str], content: list[Any], calls: list[tuple[str, str]], finish: str = "COMPLETE") -> bytes:
    found = {
        "role": "assistant",
        "tool_plan": "".join(plan),
        "content": [{"type": kind, kind: "".join(pieces)} for kind, pieces, _ in content],
        "tool_calls": [
            {"id": f"t{index}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for index, (name, arguments) in enumerate(calls)
        ],
        "citations": [
            {**each, "content_index": index}
            for index, (kind, _, cited) in enumerate(content)
            if kind == "text"
            for each in cited
        ],
    }
    return json.dumps({"id": "c1", "finish_reason": finish, "message": found, "usage": COUNTS}).encode()


def streamed(
    plan: list[str], content: list[Any], calls: list[tuple[str, str]], finish: str = "COMPLETE"
) -> list[bytes]:
    sent = [event("message-start", id="c1", delta=message(role="assistant"))]
    sent += (event("tool-plan-delta", delta=message(tool_plan=piece)) for piece in plan)
    for index, (kind, pieces, cited) in enumerate(content):
        sent.append(event("content-start", index=index, delta=message(content={"type": kind, kind: ""})))
        sent += (event("content-delta", index=index, delta=message(content={kind: piece})) for piece in pieces)
        if kind == "text":
            for each in cited:
                sent.append(event("citation-start", index=0, delta=message(citations={**each, "content_index": index})))
                sent.append(event("citation-end", index=0))
        sent.append(event("content-end", index=index))
    for index, (name, arguments) in enumerate(calls):
        call = {"id": f"t{index}", "type": "function", "function": {"name": name, "arguments": ""}}
        sent.append(event("tool-call-start", index=index, delta=message(tool_calls=call)))
        for at in range(0, len(arguments), 3):
            more = {"function": {"arguments": arguments[at : at + 3]}}
            sent.append(event("tool-call-delta", index=index, delta=message(tool_calls=more)))
        sent.append(event("tool-call-end", index=index))
    return [*sent, event("message-end", delta={"finish_reason": finish, "usage": COUNTS})]


@given(st.lists(WORDS, max_size=2), CONTENT, CALLS)
def test_a_stream_says_what_the_whole_answer_says(
    plan: list[str], content: list[Any], calls: list[tuple[str, str]]
) -> None:
    unary = COHERE.read_reply(whole(plan, content, calls), Loss())
    loss = Loss()
    assert fold(read_all(COHERE.stream_reader(loss), streamed(plan, content, calls))) == unary
    assert loss.paths == ()


def test_every_kind_of_part() -> None:
    content = [("thinking", ["hm"], []), ("text", ["a cats"], [CITED])]
    reply = COHERE.read_reply(whole(["I will look."], content, [("f", '{"a":1}'), ("g", "")], "TOOL_CALL"), Loss())
    assert reply.id == "c1"
    assert reply.choices[0].stop == "tool_calls"
    assert reply.choices[0].parts == [
        Thinking("I will look."),
        Thinking("hm"),
        Text("a cats", citations=(Citation(title="Report", cited="cats sleep", start=2, end=6),)),
        ToolCall("t0", "f", '{"a":1}'),
        ToolCall("t1", "g", "{}"),
    ]
    assert reply.usage == Usage(5, 9)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("COMPLETE", "stop"),
        ("STOP_SEQUENCE", "stop_sequence"),
        ("MAX_TOKENS", "length"),
        ("TOOL_CALL", "tool_calls"),
        ("ERROR", "content_filter"),
        ("TIMEOUT", "length"),
        ("A_NEW_ONE", "stop"),
    ],
)
def test_stop_reasons(word: str, reason: str) -> None:
    content = [("text", ["a"], [])]
    assert COHERE.read_reply(whole([], content, [], word), Loss()).choices[0].stop == reason
    assert Stopped(reason) in read_all(COHERE.stream_reader(Loss()), streamed([], content, [], word))  # type: ignore[arg-type]


def test_logprobs() -> None:
    logprobs = {"text": "Hi", "token_ids": [1], "logprobs": [-0.5]}
    body = {"message": {"content": [{"type": "text", "text": "Hi"}]}, "logprobs": [logprobs]}
    reply = COHERE.read_reply(json.dumps(body).encode(), Loss())
    assert reply.choices[0].logprobs == (TokenLogprob("Hi", -0.5),)
    sent = [
        event("content-delta", index=0, delta=message(content={"text": "Hi"}), logprobs=logprobs),
        event("message-end", delta={"finish_reason": "COMPLETE"}),
    ]
    assert fold(read_all(COHERE.stream_reader(Loss()), sent)).choices[0].logprobs == (TokenLogprob("Hi", -0.5),)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"message":"no"}'])
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        COHERE.read_reply(body, Loss())


def test_a_stream_without_its_end_was_cut() -> None:
    sent = streamed(["plan"], [("text", ["a", "b"], [])], [("f", "{}")])
    for length in range(len(sent)):
        assert Ended() not in read_all(COHERE.stream_reader(Loss()), sent[:length])


@pytest.mark.parametrize(
    ("sent", "failed"),
    [
        (event("message-end", delta={"finish_reason": "ERROR", "error": "out of memory"}), ("out of memory", 500)),
        (b'event: error\ndata: {"message":"too many requests","code":429}\n\n', ("too many requests", 429)),
    ],
)
def test_an_error_in_the_middle(sent: bytes, failed: tuple[str, int]) -> None:
    reader = COHERE.stream_reader(Loss())
    reader.feed(event("content-delta", index=0, delta=message(content={"text": "a"})))
    (found,) = reader.feed(sent)
    assert isinstance(found, Failed)
    assert (found.message, found.status) == failed
    assert reader.feed(event("message-end", delta={})) == ()


def test_the_plan_ends_where_the_next_part_begins() -> None:
    events = read_all(COHERE.stream_reader(Loss()), streamed(["plan"], [("text", ["a"], [])], [("f", "{}")]))
    borders = [each for each in events if isinstance(each, PartStarted | PartEnded)]
    assert [(type(each), each.index) for each in borders] == [
        (kind, index) for index in range(3) for kind in (PartStarted, PartEnded)
    ]


def test_a_citation_that_belongs_to_no_open_text_is_lost() -> None:
    loss = Loss()
    reader = COHERE.stream_reader(loss)
    reader.feed(event("citation-start", delta=message(citations={**CITED, "content_index": 7})))
    reader.feed(event("citation-start", delta=message(citations={**CITED, "type": "PLAN"})))
    assert loss.paths == ("message.citations",)


EVERY = streamed(["plan"], [("text", ["a"], [CITED]), ("thinking", ["b"], [])], [("f", '{"a":1}')])


@given(st.lists(st.sampled_from(EVERY)))
def test_events_in_any_order_raise_nothing_and_never_end_twice(sent: list[bytes]) -> None:
    events = read_all(COHERE.stream_reader(Loss()), sent)
    for kind in (Started, Stopped, Ended):
        assert sum(isinstance(each, kind) for each in events) <= 1

"""Ollama's chat, answers: a stream says what the whole answer says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.dialects.translate.conversation import Text, Thinking, ToolCall
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.ollama_chat import OllamaEgress
from helicone_gw.dialects.translate.reply import Ended, Failed, Started, Stopped, TokenLogprob
from helicone_gw.model import Usage
from helicone_gw.sse import encode_event
from tests.core.dialects.translate.folding import fold, read_all

OLLAMA = OllamaEgress()
HEAD = {"model": "qwen3:8b", "created_at": "2026-11-26T12:00:00.123456789Z"}
DONE = {"done": True, "done_reason": "stop", "prompt_eval_count": 26, "eval_count": 298}
WORDS = st.lists(st.text("abc é\n", min_size=1, max_size=6), max_size=3)
CALLS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["f", "g"]), "arguments": st.dictionaries(st.text("ab"), st.integers(), max_size=2)}
    ),
    max_size=2,
)


def line(*, done: dict[str, Any] | None = None, **message: Any) -> bytes:
    members = {**HEAD, "message": {"role": "assistant", "content": "", **message}, **(done or {"done": False})}
    return encode_event(json.dumps(members).encode())


def called(calls: list[dict[str, Any]], first: int = 0) -> list[dict[str, Any]]:
    return [{"id": f"c{first + place}", "function": call} for place, call in enumerate(calls)]


@given(WORDS, WORDS, CALLS)
def test_a_stream_says_what_the_whole_answer_says(
    thoughts: list[str], words: list[str], calls: list[dict[str, Any]]
) -> None:
    message = {"thinking": "".join(thoughts), "content": "".join(words), "tool_calls": called(calls)}
    unary = OLLAMA.read_reply(json.dumps({**HEAD, "message": message, **DONE}).encode(), Loss())
    sent = [line(thinking=piece) for piece in thoughts] + [line(content=piece) for piece in words]
    sent += [line(tool_calls=called([call], place)) for place, call in enumerate(calls)]
    assert fold(read_all(OLLAMA.stream_reader(Loss()), [*sent, line(done=DONE)])) == unary


def test_every_kind_of_part() -> None:
    message = {
        "content": "Sunny",
        "thinking": "hm",
        "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}, {"id": "x", "function": {"name": "g"}}],
    }
    reply = OLLAMA.read_reply(json.dumps({**HEAD, "message": message, **DONE}).encode(), Loss())
    assert (reply.model, reply.created) == ("qwen3:8b", 1795694400)
    assert reply.choices[0].parts == [
        Thinking("hm"),
        Text("Sunny"),
        ToolCall("call_0", "f", '{"a":1}'),
        ToolCall("x", "g", "{}"),
    ]
    assert reply.choices[0].stop == "tool_calls"
    assert reply.usage == Usage(26, 298)


def test_calls_without_ids_are_told_apart_by_their_place() -> None:
    sent = [line(tool_calls=[{"function": {"name": name}}]) for name in "fg"]
    reply = fold(read_all(OLLAMA.stream_reader(Loss()), [*sent, line(done=DONE)]))
    assert [part.id for part in reply.choices[0].parts if isinstance(part, ToolCall)] == ["call_0", "call_1"]


@pytest.mark.parametrize(("word", "reason"), [("stop", "stop"), ("length", "length"), ("load", "stop")])
def test_stop_reasons(word: str, reason: str) -> None:
    done = {**DONE, "done_reason": word}
    body = json.dumps({**HEAD, "message": {"content": "a"}, **done}).encode()
    assert OLLAMA.read_reply(body, Loss()).choices[0].stop == reason
    assert Stopped(reason) in OLLAMA.stream_reader(Loss()).feed(line(content="a", done=done))  # type: ignore[arg-type]


def test_logprobs() -> None:
    logprobs = [{"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": [{"token": "Yo", "logprob": -2}]}]
    expected = (TokenLogprob("Hi", -0.5, (72, 105), (TokenLogprob("Yo", -2.0),)),)
    value = {**HEAD, "message": {"content": "Hi"}, "logprobs": logprobs, **DONE}
    assert OLLAMA.read_reply(json.dumps(value).encode(), Loss()).choices[0].logprobs == expected
    sent = [encode_event(json.dumps(value).encode())]
    assert fold(read_all(OLLAMA.stream_reader(Loss()), sent)).choices[0].logprobs == expected


@pytest.mark.parametrize(
    "moment", ["2026-11-26T12:00:00Z", "2026-11-26T13:00:00.5+01:00", "2026-11-26T12:00:00.123456789Z"]
)
def test_moments(moment: str) -> None:
    (started, *_) = OLLAMA.stream_reader(Loss()).feed(encode_event(json.dumps({"created_at": moment}).encode()))
    assert started == Started("", "", 1795694400)


@pytest.mark.parametrize("moment", ["", "yesterday", 5, None, "2026-13-26T12:00:00Z"])
def test_what_is_no_moment(moment: Any) -> None:
    (started, *_) = OLLAMA.stream_reader(Loss()).feed(encode_event(json.dumps({"created_at": moment}).encode()))
    assert started == Started("", "")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"error":"no"}'])
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        OLLAMA.read_reply(body, Loss())


def test_a_stream_without_its_end_was_cut() -> None:
    events = read_all(OLLAMA.stream_reader(Loss()), [line(content="a"), line(content="b")])
    assert not any(isinstance(each, Stopped | Ended) for each in events)


def test_an_error_in_the_middle() -> None:
    reader = OLLAMA.stream_reader(Loss())
    reader.feed(line(content="a"))
    (failed,) = reader.feed(encode_event(b'{"error":"out of memory"}'))
    assert failed == Failed("out of memory", 502, {"error": "out of memory"})
    assert reader.feed(line(done=DONE)) == ()

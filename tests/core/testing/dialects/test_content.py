"""The pieces that a stream is made of."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.headers import Headers
from helicone_gw.testing import RecordedRequest, ScriptedResponse
from helicone_gw.testing.dialects import ToolCall, anthropic, gemini, openai_chat, openai_responses
from helicone_gw.testing.dialects.content import pieces, whole


@given(st.text())
def test_no_character_of_a_text_is_lost(text: str) -> None:
    assert "".join(pieces(text)) == text


def test_text_is_streamed_word_by_word_or_as_given() -> None:
    assert pieces("one two  three\n") == ["one", " two", "  three", "\n"]
    assert pieces(["one t", "wo"]) == ["one t", "wo"]
    assert whole(["one t", "wo"]) == "one two"


@given(st.dictionaries(st.text(), st.text()))
def test_no_character_of_a_call_is_lost(arguments: dict[str, str]) -> None:
    call = ToolCall("f", arguments)
    assert msgspec.json.decode("".join(call.pieces())) == arguments


def request(body: object, target: str = "/") -> RecordedRequest:
    return RecordedRequest(1, "POST", target, Headers(), body=msgspec.json.encode(body))


def test_an_answer_is_streamed_if_the_request_asks_for_it() -> None:
    for module in (openai_chat, openai_responses, anthropic):
        answer = module.answer("Hi")
        assert answer(request({"stream": True})).framing == "chunked"
        assert answer(request({"stream": False})).framing == "length"
        assert answer(request({})).framing == "length"


@pytest.mark.parametrize(("options", "asked"), [(None, False), ({}, False), ({"include_usage": True}, True)])
def test_usage_is_streamed_only_if_the_request_asks_for_it(options: object, asked: bool) -> None:
    stream = openai_chat.answer("Hi")(request({"stream": True, "stream_options": options}))
    assert (b'"usage"' in stream.body) is asked
    assert (b'"choices":[]' in stream.body) is asked


def test_gemini_streams_as_its_path_and_query_say() -> None:
    answer = gemini.answer("one two")

    def ask(target: str) -> ScriptedResponse:
        return answer(request({}, target))

    assert ask("/v1beta/models/m:generateContent").framing == "length"
    events = ask("/v1beta/models/m:streamGenerateContent?key=k&alt=sse")
    assert all(part.startswith(b"data: {") and part.endswith(b"}\r\n\r\n") for part in events.parts)
    array = ask("/v1beta/models/m:streamGenerateContent?key=k")
    bodies = msgspec.json.decode(array.body)
    assert [body["candidates"][0]["content"]["parts"] for body in bodies] == [[{"text": "one"}], [{"text": " two"}]]
    assert [body["candidates"][0].get("finishReason") for body in bodies] == [None, "STOP"]

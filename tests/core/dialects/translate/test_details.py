"""Details of answers across dialects: citations, log probabilities, refusals, several choices, legacy completions."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from helicone_gw.dialects.translate.conversation import Citation, ConversationRequest, Message, Refusal, Text, ToolCall
from helicone_gw.dialects.translate.conversations import CHAT, COMPLETIONS, GEMINI, MESSAGES, RESPONSES
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.reply import (
    Choice,
    CitationDelta,
    ConversationReply,
    Ended,
    LogprobsDelta,
    PartEnded,
    PartStarted,
    RefusalDelta,
    Started,
    Stopped,
    StopReason,
    StreamEvent,
    TextDelta,
    TokenLogprob,
)
from helicone_gw.errors import BadRequest, MalformedBody
from helicone_gw.sse import EventSplitter, event_data

ASKED = ConversationRequest("m", [Message("user", (Text("Hi"),))], stream=True)
PAGE = Citation("https://x.example", "X", "cited words", start=2, end=5)
TOKEN = TokenLogprob("Hi", -0.5, (72, 105), (TokenLogprob("Hi", -0.5, (72, 105)), TokenLogprob("Ho", -1.5, (72, 111))))


def whole(codec: Any, *parts: Any, loss: Loss | None = None, stop: StopReason = "stop", **choice: Any) -> Any:
    reply = ConversationReply("r1", "m", [Choice(list(parts), stop, **choice)], 1)
    return json.loads(codec.write_reply(reply, ASKED, loss or Loss()))


def streamed(codec: Any, *events: StreamEvent, loss: Loss | None = None) -> list[Any]:
    writer = codec.stream_writer(ASKED, loss or Loss())
    data = b"".join(writer.feed(event) for event in (Started("r1", "m", 1), *events, Ended()))
    found = [event_data(event) for event in EventSplitter(1 << 20).feed(data)]
    return [json.loads(each) for each in found if each != b"[DONE]"]


def test_a_citation_of_a_page_in_every_dialect() -> None:
    text = Text("a cited text", citations=(PAGE,))
    annotation = {"url": "https://x.example", "title": "X", "start_index": 2, "end_index": 5}
    chat = whole(CHAT, Text("12345"), text)["choices"][0]["message"]
    assert chat["annotations"] == [
        {"type": "url_citation", "url_citation": {**annotation, "start_index": 7, "end_index": 10}}
    ]
    responses = whole(RESPONSES, text)["output"][0]["content"][0]
    assert responses["annotations"] == [{"type": "url_citation", **annotation}]
    (cited,) = whole(MESSAGES, text)["content"][0]["citations"]
    assert (cited["type"], cited["url"], cited["cited_text"]) == (
        "web_search_result_location",
        "https://x.example",
        "cited words",
    )
    grounding = whole(GEMINI, text)["candidates"][0]["groundingMetadata"]
    assert grounding["groundingChunks"] == [{"web": {"uri": "https://x.example", "title": "X"}}]
    assert grounding["groundingSupports"][0]["segment"]["startIndex"] == 2


def test_a_citation_that_names_no_place_means_the_whole_text() -> None:
    text = Text("a cited text", citations=(Citation("https://x.example"),))
    inner = whole(CHAT, text)["choices"][0]["message"]["annotations"][0]["url_citation"]
    assert (inner["start_index"], inner["end_index"], inner["title"]) == (0, 12, "https://x.example")


@pytest.mark.parametrize("codec", [CHAT, RESPONSES, GEMINI])
def test_a_citation_of_a_document_is_lost(codec: Any) -> None:
    loss = Loss()
    whole(codec, Text("a", citations=(Citation(document=1, cited="b"),)), loss=loss)
    assert loss.paths == ("content.citations",)


def test_citations_in_streams() -> None:
    events = (
        PartStarted(0, "text"),
        TextDelta(0, "a cited text"),
        CitationDelta(0, PAGE),
        PartEnded(0),
        Stopped("stop"),
    )
    (cited,) = (chunk for chunk in streamed(CHAT, *events) if "annotations" in chunk["choices"][0]["delta"])
    assert cited["choices"][0]["delta"]["annotations"][0]["url_citation"]["url"] == "https://x.example"
    (added,) = (event for event in streamed(RESPONSES, *events) if event["type"].endswith("annotation.added"))
    assert added["annotation"]["url"] == "https://x.example"
    assert streamed(GEMINI, *events)[-1]["candidates"][0]["groundingMetadata"]["groundingChunks"]
    deltas = [event["delta"] for event in streamed(MESSAGES, *events) if event["type"] == "content_block_delta"]
    assert deltas[1]["type"] == "citations_delta"


def test_log_probabilities_in_every_dialect_that_has_them() -> None:
    chat = whole(CHAT, Text("Hi"), logprobs=(TOKEN,))["choices"][0]["logprobs"]["content"][0]
    assert (chat["token"], chat["logprob"], chat["bytes"]) == ("Hi", -0.5, [72, 105])
    assert [top["token"] for top in chat["top_logprobs"]] == ["Hi", "Ho"]
    assert whole(RESPONSES, Text("Hi"), logprobs=(TOKEN,))["output"][0]["content"][0]["logprobs"] == [chat]
    gemini = whole(GEMINI, Text("Hi"), logprobs=(TOKEN,))["candidates"][0]["logprobsResult"]
    assert gemini["chosenCandidates"] == [{"token": "Hi", "logProbability": -0.5}]
    assert len(gemini["topCandidates"][0]["candidates"]) == 2
    legacy = whole(COMPLETIONS, Text("Hi"), logprobs=(TOKEN, TOKEN))["choices"][0]["logprobs"]
    assert (legacy["tokens"], legacy["text_offset"]) == (["Hi", "Hi"], [0, 2])
    assert legacy["top_logprobs"][0] == {"Hi": -0.5, "Ho": -1.5}


@pytest.mark.parametrize("codec", [CHAT, RESPONSES, GEMINI])
def test_log_probabilities_are_read_back(codec: Any) -> None:
    reply = ConversationReply("r1", "m", [Choice([Text("Hi")], "stop", logprobs=(TOKEN,))], 1)
    again = codec.read_reply(codec.write_reply(reply, ASKED, Loss()), Loss()).choices[0].logprobs
    assert [(token.token, token.logprob, len(token.top)) for token in again] == [("Hi", -0.5, 2)]
    writer, reader = codec.stream_writer(ASKED, Loss()), codec.stream_reader(Loss())
    events = (PartStarted(0, "text"), LogprobsDelta(0, (TOKEN,)), TextDelta(0, "Hi"), PartEnded(0), Stopped("stop"))
    data = b"".join(writer.feed(event) for event in (Started("r1", "m", 1), *events, Ended()))
    found = [event for each in EventSplitter(1 << 20).feed(data) for event in reader.feed(each)]
    (told,) = (event for event in found if isinstance(event, LogprobsDelta))
    assert [(token.token, len(token.top)) for token in told.logprobs] == [("Hi", 2)]


def test_anthropic_has_no_log_probabilities() -> None:
    loss = Loss()
    streamed(MESSAGES, PartStarted(0, "text"), LogprobsDelta(0, (TOKEN,)), TextDelta(0, "Hi"), loss=loss)
    assert loss.paths == ("logprobs",)


def test_a_refusal_in_every_dialect() -> None:
    refusal = Refusal("I will not.")
    chat = whole(CHAT, refusal, stop="refusal")["choices"][0]
    assert (chat["message"]["refusal"], chat["message"]["content"], chat["finish_reason"]) == (
        "I will not.",
        None,
        "stop",
    )
    messages = whole(MESSAGES, refusal, stop="refusal")
    assert (messages["content"], messages["stop_reason"]) == ([{"type": "text", "text": "I will not."}], "refusal")
    gemini = whole(GEMINI, refusal, stop="refusal")["candidates"][0]
    assert (gemini["content"]["parts"], gemini["finishReason"]) == ([{"text": "I will not."}], "SAFETY")
    events = (PartStarted(0, "refusal"), RefusalDelta(0, "I will not."), PartEnded(0), Stopped("refusal"))
    chunks = streamed(CHAT, *events)
    assert chunks[0]["choices"][0]["delta"]["refusal"] == "I will not."
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert streamed(MESSAGES, *events)[-2]["delta"]["stop_reason"] == "refusal"
    done = streamed(RESPONSES, *events)[-1]["response"]
    assert (done["status"], done["output"][0]["content"][0]["refusal"]) == ("completed", "I will not.")


def test_a_refusal_without_words_is_filtered_content() -> None:
    assert whole(CHAT, stop="refusal")["choices"][0]["finish_reason"] == "content_filter"
    assert whole(CHAT, stop="pause")["choices"][0]["finish_reason"] == "stop"
    assert whole(CHAT, stop="context")["choices"][0]["finish_reason"] == "length"


def test_several_choices_where_there_can_be_and_the_first_where_not() -> None:
    choices = [Choice([Text(text)], "stop", index=index) for index, text in enumerate(("a", "b"))]
    reply = ConversationReply("r1", "m", choices, 1)
    loss = Loss()
    assert len(json.loads(CHAT.write_reply(reply, ASKED, loss))["choices"]) == 2
    assert len(json.loads(GEMINI.write_reply(reply, ASKED, loss))["candidates"]) == 2
    assert loss.paths == ()
    assert len(json.loads(MESSAGES.write_reply(reply, ASKED, loss))["content"]) == 1
    assert loss.paths == ("choices",)


@pytest.mark.parametrize(("prompt", "text"), [("Hi", "Hi"), (["Hi"], "Hi")])
def test_a_legacy_prompt_is_a_users_message(prompt: Any, text: str) -> None:
    loss = Loss()
    body = msgspec.json.encode({"prompt": prompt, "echo": True, "logprobs": 2, "stop": "END", "best_of": 1})
    found = COMPLETIONS.read_request(body, loss, model="m", stream=False)
    assert found.messages == [Message("user", (Text(text),))]
    assert (found.top_logprobs, found.stop) == (2, ("END",))
    assert loss.paths == ("echo",)


def test_legacy_prompts_that_cannot_be_carried() -> None:
    with pytest.raises(BadRequest, match="one request for each") as refused:
        COMPLETIONS.read_request(b'{"prompt": ["a", "b"]}', Loss(), model="m", stream=False)
    assert refused.value.code == "several_prompts"
    for prompt in (b"[1, 2]", b"[[1, 2]]", b"7", b"null", b"[]"):
        with pytest.raises(MalformedBody, match="'prompt'"):
            COMPLETIONS.read_request(b'{"prompt": ' + prompt + b"}", Loss(), model="m", stream=False)


def test_a_legacy_answer_is_text_alone() -> None:
    loss = Loss()
    assert whole(COMPLETIONS, Text("a"), ToolCall("1", "f"), loss=loss, stop="tool_calls")["choices"][0] == {
        "text": "a",
        "index": 0,
        "logprobs": None,
        "finish_reason": "stop",
    }
    assert loss.paths == ("choices.content",)

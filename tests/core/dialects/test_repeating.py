"""Events that repeat: recognised only when nothing but the text in them differs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.dialects import wire_format
from helicone_gw.dialects._repeating import Repeating
from helicone_gw.testing.dialects import anthropic, openai_chat

HEAD = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":'
TAIL = b'},"finish_reason":null}],"usage":null'
TEXT = st.text(alphabet=st.sampled_from('ab "\\\n{}:,é'), max_size=8)


def chunk(text: str, extra: str | None = None) -> bytes:
    padding = b"" if extra is None else b',"obfuscation":' + msgspec.json.encode(extra)
    return HEAD + msgspec.json.encode(text) + TAIL + padding + b"}\n\n"


@given(TEXT, TEXT, st.none() | TEXT, st.none() | TEXT)
def test_only_the_text_may_differ(one: str, other: str, padding: str | None, further: str | None) -> None:
    repeats = Repeating()
    repeats.learn(chunk(one, padding))
    plain = not set('"\\\n') & set("".join([one, other, padding or "", further or ""]))
    same_members = (padding is None) is (further is None)
    event = chunk(other, further)
    span = repeats.span(event)
    assert span in (0, len(event))
    if span:
        assert same_members
    else:
        assert not (plain and same_members)


@pytest.mark.parametrize(
    "changed",
    [
        chunk("b").replace(b'"finish_reason":null', b'"finish_reason":"stop"'),
        chunk("b").replace(b'"usage":null', b'"usage":{"prompt_tokens":1}'),
        chunk("b").replace(b'"index":0', b'"index":1'),
        chunk("b").replace(b'"id":"1"', b'"id":"2"'),
        chunk("b").replace(b"}\n\n", b',"error":{}}\n\n'),
        b"event: error\n" + chunk("b"),
        chunk("b").replace(b"\n\n", b"\ndata: {}\n\n"),
        b": ping\n\n",
        b"data: [DONE]\n\n",
    ],
)
def test_anything_else_that_differs_is_to_be_read(changed: bytes) -> None:
    repeats = Repeating()
    repeats.learn(chunk("a"))
    same = chunk("b") + chunk("") + chunk("c, d")
    assert repeats.span(same) == len(same)
    assert repeats.span(changed) == 0
    assert repeats.span(same + changed) == len(same)
    assert repeats.span(same + changed + same) == len(same)
    assert repeats.span(changed + same) == 0


def test_a_stream_that_never_repeats_is_given_up() -> None:
    repeats = Repeating()
    for number in range(4):
        repeats.learn(chunk("a").replace(b'"1"', b'"%d"' % number))
    repeats.learn(chunk("a"))
    assert repeats.span(chunk("b")) == 0
    assert repeats.span(chunk("a").replace(b'"1"', b'"3"')) == 0


def test_no_further_is_searched_than_events_may_be_alike() -> None:
    places: list[int] = []

    class Watched(bytes):
        def find(self, *where: Any) -> int:
            places.append(where[1])
            return super().find(*where)

    repeats = Repeating()
    repeats.learn(chunk("a"))
    before, alike = b": ping\n\n", chunk("b") * 2
    events = Watched(before + alike + before + chunk("c") * 100)
    assert repeats.span(events) == 0
    assert repeats.span(events, len(before)) == len(alike)
    assert max(places) < len(before + alike)


@given(st.lists(st.tuples(TEXT, TEXT), max_size=12), st.booleans())
def test_a_span_ends_before_the_first_event_that_is_not_like_it(texts: list[tuple[str, str]], padded: bool) -> None:
    repeats = Repeating()
    repeats.learn(chunk("a", "b" if padded else None))
    events = [chunk(text, padding if padded else None) for text, padding in texts]
    alike = 0
    for event in events:
        if not repeats.span(event):
            break
        alike += len(event)
    assert repeats.span(b"".join(events)) == alike


WORDS = ("one", 'say "two"', "three\n", "four", "five", "six")


@pytest.mark.parametrize(
    ("script", "operation"),
    [(openai_chat.stream(WORDS), ("openai", "chat")), (anthropic.stream(WORDS), ("anthropic", "messages"))],
)
def test_a_reader_that_was_spared_the_repeated_events_knows_what_one_knows_that_saw_all(script, operation) -> None:
    wire = wire_format(*operation)
    spared, whole = wire.stream_reader(), wire.stream_reader()
    fed = 0
    for event in script.parts:
        whole.feed(event)
        if not spared.repeated(event):
            spared.feed(event)
            fed += 1
    assert fed < len(script.parts)
    for name in ("model", "usage", "stop_reason", "complete", "sequence"):
        assert getattr(spared, name) == getattr(whole, name)
    assert spared.closing_events("stop") == whole.closing_events("stop")


@pytest.mark.parametrize("member", ["model", "service_tier"])
def test_what_changed_in_between_is_said_again(member: str) -> None:
    wire = wire_format("openai", "chat")
    assert wire is not None
    reader = wire.stream_reader()
    said = [
        b'data: {"%b":"%b",' % (member.encode(), value) + HEAD[7:] + b'"a"},"finish_reason":' for value in (b"x", b"y")
    ]
    repeated = said[0] + b"null}]}\n\n"
    reader.feed(repeated)
    assert reader.repeated(repeated) == len(repeated)
    reader.feed(said[1] + b'"stop"}]}\n\n')
    assert reader.repeated(repeated) == 0
    reader.feed(repeated)
    assert reader.repeated(repeated) == len(repeated)

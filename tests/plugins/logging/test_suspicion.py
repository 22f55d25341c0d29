"""Suspicion: whatever a form of credential matches is suspicious, wherever it stands; ordinary bodies are not."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helicone_gw_logging.redact import _FOLDED_RULES, _RULES, is_suspicious, may_hold_credential, redact
from helicone_gw_logging.suspicion import Suspicion, parts, without_repetition
from tests.plugins.logging.test_redact import FIELDS, KEYS

PATTERNS = list({compiled().pattern: compiled() for _, compiled in (*_RULES, *_FOLDED_RULES)}.values())
TEXT = st.text(alphabet=st.sampled_from('abc XYZ019"\\,.:/?&=-_@{}\n'), max_size=30).map(str.encode)
CHUNK = b'data: {"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","choices":[{"index":0,"delta":{"content":" %s"}}]}\n\n'


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.pattern[:20].decode())
def test_whatever_matches_a_form_is_suspicious(pattern: re.Pattern[bytes]) -> None:
    @settings(max_examples=40, deadline=None)
    @given(st.from_regex(pattern), TEXT, TEXT)
    def check(match: bytes, before: bytes, after: bytes) -> None:
        text = before + match + after
        if pattern.search(text):
            assert is_suspicious(text)

    check()


@settings(max_examples=120, deadline=None)
@given(st.lists(st.one_of(TEXT, st.sampled_from([key.encode() for key in KEYS])), max_size=6).map(b" ".join))
def test_what_is_not_suspicious_would_not_have_been_changed(text: bytes) -> None:
    if not is_suspicious(text):
        for _, compiled in (*_RULES, *_FOLDED_RULES):
            assert compiled().search(text) is None


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXT.filter(bool), max_size=12), st.sampled_from([b"", b"_key", b'"']))
def test_of_its_parts_at_least_one_stands_in_every_needle(needles: list[bytes], end: bytes) -> None:
    found = parts(needle + end for needle in needles)
    for needle in needles:
        assert any(part in needle + end for part in found)


def test_the_parts_are_few_and_long_enough_to_be_looked_for_all_at_once() -> None:
    assert len(is_suspicious.glanced_at) <= 64
    assert min(map(len, is_suspicious.glanced_at)) >= 3


@pytest.mark.parametrize("begin", is_suspicious.begins)
def test_a_known_secret_that_begins_like_a_key_is_seen_without_being_looked_for(begin: bytes) -> None:
    secret = begin + b" of ours"
    assert may_hold_credential(b"it is" + secret + b"!", [secret])
    assert may_hold_credential(b"it is a plain secret!", [b"plain secret"])
    assert not may_hold_credential(b"it is another", [secret, b"plain secret"])


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("split", [False, True])
def test_a_key_in_one_event_of_a_stream_is_found(key: str, split: bool) -> None:
    events = [CHUNK % b"word" for _ in range(60)]
    events[41] = CHUNK % (b"a, " + key.encode() + b", b" if split else key.encode())
    stream = b"".join(events)
    assert is_suspicious(stream)
    assert key.encode() not in redact(stream)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", ["hunter2", ",", ",,x"])
def test_a_field_in_one_event_of_a_stream_is_found(field: str, value: str) -> None:
    for spoken in (json.dumps({field: value}), json.dumps(json.dumps({field: value}))[1:-1]):
        stream = b"".join([CHUNK % b"word"] * 30 + [b"data: " + spoken.encode() + b"\n\n"] + [CHUNK % b"word"] * 30)
        assert is_suspicious(stream)


def test_a_password_in_a_url_of_a_stream_is_found_though_it_holds_commas() -> None:
    stream = CHUNK % b"word" * 40 + CHUNK % b"postgres://us,er:pa,ss@host/db" + CHUNK % b"word" * 40
    assert is_suspicious(stream)
    assert b"pa,ss" not in redact(stream)


@pytest.mark.parametrize(
    "text",
    [
        b'{"model": "gpt-4o-mini-2024-07-18", "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT", "max_tokens": 5}',
        b'{"usage": {"prompt_tokens": 1, "completion_tokens_details": {"reasoning_tokens": 0}}}',
        b'{"content": " token"}, {"content": "the key"}, {"author": "me"}',
        b"See https://example.com/a?b=c and http://example.com.",
        b"http://127.0.0.1:9001/v1/chat/completions, and write to me@example.com",
        CHUNK % b"token" * 100,
        "Größe, 東京 and \U0001f600".encode(),
        b"",
    ],
)
def test_ordinary_bodies_are_not_suspicious(text: bytes) -> None:
    assert not is_suspicious(text)


def test_what_follows_decides() -> None:
    url = re.compile(rb"://\w*:\w+@")
    suspicion = Suspicion(
        keys=[b"sk-", b"eyJ"],
        phrases=[b"PRIVATE KEY"],
        words=[b"bearer", b'token"', b"key="],
        forms=[(b"@", lambda: url)],
    )
    assert not suspicion(b"a task-force of desk-bound people")
    assert suspicion(b"a task-" + b"a" * 20)
    assert not suspicion(b"SK-" + b"a" * 20)
    assert suspicion(b"sk-eyJ45678")
    assert suspicion(b"BEARER")
    assert suspicion(b"a PRIVATE KEY")
    assert not suspicion(b"a private key")
    assert not suspicion(b"http://me@host and http://host:80/, me@host")
    assert suspicion(b"http://me:pw@host")
    assert not suspicion(b'{"content": " token"}')
    assert suspicion(b'{"token" : 1}')
    assert suspicion(b"?key=")


EVENT = st.tuples(st.sampled_from([b"", b" ", b'"', b"sk-"]), TEXT).map(lambda parts: CHUNK % b"".join(parts))
OTHER = st.one_of(TEXT, st.just(b"event: ping\ndata: {}\n\n"), st.integers(1, 130).map(lambda cut: CHUNK[:cut]))


@settings(max_examples=100, deadline=None)
@given(OTHER, st.lists(st.one_of(EVENT, EVENT, EVENT, OTHER), max_size=20), st.integers(1, 20))
def test_nothing_is_lost_with_the_repetition_of_a_stream(first: bytes, events: list[bytes], window: int) -> None:
    stream = first + b"\n\n" + b"".join(events)
    seen = without_repetition(stream, window)
    for at in range(len(stream)):
        assert stream[at : at + window] in seen


@pytest.mark.parametrize(
    "event",
    [
        CHUNK,
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"text":"%s"}}\n\n',
    ],
)
def test_most_of_a_stream_is_repetition(event: bytes) -> None:
    stream = b"".join(event % (b" word" if number % 3 else b'\\"') for number in range(100))
    assert len(without_repetition(stream, 16)) < len(stream) * 2 / 3
    assert without_repetition(stream.replace(b"\n\n", b"\r\n\r\n"), 16).count(b"data") == 100


def test_the_note_of_a_hit_is_worth_no_search() -> None:
    assert not is_suspicious.at_a_glance(b'{"cache.key":"3f0c9a41","cache.status":"hit"}')
    assert is_suspicious.at_a_glance(b'{"api_key":"3f0c9a41"}')

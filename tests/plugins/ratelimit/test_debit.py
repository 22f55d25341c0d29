"""What a stream costs while it goes by."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.model import Request
from helicone_gw.price import CompiledPrice, Tiered
from helicone_gw.sse import split_events
from helicone_gw.testing.dialects import anthropic, gemini, openai_chat, openai_completions, openai_responses
from helicone_gw_ratelimit.debit import Debit, Meter, output_rate

TEXT = 'The quick brown fox jumps over the lazy dog, and it says: "Olé!"\n' * 5
PIECES = [TEXT[at : at + 12] for at in range(0, len(TEXT), 12)]


def request(operation: str) -> Request:
    return cast(Request, SimpleNamespace(operation=operation))


def metered(operation: str, stream: Any) -> int:
    meter = Meter(request(operation))
    for event in split_events(stream.body):
        meter.add(event)
    return meter.tokens


@pytest.mark.parametrize(
    ("operation", "stream"),
    [
        ("chat", openai_chat.stream(PIECES)),
        ("completions", openai_completions.stream(PIECES)),
        ("responses", openai_responses.stream(PIECES)),
        ("messages", anthropic.stream(PIECES)),
        ("generate_content", gemini.stream(PIECES)),
    ],
)
def test_the_text_of_every_dialect_is_counted_once(operation: str, stream: Any) -> None:
    assert len(TEXT) / 4 <= metered(operation, stream) <= len(TEXT) / 4 * 1.6


def test_every_event_with_text_is_a_token_at_least() -> None:
    assert metered("chat", openai_chat.stream(["a", "b", "c"])) == 3


def test_events_without_text_are_none() -> None:
    meter = Meter(request("chat"))
    for event in (b": ping\n\n", b"data: [DONE]\n\n", b'data: {"choices":[{"delta":{"content":""}}]}\n\n'):
        meter.add(event)
    assert meter.tokens == 0


def test_tool_calls_count() -> None:
    arguments = (
        b'data: {"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"{\\"city\\": \\"Rome\\"}"}}]}}]}\n\n'
    )
    assert Meter(request("chat")).add(arguments) >= 5


@given(st.text(max_size=200), st.sampled_from(["chat", "messages", "responses"]))
def test_no_text_makes_a_meter_fail_or_run_away(text: str, operation: str) -> None:
    meter = Meter(request(operation))
    event = openai_chat.stream([text or "x"]).parts[1]
    assert meter.add(event) <= len(event)
    assert meter.add(text.encode()) <= len(event) + 4 * len(text)


def test_a_debit_begins_with_what_was_spent_before_and_is_rounded_up() -> None:
    price = CompiledPrice.of({"input": 1, "output": Fraction(5, 2)}, source="test")
    debit = Debit(request("chat"), 100, price, 10)
    assert debit.used == 100
    assert debit.add(b'data: {"content":"a"}\n\n') == 103
    assert debit.add(b'data: {"content":"b"}\n\n') == 105


def test_without_a_price_nothing_is_added() -> None:
    debit = Debit(request("chat"), 7, None, 10)
    assert debit.add(b'data: {"content":"abcdefghij"}\n\n') == 7
    assert debit.tokens == 3


def test_the_rate_is_that_of_the_prompts_length() -> None:
    price = CompiledPrice.of({"input": 1, "output": Tiered(2, ((1000, 4),))}, source="test")
    assert [output_rate(price, tokens)[0] for tokens in (10, 1001)] == [2, 4]

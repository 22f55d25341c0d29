"""Requests: what two dialects can both say survives the way from one to the other and back."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helicone_gw.dialects.translate.base import Destination
from helicone_gw.dialects.translate.conversation import ConversationRequest
from helicone_gw.dialects.translate.conversations import CHAT, GEMINI, MESSAGES, RESPONSES
from helicone_gw.dialects.translate.loss import Loss
from tests.core.dialects.translate.generated import requests

CODECS: dict[str, Any] = {"chat": CHAT, "responses": RESPONSES, "messages": MESSAGES, "gemini": GEMINI}
TO = {
    "chat": ("openai", "gpt-4o"),
    "responses": ("openai", "gpt-4o"),
    "messages": ("anthropic", "claude-sonnet-4-5"),
    "gemini": ("gemini", "gemini-2.5-flash"),
}
VENDORS = {"messages": "anthropic", "gemini": "google", "responses": "openai", "chat": None}


def written(name: str, request: ConversationRequest, loss: Loss) -> bytes:
    return CODECS[name].write_request(request, Destination(*TO[name]), loss).body


def read(name: str, body: bytes, loss: Loss) -> ConversationRequest:
    return CODECS[name].read_request(body, loss, model=TO[name][1], stream=False)


@pytest.mark.parametrize("name", CODECS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_back_and_written_the_same(name, data):
    request = data.draw(requests(vendor=VENDORS[name]))
    loss = Loss()
    body = written(name, request, loss)
    again = written(name, read(name, body, loss), loss)
    assert msgspec.json.decode(again) == msgspec.json.decode(body)
    assert loss.paths == ()


@pytest.mark.parametrize(("first", "second"), tuple(permutations(CODECS, 2)))
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_there_and_back_keeps_what_both_can_say(first, second, data):
    # Thoughts are their maker's alone; they come back through clients, not through providers.
    loss = Loss()
    original = written(first, data.draw(requests()), loss)
    abroad = written(second, read(first, original, loss), loss)
    back = written(first, read(second, abroad, loss), loss)
    assert msgspec.json.decode(back) == msgspec.json.decode(original)
    assert loss.paths == ()

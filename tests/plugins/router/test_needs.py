"""What a request needs of a model, read off its bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw import Headers, HeliconeHeaders, Request
from helicone_gw_router.needs import LARGEST, NEEDS, needed


def request(body: bytes | None) -> Request:
    return Request("POST", "/v1/chat/completions", "", Headers(), body, "openai", "chat", HeliconeHeaders())


def needs(body: Any) -> set[str]:
    return {*needed(request(json.dumps(body).encode()), NEEDS)}


def said(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(parts)}]}


FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (said({"type": "text", "text": "hi"}), set()),
        ({"tools": [FUNCTION]}, {"tools"}),
        ({"tools": []}, set()),
        ({"functions": [{"name": "f"}]}, {"tools"}),
        (said({"type": "image_url", "image_url": {"url": "https://x"}}), {"images"}),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}, {"images"}),
        (said({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ""}}), {"images"}),
        ({"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": ""}}]}]}, {"images"}),
        ({"contents": [{"parts": [{"file_data": {"mime_type": "video/mp4"}}]}]}, {"video"}),
        (said({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}), {"audio"}),
        ({"contents": [{"parts": [{"inlineData": {"mimeType": "audio/wav"}}]}]}, {"audio"}),
        (said({"type": "file", "file": {"file_data": "x"}}), {"documents"}),
        (said({"type": "document", "source": {"type": "url", "url": "x"}}), {"documents"}),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, {"structured_output"}),
        ({"generationConfig": {"responseSchema": {"type": "OBJECT"}}}, {"structured_output"}),
        ({"generationConfig": {"responseJsonSchema": {"type": "object"}}}, {"structured_output"}),
        ({"response_format": {"type": "json_object"}}, set()),
    ],
)
def test_what_is_needed(body: Any, expected: set[str]) -> None:
    assert needs(body) == expected


def test_only_what_is_asked_about_is_looked_for() -> None:
    body = json.dumps({"tools": [FUNCTION]}).encode()
    assert needed(request(body), frozenset({"images"})) == frozenset()


def test_uploads_and_what_lies_far_behind_need_nothing() -> None:
    assert needed(request(None), NEEDS) == needed(request(b""), NEEDS) == frozenset()
    assert needed(request(b" " * LARGEST + b'{"tools": [{}]}'), NEEDS) == frozenset()


_WORDS = st.sampled_from(['"type": "image"', '"tools": [{', '{"mimeType":"audio/wav"}', '\\"type\\": \\"file\\"', "hi"])


@given(st.lists(_WORDS | st.text(max_size=20), max_size=6).map(" ".join))
def test_what_people_write_is_no_need(text: str) -> None:
    assert needs(said({"type": "text", "text": text})) == set()
    assert needs({"messages": [{"role": "user", "content": text}], text: 1}) == set()

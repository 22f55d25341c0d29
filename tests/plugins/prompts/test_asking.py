"""Asking: what requests say of a prompt, and that all others are left alone."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from helicone_gw import BadRequest, Headers, HeliconeHeaders, Request
from helicone_gw_prompts.asking import Asked, asked


def request(body: Any, dialect: str = "openai", operation: str = "chat", **helicone: Any) -> Request:
    data = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)
    return Request("POST", "/", "", Headers(), data, dialect, operation, HeliconeHeaders(**helicone))


def test_all_that_can_be_said() -> None:
    body = {"prompt_id": "p", "version_id": "v", "environment": "e", "inputs": {"a": 1}, "model": "m"}
    for place in (
        ("openai", "chat"),
        ("openai", "responses"),
        ("anthropic", "messages"),
        ("gemini", "generate_content"),
    ):
        assert asked(request(body, *place)) == Asked("p", "v", "e", {"a": 1})
    assert asked(request({"version_id": "v", "inputs": None})) == Asked(None, "v", None, {})


@pytest.mark.parametrize(
    "body",
    [
        None,
        b"no json",
        b'{"prompt_id": ',
        {},
        {"messages": [{"content": 'the "prompt_id"'}]},
        {"a": {"prompt_id": "p"}},
    ],
)
def test_what_asks_for_nothing(body: Any) -> None:
    assert asked(request(body)) is None


def test_operations_that_prompts_are_not_for() -> None:
    with pytest.raises(BadRequest, match="Prompts cannot be used for 'embeddings'"):
        asked(request({"prompt_id": "p"}, "openai", "embeddings"))
    assert asked(request({"input": "prompt_id", "prompt_id": None}, "openai", "embeddings")) is None
    assert asked(request({"prompt_id": "p"}, "openai", "files")) is None
    assert asked(request(b'{"prompt_id": ', "openai", "embeddings")) is None
    assert asked(request({"prompt_id": "p"}, gateway_body_mapping="NO_MAPPING")) is None


def test_a_name_written_with_escapes_is_the_same_name() -> None:
    assert asked(request(b'{"prompt\\u005fid": "p"}')) == Asked("p", None, None, {})


def test_fields_that_choose_no_prompt_are_to_be_taken_out() -> None:
    nothing = Asked(None, None, None, {})
    assert asked(request({"prompt_id": "", "version_id": None})) == nothing
    assert asked(request({"inputs": {"a": 1}})) == nothing
    assert asked(request({"inputs": {"a": 1}}, "anthropic", "messages")) is None


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"prompt_id": 5}, "`prompt_id` must be a text"),
        ({"prompt_id": "p", "environment": ["e"]}, "`environment` must be a text"),
        ({"prompt_id": "p" * 300}, "at most 255"),
        ({"prompt_id": "p\0"}, "must be a text"),
        ({"prompt_id": "p", "inputs": [1]}, "`inputs` must be an object"),
        ({"version_id": "v", "environment": "e"}, "`environment` needs a `prompt_id`"),
    ],
)
def test_fields_of_the_wrong_type(body: Any, told: str) -> None:
    with pytest.raises(BadRequest, match=told):
        asked(request(body))

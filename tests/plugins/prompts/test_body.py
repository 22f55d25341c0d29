"""Bodies: what a prompt may be, and where it is told to be wrong."""

from __future__ import annotations

from typing import Any

import pytest

from helicone_gw_prompts.body import BodyError, check_body, texts

MESSAGE = {"role": "user", "content": "Hi"}


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"model": "m", "messages": [MESSAGE]},
        {"messages": [{"role": "assistant", "content": None, "tool_calls": [{}]}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "{{hc:a:b}}"}, {"type": "image_url"}]}]},
        {"messages": None, "tools": None, "metadata": {"team": "a"}, "x": nested(60)},
    ],
)
def test_bodies_that_are_kept(body: Any) -> None:
    assert check_body(body, 10_000) is body


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ([], "the prompt: not an object"),
        ({"model": 1}, "model: not a text"),
        ({"messages": {}}, "messages: not a list"),
        ({"messages": ["x"]}, "messages[0]: not an object"),
        ({"messages": [MESSAGE, {"content": "x"}]}, "messages[1].role: not a text"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content: neither"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]: not an object"),
        ({"tools": [1]}, "tools[0]: not an object"),
        ({"metadata": {"Helicone-Auth": "x"}}, "metadata.Helicone-Auth: Helicone's headers"),
        ({"x": "y" * 10_000}, "the prompt: too large: 10,008 bytes, and at most 10,000"),
        ({"x": nested(70)}, "nested more than 64"),
        ({"x": object()}, "the prompt: holds something that JSON has not"),
        (
            {"messages": [MESSAGE, {"role": "user", "content": "a\n  {{hc:a}}"}]},
            "messages[1].content: line 2, column 3: the tag '{{hc:a}}' is not {{hc:name:type}}",
        ),
        ({"tools": [{"function": {"{{hc:x}}": 1}}]}, "tools[0].function.{{hc:x}}: line 1, column 1"),
        ({"response_format": {"a": ["{{hcp:}}"]}}, "response_format.a[0]: line 1, column 1: the tag '{{hcp:}}' is not"),
    ],
)
def test_bodies_that_are_not(body: Any, told: str) -> None:
    with pytest.raises(BodyError) as raised:
        check_body(body, 10_000)
    assert told in str(raised.value)


def test_templates_are_in_messages_tools_and_the_response_format() -> None:
    body = {
        "user": "{{hc:no:string}}",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}, {"role": "user", "content": "b"}],
        "tools": [{"k": "c"}],
        "response_format": "d",
    }
    assert [text for _, text in texts(body)] == ["a", "b", "d", "k", "c"]

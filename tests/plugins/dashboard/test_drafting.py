"""Bodies of chat completions as forms show them, and what forms say."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.datastructures import MultiDict

from helicone_gw_dashboard.drafting import Message, body_of, differences, draft, translated, variables
from helicone_gw_dashboard.view import Trouble

TOOL_CALL = {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f"}}]}


def filled_in(body: dict[str, Any]) -> MultiDict[str, str]:
    """The form of ``body``, as a browser sends it."""
    shown = draft(body)
    form = MultiDict([("model", shown.model), ("settings", shown.settings)])
    for message in shown.messages:
        form.add("role", message.role)
        form.add("content", message.text.replace("\n", "\r\n"))
        form.add("whole", "yes" if message.whole else "")
    return form


@pytest.mark.parametrize(
    "body",
    [
        {"messages": []},
        {
            "model": "m",
            "messages": [{"role": "system", "content": "a\nb"}, {"role": "user", "content": "{{hc:a:string}}"}],
        },
        {"model": "m", "temperature": 0.2, "tools": [{"type": "function"}], "messages": [TOOL_CALL]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}, {"role": "odd", "content": "x"}]},
        {"messages": [{"role": "user", "content": "a", "name": "ann"}]},
    ],
)
def test_a_body_that_goes_through_a_form_comes_back_as_it_was(body: dict[str, Any]) -> None:
    assert body_of(filled_in(body)) == body


@pytest.mark.parametrize("settings", ["{", "[]", "1", "[" * 100_000])
def test_settings_that_are_no_json_object_are_refused(settings: str) -> None:
    with pytest.raises(Trouble) as refused:
        body_of(MultiDict({"settings": settings}))
    assert refused.value.status == 400


def test_empty_messages_are_left_out() -> None:
    form = MultiDict([("role", "system"), ("content", " \r\n"), ("whole", "")])
    assert body_of(form) == {"messages": []}


def test_variables_are_found_wherever_they_stand() -> None:
    body = {
        "messages": [{"role": "user", "content": "{{ hc:name : string }}"}],
        "tools": [{"n": "{{hc:count:number}}"}],
    }
    assert variables(body) == {"name": "string", "count": "number"}


def test_a_logged_request_of_another_dialect_becomes_messages() -> None:
    anthropic = {
        "model": "claude",
        "max_tokens": 9,
        "system": "Be short.",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
    }
    shown = translated(anthropic)
    assert list(shown.messages) == [Message("system", "Be short."), Message("user", "Hi")]
    assert (shown.model, shown.settings) == ("claude", '{\n  "max_tokens": 9\n}')
    gemini = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}, {"role": "model", "parts": [{"text": "Ho"}]}]}
    assert [(each.role, each.text) for each in translated(gemini).messages] == [("user", "Hi"), ("assistant", "Ho")]


@pytest.mark.parametrize("body", [None, "text", [], {}, {"messages": None}, {"messages": [1, None]}, {"contents": "x"}])
def test_whatever_was_logged_is_shown_or_left_out(body: Any) -> None:
    translated(body)


def test_differences_are_told_line_by_line_with_what_is_around() -> None:
    before = {"model": "m", "messages": [{"role": "system", "content": "\n".join(map(str, range(20)))}]}
    after = {"model": "n", "messages": [{"role": "system", "content": "\n".join([*map(str, range(19)), "new"])}]}
    found = list(differences(before, after))
    assert [(kind, line) for kind, line in found if kind] == [
        ("removed", "model: m"),
        ("added", "model: n"),
        ("gap", "⋯"),
        ("removed", "19"),
        ("added", "new"),
    ]
    assert ("", "9") not in found
    assert list(differences(before, before)) == []

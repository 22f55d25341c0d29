"""The demo provider's answers in Anthropic's format: messages, token counts, models."""

from __future__ import annotations

from typing import Any

from helicone_gw.upstream.demo_text import Talk, pieces

Event = tuple[str | None, Any]


def _usage(talk: Talk, output_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": talk.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output_tokens,
    }


def _stop_reason(talk: Talk) -> str:
    return "max_tokens" if talk.cut else "end_turn"


def message(talk: Talk) -> dict[str, Any]:
    """A ``message``."""
    content = [{"type": "text", "text": talk.text}]
    return _message(talk, content, _stop_reason(talk), talk.output_tokens)


def _message(talk: Talk, content: list[dict[str, Any]], stop_reason: str | None, output_tokens: int) -> dict[str, Any]:
    return {
        "id": f"msg_demo{talk.id}",
        "type": "message",
        "role": "assistant",
        "model": talk.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": _usage(talk, output_tokens),
    }


def message_events(talk: Talk) -> list[Event]:
    """The same in events; usage in ``message_start`` (input) and ``message_delta`` (output, cumulative)."""
    block = {"type": "text", "text": ""}
    ending = {"stop_reason": _stop_reason(talk), "stop_sequence": None}
    script: list[dict[str, Any]] = [
        {"type": "message_start", "message": _message(talk, [], None, 1)},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "ping"},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
            for piece in pieces(talk.text)
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ending, "usage": _usage(talk, talk.output_tokens)},
        {"type": "message_stop"},
    ]
    return [(event["type"], event) for event in script]


def model(name: str) -> dict[str, Any]:
    """One ``model``."""
    return {
        "type": "model",
        "id": name,
        "display_name": "Demo",
        "created_at": "2026-01-01T00:00:00Z",
        "lifecycle": "active",
    }


def models(names: list[str]) -> dict[str, Any]:
    """The list of models, on one page."""
    return {
        "data": [model(name) for name in names],
        "has_more": False,
        "first_id": names[0] if names else None,
        "last_id": names[-1] if names else None,
    }

"""Answers: the text of a complete answer, of a body or of a stream's events, in every dialect that has questions.

Only what ended by itself, in words alone, is an answer here: no call of a tool, nothing cut, filtered or refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from helicone_gw import Chunk

Value = Mapping[str, Any]


class _Incomplete(Exception):
    """Not an answer in words that ended by itself."""


def text_of_body(dialect: str, operation: str, body: bytes) -> str | None:
    """The text of a unary answer; ``None`` for what is no complete answer in words."""
    read = _BODIES.get((dialect, operation))
    try:
        value = msgspec.json.decode(body)
        text = "" if read is None or not isinstance(value, dict) else read(value)
    except (_Incomplete, ValueError, RecursionError, AttributeError, KeyError, TypeError):
        return None
    return text if text.strip() else None


def text_of_events(dialect: str, operation: str, frames: Sequence[bytes]) -> str | None:
    """The text of a stream, of which ``frames`` are all events; ``None`` as in `text_of_body`."""
    read = _STREAMS.get((dialect, operation))
    try:
        chunks = [Chunk(frame) for frame in frames]
        text = "" if read is None else read(chunks)
    except (_Incomplete, AttributeError, KeyError, TypeError):
        return None
    return text if text.strip() else None


def _require(holds: object) -> None:
    if not holds:
        raise _Incomplete


def _chat(value: Value) -> str:
    texts = []
    for choice in value["choices"]:
        message = choice["message"]
        _require(choice["finish_reason"] == "stop")
        _require(not any(message.get(name) for name in ("tool_calls", "function_call", "refusal", "audio")))
        texts.append(message["content"])
    return "\n".join(texts)


def _chat_stream(chunks: Iterable[Chunk]) -> str:
    texts: dict[int, list[str]] = {}
    ended: set[int] = set()
    done = False
    for chunk in chunks:
        if chunk.json is None:
            done = done or b"[DONE]" in chunk.data
            continue
        _require("error" not in chunk.json)
        for choice in chunk.json.get("choices") or ():
            index, delta = choice.get("index", 0), choice.get("delta") or {}
            _require(not any(delta.get(name) for name in ("tool_calls", "function_call", "refusal", "audio")))
            texts.setdefault(index, []).append(delta.get("content") or "")
            if (reason := choice.get("finish_reason")) is not None:
                _require(reason == "stop")
                ended.add(index)
    _require(done and texts and ended == set(texts))
    return "\n".join("".join(texts[index]) for index in sorted(texts))


def _responses(value: Value) -> str:
    _require(value["status"] == "completed" and not value.get("error"))
    texts = []
    for item in value["output"]:
        _require(item["type"] in ("message", "reasoning"))
        for part in item.get("content") or () if item["type"] == "message" else ():
            _require(part["type"] == "output_text")
            texts.append(part["text"])
    return "\n".join(texts)


def _responses_stream(chunks: Iterable[Chunk]) -> str:
    for chunk in chunks:
        kind = (chunk.json or {}).get("type")
        _require(kind not in ("error", "response.failed", "response.incomplete"))
        if kind == "response.completed":
            return _responses(chunk.json["response"])
    raise _Incomplete


_THOUGHTS: Final = ("thinking", "redacted_thinking")


def _messages(value: Value) -> str:
    _require(value["stop_reason"] in ("end_turn", "stop_sequence"))
    texts = []
    for block in value["content"]:
        if block["type"] not in _THOUGHTS:
            _require(block["type"] == "text")
            texts.append(block["text"])
    return "\n".join(texts)


def _messages_stream(chunks: Iterable[Chunk]) -> str:
    texts: list[str] = []
    reason, stopped = None, False
    for chunk in chunks:
        value = chunk.json or {}
        match value.get("type"):
            case "error":
                raise _Incomplete
            case "content_block_start":
                kind = value["content_block"]["type"]
                _require(kind == "text" or kind in _THOUGHTS)
            case "content_block_delta":
                texts.append(value["delta"].get("text") or "")
            case "message_delta":
                reason = value["delta"].get("stop_reason") or reason
            case "message_stop":
                stopped = True
    _require(stopped and reason in ("end_turn", "stop_sequence"))
    return "".join(texts)


def _candidates(values: Iterable[Value]) -> str:
    """Gemini's answer, whole or in pieces: its events are answers of their own."""
    texts: dict[int, list[str]] = {}
    ended: set[int] = set()
    for value in values:
        _require("error" not in value and not (value.get("promptFeedback") or {}).get("blockReason"))
        for candidate in value.get("candidates") or ():
            index = candidate.get("index", 0)
            written = texts.setdefault(index, [])
            for part in (candidate.get("content") or {}).get("parts") or ():
                if not part.get("thought"):
                    written.append(part["text"])
            if (reason := candidate.get("finishReason")) is not None:
                _require(reason == "STOP")
                ended.add(index)
    _require(texts and ended == set(texts))
    return "\n".join("".join(texts[index]) for index in sorted(texts))


def _gemini(value: Value) -> str:
    return _candidates((value,))


def _gemini_stream(chunks: Iterable[Chunk]) -> str:
    return _candidates(chunk.json for chunk in chunks if chunk.json is not None)


_BODIES: Final[dict[tuple[str, str], Callable[[Value], str]]] = {
    ("openai", "chat"): _chat,
    ("openai", "responses"): _responses,
    ("anthropic", "messages"): _messages,
    ("gemini", "generate_content"): _gemini,
    ("gemini", "stream_generate_content"): _gemini,
}
_STREAMS: Final[dict[tuple[str, str], Callable[[Iterable[Chunk]], str]]] = {
    ("openai", "chat"): _chat_stream,
    ("openai", "responses"): _responses_stream,
    ("anthropic", "messages"): _messages_stream,
    ("gemini", "generate_content"): _gemini_stream,
    ("gemini", "stream_generate_content"): _gemini_stream,
}

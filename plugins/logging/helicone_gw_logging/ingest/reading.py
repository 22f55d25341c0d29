"""Reading: which dialect told bodies are in, and what the dialect's own readers find there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from helicone_gw import Usage, wire_format
from helicone_gw_logging.ingest.chunks import as_json, is_chunk, rebuild, split
from helicone_gw_logging.ingest.told import CUSTOM, EVENT

EVENTS = "text/event-stream"
PLAIN = "text/plain; charset=utf-8"
_JSON = "application/json"
_OWN = {"openai": ("openai", "chat"), "anthropic": ("anthropic", "messages"), "gemini": ("gemini", "generate_content")}
_KINDS = frozenset({"tool", "vector_db", "data"})
_ANTHROPIC = frozenset({"message", "message_start", "message_delta", "message_stop"})

Shape = tuple[str, str]
"""Dialect and operation."""


class Answer(Struct, frozen=True):
    """A told answer as bytes, and what it says."""

    dialect: str
    operation: str
    body: bytes
    content_type: str
    streamed: bool = False
    model: str | None = None
    usage: Usage | None = None
    stop_reason: str | None = None
    error: str | None = None


def read(provider: str, asked: Mapping[str, Any], answer: Any, text: str | None) -> Answer:
    """What the answer to ``asked`` says: ``text`` if it is given, else ``answer`` (a JSON value).

    A ``streamed_data`` list in it, or a text of one chunk a line or of an array of them (as Gemini streams them without
    ``alt=sse``), is a stream; it becomes its events again.
    """
    event = _helicone_event(asked, answer)
    if event is not None:
        return event
    chunks: list[dict[str, Any]] = []
    rest = ""
    if text is not None:
        answer = as_json(text)
        if isinstance(answer, list) and any(map(_answer_shape, answer)):
            chunks = [chunk for chunk in answer if isinstance(chunk, dict)]
        elif not isinstance(answer, dict) or is_chunk(answer):
            chunks, rest = split(text)
    elif isinstance(answer, dict) and isinstance(answer.get("streamed_data"), list):
        chunks = [chunk for chunk in answer["streamed_data"] if isinstance(chunk, dict)]
        return _streamed(provider, asked, chunks, "")
    if chunks:
        return _streamed(provider, asked, chunks, rest)
    if text is not None and not isinstance(answer, dict):
        dialect, operation = _asked_shape(provider, asked)
        return Answer(dialect, operation, text.encode("utf-8", "replace"), PLAIN)
    return _whole(provider, asked, answer)


def _streamed(provider: str, asked: Mapping[str, Any], chunks: list[dict[str, Any]], rest: str) -> Answer:
    known = (shape for chunk in chunks if (shape := _answer_shape(chunk)) is not None)
    dialect, operation = next(known, None) or _asked_shape(provider, asked)
    if (dialect, operation) == ("gemini", "generate_content"):
        operation = "stream_generate_content"
    made = rebuild(chunks, dialect, operation)
    usage = made.usage or next((found for chunk in reversed(chunks) if (found := _plain_usage(chunk))), None)
    return Answer(
        dialect, operation, made.body, EVENTS, True, made.model, usage, made.stop_reason, made.error or rest or None
    )


def _whole(provider: str, asked: Mapping[str, Any], answer: Any) -> Answer:
    body = msgspec.json.encode(answer)
    dialect, operation = _answer_shape(answer) or _asked_shape(provider, asked)
    wire = wire_format(dialect, operation)
    if wire is None:
        return Answer(dialect, operation, body, _JSON, model=_name(answer), usage=_plain_usage(answer))
    reply = wire.reply(body)
    usage = reply.usage or _plain_usage(answer)
    return Answer(
        dialect, operation, body, _JSON, False, reply.model or _name(answer), usage, reply.stop_reason, reply.error
    )


def _helicone_event(asked: Mapping[str, Any], answer: Any) -> Answer | None:
    """A call of a tool, a search in a vector database, or other data: ``_type`` says so (contract 10.4)."""
    kind = asked.get("_type")
    if not isinstance(kind, str) or kind not in _KINDS:
        return None
    name = asked.get("toolName" if kind == "tool" else "name")
    named = isinstance(name, str) and name and kind != "vector_db"
    given = answer if isinstance(answer, dict) else {}
    failed = given.get("status") in ("error", "failed") or given.get("error") is not None
    message = given.get("message") if isinstance(given.get("message"), str) else None
    return Answer(
        EVENT,
        kind,
        msgspec.json.encode(given),
        _JSON,
        model=f"{kind}:{name}" if named else kind,
        error=(message or "The call failed.") if failed else None,
    )


def _asked_shape(provider: str, asked: Mapping[str, Any]) -> Shape:
    """What the request alone gives away, and whose provider it is."""
    if isinstance(asked.get("contents"), list):
        return "gemini", "generate_content"
    if isinstance(asked.get("messages"), list):
        return ("anthropic", "messages") if provider == "anthropic" else ("openai", "chat")
    if "input" in asked and "model" in asked:
        model = asked["model"]
        return "openai", "embeddings" if isinstance(model, str) and "embed" in model else "responses"
    if "prompt" in asked and "model" in asked:
        return "openai", "completions"
    return _OWN.get(provider, (CUSTOM, "other"))


def _answer_shape(answer: Any) -> Shape | None:
    if not isinstance(answer, dict):
        return None
    kind, named = answer.get("object"), answer.get("type")
    choices = answer.get("choices")
    if isinstance(choices, list):
        first = choices[0] if choices and isinstance(choices[0], dict) else {}
        plain = kind == "text_completion" or ("text" in first and not {"message", "delta"} & first.keys())
        return "openai", "completions" if plain else "chat"
    if isinstance(answer.get("candidates"), list) or "usageMetadata" in answer:
        return "gemini", "generate_content"
    if kind == "response" or (isinstance(named, str) and named.startswith("response.")):
        return "openai", "responses"
    if isinstance(named, str) and (named in _ANTHROPIC or named.startswith("content_block")):
        return "anthropic", "messages"
    data = answer.get("data")
    if kind == "list" and isinstance(data, list) and data and isinstance(data[0], dict) and "embedding" in data[0]:
        return "openai", "embeddings"
    if isinstance(answer.get("output"), dict) and "stopReason" in answer:
        return "bedrock", "converse"
    if "prompt_eval_count" in answer or "eval_count" in answer:
        return "ollama", "chat"
    return None


def _plain_usage(answer: Any) -> Usage | None:
    """Usage in OpenAI's words, wherever it stands: what people write who log something of their own."""
    usage = answer.get("usage") if isinstance(answer, dict) else None
    wire = wire_format("openai", "chat")
    if not isinstance(usage, dict) or wire is None:
        return None
    return wire.reply(msgspec.json.encode({"usage": usage})).usage


def _name(answer: Any) -> str | None:
    model = answer.get("model") if isinstance(answer, dict) else None
    return model if isinstance(model, str) and model else None

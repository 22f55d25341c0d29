"""Conventions: under which names OpenLLMetry, OpenInference and OpenTelemetry's GenAI conventions put what.

``conventions.json`` lists the names by what they mean, the ones that win first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

import msgspec

from helicone_gw import Usage

NAMES: Final = msgspec.json.decode((files(__package__) / "conventions.json").read_bytes(), type=dict[str, list[str]])
ASSOCIATION: Final = "traceloop.association.properties."
"""What OpenLLMetry puts before the names of properties that a program set for its spans."""

LLM: Final = "chat"
EMBEDDING: Final = "embeddings"
TOOL: Final = "tool"
VECTOR_DB: Final = "vector_db"
SPAN: Final = "span"
"""Kinds of spans: calls of a model, of a tool, of a vector database; and everything that holds others together."""

_KINDS: Final = {
    "chat": LLM,
    "completion": LLM,
    "text_completion": LLM,
    "generate_content": LLM,
    "llm": LLM,
    "embedding": EMBEDDING,
    "embeddings": EMBEDDING,
    "execute_tool": TOOL,
    "tool": TOOL,
    "retriever": VECTOR_DB,
    "reranker": VECTOR_DB,
}
_VECTOR_DATABASES: Final = frozenset(
    {"chroma", "chromadb", "pinecone", "qdrant", "weaviate", "milvus", "lancedb", "marqo"}
)
_MAX_TOKENS: Final = 1 << 53


def first(attributes: Mapping[str, Any], meaning: str) -> Any:
    """The value of the first attribute there is for ``meaning``, or ``None``."""
    return next((attributes[name] for name in NAMES[meaning] if attributes.get(name) is not None), None)


def text(attributes: Mapping[str, Any], meaning: str) -> str | None:
    """The same, if it is a non-empty string."""
    value = first(attributes, meaning)
    return value if isinstance(value, str) and value else None


def kind(attributes: Mapping[str, Any]) -> str:
    """What sort of thing a span did."""
    for name in NAMES["operation"]:
        said = attributes.get(name)
        if isinstance(said, str):
            return _KINDS.get(said.lower(), SPAN)
    if str(attributes.get("db.system", attributes.get("db.system.name", ""))).lower() in _VECTOR_DATABASES:
        return VECTOR_DB
    return LLM if text(attributes, "request_model") is not None else SPAN


def usage(attributes: Mapping[str, Any]) -> Usage | None:
    """Tokens of a call of a model. Totals contain their classes, as all three conventions have it."""
    given, made = _count(attributes, "input_tokens"), _count(attributes, "output_tokens")
    total = _count(attributes, "total_tokens")
    if total is not None and given is not None and made is None:
        made = max(0, total - given)
    found = Usage(
        input_tokens=given,
        output_tokens=made,
        cache_read_tokens=_count(attributes, "cache_read_tokens"),
        cache_write_tokens=_count(attributes, "cache_write_tokens"),
        reasoning_tokens=_count(attributes, "reasoning_tokens"),
        input_audio_tokens=_count(attributes, "input_audio_tokens"),
        output_audio_tokens=_count(attributes, "output_audio_tokens"),
        service_tier=text(attributes, "service_tier"),
    )
    return None if given is None and made is None else found


def finish_reason(attributes: Mapping[str, Any]) -> str | None:
    """Why the model stopped; conventions have it as a list, as JSON of one, or plain."""
    value = first(attributes, "finish_reason")
    if isinstance(value, str) and value.startswith("["):
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeError):
            return None
    if isinstance(value, list):
        value = value[0] if value else None
    return value if isinstance(value, str) and value else None


def parameters(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a call, under OpenAI's names."""
    found = {}
    for name in NAMES["parameters"]:
        value = attributes.get(f"gen_ai.request.{name}", attributes.get(f"llm.{name}"))
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            found[name] = value
    return found


def associated(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Properties that a program set for its spans, by name, as ``Helicone-...`` headers would say them.

    Helicone's own names stay; ``user_id`` and ``session_id``, as traceloop's examples have it, say what they say
    elsewhere; all others are custom properties.
    """
    found: dict[str, str] = {}
    for name, value in attributes.items():
        if not name.startswith(ASSOCIATION) or not isinstance(value, str | int | float | bool):
            continue
        key = name[len(ASSOCIATION) :]
        if not key.lower().startswith("helicone-"):
            key = {"user_id": "Helicone-User-Id", "session_id": "Helicone-Session-Id"}.get(
                key, f"Helicone-Property-{key}"
            )
        found.setdefault(key, value if isinstance(value, str) else msgspec.json.encode(value).decode())
    return found


def _count(attributes: Mapping[str, Any], meaning: str) -> int | None:
    value = first(attributes, meaning)
    if isinstance(value, str) and len(value) <= 16 and value.isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MAX_TOKENS:
        return None
    whole = int(value)
    return whole if whole == value else None

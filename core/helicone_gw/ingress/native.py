"""Native: operations at paths of providers' own, and at the older paths of OpenAI's and Azure's, by the path alone.

What has a row here is read as its dialect says, and sent on as it came; everything else at such paths passes unread.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

from helicone_gw.ingress import operations


class Native(NamedTuple):
    """An operation whose body is JSON; the fields are those of `Location`."""

    dialect: str
    operation: str
    model: str | None = None
    model_in: operations.ModelPlace | None = "body"
    stream: bool | None = None


class _Row(NamedTuple):
    dialect: str
    operation: str
    path: re.Pattern[str]
    stream: bool | None = None


def _row(dialect: str, operation: str, path: str, stream: bool | None = None) -> _Row:
    return _Row(dialect, operation, re.compile(path), stream)


_VERTEX = r"/v1(?:beta1)?/projects/[^/]+/locations/[^/]+"
_ROWS: tuple[_Row, ...] = (
    _row("cohere", "chat", r"/v2/chat"),
    _row("cohere", "embed", r"/v[12]/embed"),
    _row("cohere", "rerank", r"/v[12]/rerank"),
    _row("ollama", "chat", r"/api/chat"),
    _row("ollama", "generate", r"/api/generate"),
    _row("ollama", "embed", r"/api/(?:embed|embeddings)"),
    _row("bedrock", "converse", r"/model/(?P<model>[^/]+)/converse", False),
    _row("bedrock", "converse", r"/model/(?P<model>[^/]+)/converse-stream", True),
    _row("bedrock", "invoke", r"/model/(?P<model>[^/]+)/invoke", False),
    _row("bedrock", "invoke", r"/model/(?P<model>[^/]+)/invoke-with-response-stream", True),
    _row("vertex", "messages", rf"{_VERTEX}/publishers/anthropic/models/(?P<model>[^/:]+):rawPredict", False),
    _row("vertex", "messages", rf"{_VERTEX}/publishers/anthropic/models/(?P<model>[^/:]+):streamRawPredict", True),
    _row("vertex", "raw_chat", rf"{_VERTEX}/publishers/mistralai/models/(?P<model>[^/:]+):rawPredict", False),
    _row("vertex", "raw_chat", rf"{_VERTEX}/publishers/mistralai/models/(?P<model>[^/:]+):streamRawPredict", True),
    _row("vertex", "raw_chat", rf"{_VERTEX}/endpoints/openapi/chat/completions"),
    _row("vertex", "embed", rf"{_VERTEX}/publishers/google/models/(?P<model>[^/:]*embedding[^/:]*):predict", False),
    _row("replicate", "create_prediction", r"/v1/models/(?P<model>[^/]+/[^/]+)/predictions"),
    _row("replicate", "create_prediction", r"/v1/(?:predictions|deployments/[^/]+/[^/]+/predictions)"),
)
_OPENAI: tuple[_Row, ...] = (
    _row("openai", "fim", r"(?:/v1)?/fim/completions"),
    _row("openai", "agents", r"(?:/v1)?/agents/completions"),
)
# Azure's dated API, with and without the "/openai" that a base URL may end in; OpenAI's before there was "model".
_NAMED = re.compile(r"(?:/openai)?(?:/v1)?/(?:deployments|engines)/(?P<model>[^/]+)(?P<rest>/.+)")
_PREFIXED = re.compile(r"/(?:openai|beta)(?P<rest>/.+)")
_TUNED = re.compile(rf"{_VERTEX}/endpoints/(?P<model>[^/:]+):(?P<verb>\w+)")


def find(method: str, path: str, dialect: str | None) -> Native | None:
    """What ``path`` is of a provider of ``dialect``, or of any (``None``); ``None`` where nobody knows."""
    if method != "POST":
        return None
    path = path.rstrip("/")
    for row in _ROWS if dialect is None else [row for row in _ROWS if row.dialect == dialect]:
        if (found := row.path.fullmatch(path)) is not None:
            named = found.groupdict().get("model")
            # Where a prediction's body says "model", nobody acts on it.
            place: operations.ModelPlace | None = "path" if named else None if row.dialect == "replicate" else "body"
            return Native(row.dialect, row.operation, named and unquote(named), place, row.stream)
    if dialect in (None, "vertex") and (found := _TUNED.fullmatch(path)) is not None:
        verb = operations.match(method, f"/models/{found['model']}:{found['verb']}", "gemini")
        return (
            None if verb is None else Native("gemini", verb.operation.name, verb.model, "path", verb.operation.stream)
        )
    return _of_openai(method, path) if dialect in (None, "openai", "azure") else None


def _of_openai(method: str, path: str) -> Native | None:
    for row in _OPENAI:
        if row.path.fullmatch(path) is not None:
            return Native("openai", row.operation)
    named = _NAMED.fullmatch(path)
    found = named or _PREFIXED.fullmatch(path)
    known = found and operations.match(method, found["rest"], "openai")
    if not known or known.operation.dialect != "openai" or known.operation.model != "body":
        return None
    return Native("openai", known.operation.name, named and unquote(named["model"]), "path" if named else "body")

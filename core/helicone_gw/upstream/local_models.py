"""The gateway's own list of models, for when no provider can be asked for one: those of the configuration, and demo."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from helicone_gw.dialects import error_format
from helicone_gw.dialects.base import ErrorFacts
from helicone_gw.headers import Headers
from helicone_gw.model import UpstreamRequest, UpstreamResponse


class LocalModels:
    """A `helicone_gw.model.Upstream` for ``GET /v1/models`` and ``/v1/models/{id}``, in the client's dialect.

    ``models`` are (id, owner) pairs; ``created`` is when this gateway started (epoch seconds).
    """

    def __init__(self, models: Iterable[tuple[str, str]], created: int) -> None:
        self._models = dict(models)
        self._created = created
        self._shapes = {
            "openai": _Shape(self._openai_model, lambda found: {"object": "list", "data": found}),
            "anthropic": _Shape(self._anthropic_model, _anthropic_list),
            "gemini": _Shape(self._gemini_model, lambda found: {"models": found}),
        }

    async def __call__(self, call: UpstreamRequest) -> UpstreamResponse:
        """Answer the list, or one model, or 404. The first segment of the path is the client's dialect."""
        dialect, _, path = urlsplit(call.url).path.strip("/").partition("/")
        wanted = unquote(path.partition("models")[2].strip("/"))
        shape = self._shapes.get(dialect, self._shapes["openai"])
        if not wanted:
            return _reply(200, shape.listed([shape.one(model) for model in self._models]))
        if wanted in self._models:
            return _reply(200, shape.one(wanted))
        facts = ErrorFacts(404, "not_found_error", "model_not_found", f"This gateway does not know model {wanted!r}.")
        return _bytes(404, error_format(dialect).body(facts))

    def _openai_model(self, model: str) -> dict[str, Any]:
        return {"id": model, "object": "model", "created": self._created, "owned_by": self._models[model]}

    def _anthropic_model(self, model: str) -> dict[str, Any]:
        created = datetime.fromtimestamp(self._created, UTC).isoformat().replace("+00:00", "Z")
        return {"type": "model", "id": model, "display_name": model, "created_at": created, "lifecycle": "active"}

    def _gemini_model(self, model: str) -> dict[str, Any]:
        return {"name": f"models/{model}", "displayName": model, "supportedGenerationMethods": ["generateContent"]}


@dataclass(frozen=True, slots=True)
class _Shape:
    """How a dialect writes one model, and a list of them."""

    one: Callable[[str], dict[str, Any]]
    listed: Callable[[list[dict[str, Any]]], dict[str, Any]]


def _anthropic_list(models: list[dict[str, Any]]) -> dict[str, Any]:
    ids = [model["id"] for model in models]
    return {
        "data": models,
        "has_more": False,
        "first_id": ids[0] if ids else None,
        "last_id": ids[-1] if ids else None,
    }


def _reply(status: int, value: Any) -> UpstreamResponse:
    return _bytes(status, msgspec.json.encode(value))


def _bytes(status: int, body: bytes) -> UpstreamResponse:
    async def pieces() -> AsyncIterator[bytes]:
        yield body

    async def close() -> None:
        return None

    return UpstreamResponse(status, Headers({"content-type": "application/json"}), pieces(), close)

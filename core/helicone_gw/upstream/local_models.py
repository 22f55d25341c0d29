"""The gateway's own list of models, for when no provider can be asked for one: those of the configuration, and demo."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from helicone_gw.dialects import error_format
from helicone_gw.dialects.base import ErrorFacts
from helicone_gw.headers import Headers
from helicone_gw.model import UpstreamRequest, UpstreamResponse


class LocalModels:
    """A `helicone_gw.model.Upstream` for ``GET /v1/models`` and ``/v1/models/{id}``, in OpenAI's and Anthropic's shape.

    ``models`` are (id, owner) pairs; ``created`` is when this gateway started (epoch seconds).
    """

    def __init__(self, models: Iterable[tuple[str, str]], created: int) -> None:
        self._models = dict(models)
        self._created = created

    async def __call__(self, call: UpstreamRequest) -> UpstreamResponse:
        """Answer the list, or one model, or 404."""
        anthropic = "anthropic-version" in call.headers
        _, _, wanted = urlsplit(call.url).path.partition("/models")
        wanted = unquote(wanted.strip("/"))
        if not wanted:
            return _reply(200, self._anthropic_list() if anthropic else self._openai_list())
        if wanted in self._models:
            return _reply(200, self._anthropic_model(wanted) if anthropic else self._openai_model(wanted))
        facts = ErrorFacts(404, "not_found_error", "model_not_found", f"This gateway does not know model {wanted!r}.")
        return _bytes(404, error_format("anthropic" if anthropic else "openai").body(facts))

    def _openai_list(self) -> dict[str, Any]:
        return {"object": "list", "data": [self._openai_model(model) for model in self._models]}

    def _openai_model(self, model: str) -> dict[str, Any]:
        return {"id": model, "object": "model", "created": self._created, "owned_by": self._models[model]}

    def _anthropic_list(self) -> dict[str, Any]:
        names = list(self._models)
        return {
            "data": [self._anthropic_model(model) for model in names],
            "has_more": False,
            "first_id": names[0] if names else None,
            "last_id": names[-1] if names else None,
        }

    def _anthropic_model(self, model: str) -> dict[str, Any]:
        from datetime import UTC, datetime

        created = datetime.fromtimestamp(self._created, UTC).isoformat().replace("+00:00", "Z")
        return {"type": "model", "id": model, "display_name": model, "created_at": created}


def _reply(status: int, value: Any) -> UpstreamResponse:
    return _bytes(status, msgspec.json.encode(value))


def _bytes(status: int, body: bytes) -> UpstreamResponse:
    async def pieces() -> AsyncIterator[bytes]:
        yield body

    async def close() -> None:
        return None

    return UpstreamResponse(status, Headers({"content-type": "application/json"}), pieces(), close)

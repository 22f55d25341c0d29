"""Embeddings in Ollama's own API (docs.ollama.com, "Generate embeddings")."""

from __future__ import annotations

from typing import Any

import msgspec

from helicone_gw.dialects._json import count, mapping, text
from helicone_gw.dialects.translate.base import Destination, Outgoing
from helicone_gw.dialects.translate.cohere_vectors import read_vectors
from helicone_gw.dialects.translate.egress_common import lose_extras, texts_of
from helicone_gw.dialects.translate.fields import only
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.vectors import EmbeddingsReply, EmbeddingsRequest
from helicone_gw.model import Usage


class OllamaEmbeddings:
    """See `vectors.EmbeddingsEgress`."""

    dialect = "ollama"

    def write_request(self, request: EmbeddingsRequest, to: Destination, loss: Loss) -> Outgoing:
        """See `vectors.EmbeddingsEgress.write_request`."""
        for name, value in (("user", request.user), ("task_type", request.task), ("title", any(request.titles))):
            if value:
                loss.note(name)
        lose_extras(request.extras, loss)
        body: dict[str, Any] = {"model": to.model, "input": texts_of(request)}
        # Which end is cut off cannot be said, only whether.
        truncate = None if request.truncate is None else request.truncate.upper() != "NONE"
        body |= only(dimensions=request.dimensions, truncate=truncate)
        return Outgoing("embed", "/api/embed", msgspec.json.encode(body))

    def read_reply(self, body: bytes, loss: Loss) -> EmbeddingsReply:
        """See `vectors.EmbeddingsEgress.read_reply`."""
        raw = mapping(msgspec.json.decode(body))
        tokens = count(raw.get("prompt_eval_count"))
        usage = None if tokens is None else Usage(tokens, 0)
        return EmbeddingsReply(text(raw.get("model")) or "", read_vectors(raw), usage)

"""Embeddings on Vertex AI (cloud.google.com/vertex-ai, "Text embeddings API")."""

from __future__ import annotations

from typing import Any

import msgspec

from helicone_gw.dialects._json import items, mapping
from helicone_gw.dialects.translate.base import Destination, Outgoing
from helicone_gw.dialects.translate.cohere_vectors import read_vectors
from helicone_gw.dialects.translate.egress_common import lose_extras, texts_of
from helicone_gw.dialects.translate.fields import only
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.vectors import EmbeddingsReply, EmbeddingsRequest
from helicone_gw.dialects.translate.vertex_conversation import publisher_path
from helicone_gw.dialects.vertex import predicted_usage


class VertexEmbeddings:
    """See `vectors.EmbeddingsEgress`."""

    dialect = "vertex"

    def write_request(self, request: EmbeddingsRequest, to: Destination, loss: Loss) -> Outgoing:
        """See `vectors.EmbeddingsEgress.write_request`."""
        if request.user is not None:
            loss.note("user")
        lose_extras(request.extras, loss)
        task = None if request.task is None else request.task.upper()
        instances: list[dict[str, Any]] = []
        for index, words in enumerate(texts_of(request)):
            title = request.titles[index] if index < len(request.titles) else None
            instances.append({"content": words} | only(task_type=task, title=title))
        truncate = None if request.truncate is None else request.truncate.upper() != "NONE"
        parameters = only(outputDimensionality=request.dimensions, autoTruncate=truncate)
        body = {"instances": instances} | only(parameters=parameters or None)
        return Outgoing("embed", publisher_path("google", to.model, "predict"), msgspec.json.encode(body))

    def read_reply(self, body: bytes, loss: Loss) -> EmbeddingsReply:
        """See `vectors.EmbeddingsEgress.read_reply`; the answer does not name its model."""
        raw = mapping(msgspec.json.decode(body))
        found = [mapping(mapping(each).get("embeddings")).get("values") for each in items(raw.get("predictions"))]
        return EmbeddingsReply("", read_vectors({"embeddings": found or None}), predicted_usage(raw))

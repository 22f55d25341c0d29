"""Embeddings and reranking on Bedrock: InvokeModel of Amazon's Titan and of Cohere's models.

Source: docs.aws.amazon.com, "Inference request parameters" (Titan Text Embeddings, Cohere Embed, Cohere Rerank).
"""

from __future__ import annotations

from typing import Any

import msgspec

from helicone_gw.dialects._json import count, mapping, text
from helicone_gw.dialects.translate.base import Destination, Outgoing
from helicone_gw.dialects.translate.bedrock_request import accepting, model_path
from helicone_gw.dialects.translate.cohere_vectors import embed_members, read_results, read_vectors, rerank_members
from helicone_gw.dialects.translate.egress_common import lose_extras, texts_of
from helicone_gw.dialects.translate.fields import only
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.vectors import (
    EmbeddingsReply,
    EmbeddingsRequest,
    RerankReply,
    RerankRequest,
)
from helicone_gw.errors import BadRequest
from helicone_gw.model import Usage

_SIDES = {"START": "LEFT", "END": "RIGHT"}
"""What is cut off a text that is too long, in the words of Embed v4 on Bedrock."""


class BedrockEmbeddings:
    """See `vectors.EmbeddingsEgress`. Cohere's models take many texts at once, Amazon's one.

    Cohere's answers on Bedrock count their tokens in a header field, not in the body: their usage is not known.
    """

    dialect = "bedrock"

    def write_request(self, request: EmbeddingsRequest, to: Destination, loss: Loss) -> Outgoing:
        """See `vectors.EmbeddingsEgress.write_request`.

        Raises `BadRequest` (code "operation_not_offered") for models of other makers, and (code "too_many_inputs") for
        more than one text at once where the model takes one.
        """
        if "cohere." in to.model:
            body = embed_members(request, loss) | only(output_dimension=request.dimensions)
            body["embedding_types"] = ["float"]
            if "embed-v4" in to.model and "truncate" in body:
                body["truncate"] = _SIDES.get(body["truncate"], "NONE")
        elif "amazon.titan-embed" in to.model:
            body = _titan(request, to, loss)
        else:
            raise BadRequest(
                f"Model {to.model[:80]!r} is none of Bedrock's that are asked for embeddings here: cohere.embed-* and "
                "amazon.titan-embed-*.",
                code="operation_not_offered",
            )
        return Outgoing("embed", model_path(to.model, "invoke"), msgspec.json.encode(body), headers=accepting(False))

    def read_reply(self, body: bytes, loss: Loss) -> EmbeddingsReply:
        """See `vectors.EmbeddingsEgress.read_reply`."""
        raw = mapping(msgspec.json.decode(body))
        single = raw.get("embedding")
        vectors = read_vectors(raw if single is None else {"embeddings": [single]})
        tokens = count(raw.get("inputTextTokenCount"))
        return EmbeddingsReply("", vectors, None if tokens is None else Usage(tokens, 0), text(raw.get("id")))


def _titan(request: EmbeddingsRequest, to: Destination, loss: Loss) -> dict[str, Any]:
    texts = texts_of(request)
    if len(texts) != 1:
        raise BadRequest(
            f"Model {to.model[:80]!r} embeds one text per request, and this one has {len(texts)}. "
            "Send them one by one, or use a model that takes many (cohere.embed-*).",
            code="too_many_inputs",
        )
    for name, value in (
        ("user", request.user),
        ("task_type", request.task),
        ("title", any(request.titles)),
        ("truncate", request.truncate),
    ):
        if value:
            loss.note(name)
    lose_extras(request.extras, loss)
    pictures = texts[0].startswith("data:image/") and "image" in to.model
    if pictures:
        config = None if request.dimensions is None else {"outputEmbeddingLength": request.dimensions}
        return {"inputImage": texts[0].partition(",")[2]} | only(embeddingConfig=config)
    # The first version has neither dimensions nor their normalising.
    return {"inputText": texts[0]} | only(dimensions=request.dimensions)


class BedrockRerank:
    """See `vectors.RerankEgress`: Cohere's models, which are billed by searches, not by tokens."""

    dialect = "bedrock"

    def write_request(self, request: RerankRequest, to: Destination, loss: Loss) -> Outgoing:
        """See `vectors.RerankEgress.write_request`. Raises `BadRequest` (code "operation_not_offered")."""
        if "cohere.rerank" not in to.model:
            raise BadRequest(
                f"Model {to.model[:80]!r} is none of Bedrock's that rerank here: cohere.rerank-*.",
                code="operation_not_offered",
            )
        if request.max_tokens_per_document is not None:
            loss.note("max_tokens_per_doc")
        body = {**rerank_members(request, loss), "api_version": 2}
        return Outgoing("rerank", model_path(to.model, "invoke"), msgspec.json.encode(body), headers=accepting(False))

    def read_reply(self, body: bytes, loss: Loss) -> RerankReply:
        """See `vectors.RerankEgress.read_reply`."""
        raw = mapping(msgspec.json.decode(body))
        return RerankReply(text(raw.get("id")), "", read_results(raw))

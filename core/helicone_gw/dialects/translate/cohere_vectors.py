"""Embeddings and reranking in Cohere's API v2 (docs.cohere.com, "Embed API (v2)", "Rerank API (v2)")."""

from __future__ import annotations

from typing import Any

import msgspec

from helicone_gw.dialects._json import count, items, mapping, text
from helicone_gw.dialects._provider import cohere_billed
from helicone_gw.dialects.translate.base import Destination, Outgoing
from helicone_gw.dialects.translate.egress_common import lose_extras, texts_of
from helicone_gw.dialects.translate.fields import only
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.vectors import (
    EmbeddingsReply,
    EmbeddingsRequest,
    RerankReply,
    RerankRequest,
    RerankResult,
)

_TASKS = {
    "retrieval_query": "search_query",
    "question_answering": "search_query",
    "fact_verification": "search_query",
    "code_retrieval_query": "search_query",
    "retrieval_document": "search_document",
    "classification": "classification",
    "clustering": "clustering",
    "semantic_similarity": "clustering",
}
DEFAULT_TASK = "search_document"
"""Cohere wants to know what vectors are for. What a store is filled with is the most that are ever made."""
_TRUNCATIONS = frozenset({"NONE", "START", "END"})


def embed_members(request: EmbeddingsRequest, loss: Loss) -> dict[str, Any]:
    """The members that Cohere's own API and Bedrock's have in common. Raises `BadRequest` for token arrays."""
    texts = texts_of(request)
    pictures = [each.startswith("data:image/") for each in texts]
    if request.user is not None:
        loss.note("user")
    if any(request.titles):
        loss.note("title")
    lose_extras(request.extras, loss)
    truncate = None if request.truncate is None else request.truncate.upper()
    if truncate is not None and truncate not in _TRUNCATIONS:
        loss.note("truncate")
        truncate = None
    task = None if request.task is None else _TASKS.get(request.task)
    if request.task is not None and task is None:
        loss.note("task_type")
    if texts and all(pictures):
        return {"images": texts, "input_type": "image"} | only(truncate=truncate)
    return {"texts": texts, "input_type": task or DEFAULT_TASK} | only(truncate=truncate)


def read_vectors(raw: Any) -> list[list[float]]:
    """The vectors of an answer: by type, or in the plain array of older ones. Raises `ValueError` without any."""
    found = mapping(raw).get("embeddings")
    vectors = mapping(found).get("float") if isinstance(found, dict) else found
    try:
        return msgspec.convert(vectors, list[list[float]])
    except msgspec.ValidationError:
        raise ValueError("the body has no embeddings") from None


class CohereEmbeddings:
    """See `vectors.EmbeddingsEgress`."""

    dialect = "cohere"

    def write_request(self, request: EmbeddingsRequest, to: Destination, loss: Loss) -> Outgoing:
        """See `vectors.EmbeddingsEgress.write_request`."""
        body = {"model": to.model, **embed_members(request, loss), "embedding_types": ["float"]}
        body |= only(output_dimension=request.dimensions)
        return Outgoing("embed", "/v2/embed", msgspec.json.encode(body))

    def read_reply(self, body: bytes, loss: Loss) -> EmbeddingsReply:
        """See `vectors.EmbeddingsEgress.read_reply`; the answer does not name its model."""
        raw = mapping(msgspec.json.decode(body))
        usage = cohere_billed(raw.get("meta"), generates=False)
        return EmbeddingsReply("", read_vectors(raw), usage, text(raw.get("id")))


def rerank_members(request: RerankRequest, loss: Loss) -> dict[str, Any]:
    """The members that Cohere's own API and Bedrock's have in common; documents are texts in API v2."""
    lose_extras(request.extras, loss)
    documents = [each if isinstance(each, str) else _flat(each) for each in request.documents]
    return {"query": request.query, "documents": documents} | only(top_n=request.top_n)


def _flat(document: dict[str, Any]) -> str:
    """The text of an object: its ``text`` where that is all there is, else every member in a line (Cohere's advice)."""
    words = document.get("text")
    if isinstance(words, str) and len(document) == 1:
        return words
    lines = (
        f"{name}: {value if isinstance(value, str) else msgspec.json.encode(value).decode()}"
        for name, value in document.items()
    )
    return "\n".join(lines)


def read_results(raw: Any) -> list[RerankResult]:
    """The results of an answer. Raises `ValueError` without any."""
    results = mapping(raw).get("results")
    if not isinstance(results, list):
        raise ValueError("the body has no results")
    found = []
    for each in items(results):
        index, score = count(mapping(each).get("index")), mapping(each).get("relevance_score")
        if index is not None and isinstance(score, int | float):
            found.append(RerankResult(index, float(score)))
    return found


class CohereRerank:
    """See `vectors.RerankEgress`."""

    dialect = "cohere"

    def write_request(self, request: RerankRequest, to: Destination, loss: Loss) -> Outgoing:
        """See `vectors.RerankEgress.write_request`."""
        body = {"model": to.model, **rerank_members(request, loss)}
        body |= only(max_tokens_per_doc=request.max_tokens_per_document)
        return Outgoing("rerank", "/v2/rerank", msgspec.json.encode(body))

    def read_reply(self, body: bytes, loss: Loss) -> RerankReply:
        """See `vectors.RerankEgress.read_reply`."""
        raw = mapping(msgspec.json.decode(body))
        return RerankReply(text(raw.get("id")), "", read_results(raw), cohere_billed(raw.get("meta"), generates=False))

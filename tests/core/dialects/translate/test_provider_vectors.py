"""Embeddings and reranking at Cohere, Ollama and Bedrock."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helicone_gw.dialects.translate.bedrock_vectors import BedrockEmbeddings, BedrockRerank
from helicone_gw.dialects.translate.cohere_vectors import CohereEmbeddings, CohereRerank
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.ollama_vectors import OllamaEmbeddings
from helicone_gw.dialects.translate.vectors import (
    EmbeddingsEgress,
    EmbeddingsReply,
    EmbeddingsRequest,
    RerankEgress,
    RerankReply,
    RerankRequest,
    RerankResult,
)
from helicone_gw.errors import BadRequest
from helicone_gw.model import Usage
from tests.core.dialects.translate.asking import to

EMBED_V4 = "cohere.embed-v4:0"
TITAN = "amazon.titan-embed-text-v2:0"
PICTURE = "data:image/png;base64,iVBORw0KGgo="


def embed(egress: EmbeddingsEgress, model: str, *inputs: Any, **members: Any) -> tuple[str, Any, list[str]]:
    """Path and body of the request, and what was lost."""
    loss = Loss()
    outgoing = egress.write_request(EmbeddingsRequest(model, list(inputs), **members), to("p", model), loss)
    assert outgoing.operation == "embed"
    return outgoing.path, json.loads(outgoing.body), list(loss.paths)


def rerank(egress: RerankEgress, model: str, **members: Any) -> tuple[str, Any, list[str]]:
    loss = Loss()
    request = RerankRequest(model, "q", ["a", {"text": "b"}, {"title": "c", "n": 1}], **members)
    outgoing = egress.write_request(request, to("p", model), loss)
    assert outgoing.operation == "rerank"
    return outgoing.path, json.loads(outgoing.body), list(loss.paths)


DOCUMENTS = ["a", "b", "title: c\nn: 1"]


def test_cohere() -> None:
    path, body, lost = embed(CohereEmbeddings(), "embed-v4.0", "a", "b", dimensions=256, task="retrieval_query")
    assert path == "/v2/embed"
    assert body == {
        "model": "embed-v4.0",
        "texts": ["a", "b"],
        "input_type": "search_query",
        "embedding_types": ["float"],
        "output_dimension": 256,
    }
    assert lost == []


@pytest.mark.parametrize(
    ("members", "body", "lost"),
    [
        ({}, {"input_type": "search_document"}, []),
        ({"task": "clustering", "truncate": "end"}, {"input_type": "clustering", "truncate": "END"}, []),
        ({"task": "a_new_one"}, {"input_type": "search_document"}, ["task_type"]),
        ({"user": "u", "titles": ("t",)}, {"input_type": "search_document"}, ["user", "title"]),
        ({"extras": {"odd": 1}, "truncate": "middle"}, {"input_type": "search_document"}, ["odd", "truncate"]),
    ],
)
def test_what_cohere_is_told_the_vectors_are_for(members: Any, body: Any, lost: list[str]) -> None:
    _, found, what = embed(CohereEmbeddings(), "m", "a", **members)
    assert {name: found[name] for name in found if name in ("input_type", "truncate")} == body
    assert what == lost


def test_pictures_are_embedded_as_such() -> None:
    _, body, _ = embed(CohereEmbeddings(), "m", PICTURE, PICTURE)
    assert (body["images"], body["input_type"], "texts" in body) == ([PICTURE, PICTURE], "image", False)
    _, body, _ = embed(BedrockEmbeddings(), "amazon.titan-embed-image-v1", PICTURE, dimensions=384)
    assert body == {"inputImage": "iVBORw0KGgo=", "embeddingConfig": {"outputEmbeddingLength": 384}}


@pytest.mark.parametrize(
    "body",
    [
        {"id": "e1", "embeddings": {"float": [[0.1, 2], [3, 4]]}, "meta": {"billed_units": {"input_tokens": 5}}},
        {"id": "e1", "embeddings": [[0.1, 2], [3, 4]], "meta": {"tokens": {"input_tokens": 5}}},
    ],
)
def test_coheres_answers(body: Any) -> None:
    expected = EmbeddingsReply("", [[0.1, 2.0], [3.0, 4.0]], Usage(5, 0), "e1")
    assert CohereEmbeddings().read_reply(json.dumps(body).encode(), Loss()) == expected


def test_ollama() -> None:
    path, body, lost = embed(OllamaEmbeddings(), "all-minilm", "a", dimensions=64, truncate="NONE", user="u")
    assert (path, lost) == ("/api/embed", ["user"])
    assert body == {"model": "all-minilm", "input": ["a"], "dimensions": 64, "truncate": False}
    reply = b'{"model":"all-minilm","embeddings":[[0.5]],"prompt_eval_count":8}'
    assert OllamaEmbeddings().read_reply(reply, Loss()) == EmbeddingsReply("all-minilm", [[0.5]], Usage(8, 0))


def test_cohere_on_bedrock() -> None:
    path, body, lost = embed(BedrockEmbeddings(), EMBED_V4, "a", "b", dimensions=256, truncate="START")
    assert path == "/model/cohere.embed-v4%3A0/invoke"
    assert body == {
        "texts": ["a", "b"],
        "input_type": "search_document",
        "truncate": "LEFT",
        "output_dimension": 256,
        "embedding_types": ["float"],
    }
    assert lost == []
    reply = b'{"id":"e1","embeddings":{"float":[[0.5]]},"response_type":"embeddings_by_type","texts":["a"]}'
    assert BedrockEmbeddings().read_reply(reply, Loss()) == EmbeddingsReply("", [[0.5]], None, "e1")


def test_titan_takes_one_text() -> None:
    path, body, lost = embed(BedrockEmbeddings(), TITAN, "a", dimensions=512, task="clustering")
    assert (path, body, lost) == (
        "/model/amazon.titan-embed-text-v2%3A0/invoke",
        {"inputText": "a", "dimensions": 512},
        ["task_type"],
    )
    reply = b'{"embedding":[0.5,1],"inputTextTokenCount":3}'
    assert BedrockEmbeddings().read_reply(reply, Loss()) == EmbeddingsReply("", [[0.5, 1.0]], Usage(3, 0))
    with pytest.raises(BadRequest, match="one text per request") as refusal:
        embed(BedrockEmbeddings(), TITAN, "a", "b")
    assert refusal.value.code == "too_many_inputs"


@pytest.mark.parametrize("egress", [CohereEmbeddings(), OllamaEmbeddings(), BedrockEmbeddings()])
def test_tokens_of_another_model_are_refused(egress: EmbeddingsEgress) -> None:
    with pytest.raises(BadRequest) as refusal:
        embed(egress, TITAN, [1, 2, 3])
    assert refusal.value.code == "tokens_not_understood"


@pytest.mark.parametrize("egress", [CohereEmbeddings(), OllamaEmbeddings(), BedrockEmbeddings()])
@pytest.mark.parametrize("body", [b"", b"{}", b'{"embeddings":"no"}', b'{"embeddings":[["a"]]}', b"[]"])
def test_answers_without_vectors_are_none(egress: EmbeddingsEgress, body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        egress.read_reply(body, Loss())


def test_models_that_are_not_asked_here() -> None:
    with pytest.raises(BadRequest) as refusal:
        embed(BedrockEmbeddings(), "meta.llama3-1", "a")
    assert refusal.value.code == "operation_not_offered"
    with pytest.raises(BadRequest) as refusal:
        rerank(BedrockRerank(), "meta.llama3-1")
    assert refusal.value.code == "operation_not_offered"


def test_reranking() -> None:
    path, body, lost = rerank(CohereRerank(), "rerank-v3.5", top_n=2, max_tokens_per_document=100, extras={"odd": 1})
    assert (path, lost) == ("/v2/rerank", ["odd"])
    assert body == {
        "model": "rerank-v3.5",
        "query": "q",
        "documents": DOCUMENTS,
        "top_n": 2,
        "max_tokens_per_doc": 100,
    }
    path, body, lost = rerank(BedrockRerank(), "cohere.rerank-v3-5:0", top_n=2, max_tokens_per_document=100)
    assert (path, lost) == ("/model/cohere.rerank-v3-5%3A0/invoke", ["max_tokens_per_doc"])
    assert body == {"query": "q", "documents": DOCUMENTS, "top_n": 2, "api_version": 2}


@pytest.mark.parametrize("egress", [CohereRerank(), BedrockRerank()])
def test_results_of_reranking(egress: RerankEgress) -> None:
    body = b'{"id":"r1","results":[{"index":2,"relevance_score":0.9},{"index":0,"relevance_score":0},{"odd":1}]}'
    assert egress.read_reply(body, Loss()) == RerankReply("r1", "", [RerankResult(2, 0.9), RerankResult(0, 0.0)])
    with pytest.raises(ValueError, match="no results"):
        egress.read_reply(b"{}", Loss())

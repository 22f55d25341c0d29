"""Embeddings and reranking: inputs, encodings and what one dialect cannot ask of another."""

from __future__ import annotations

import base64
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.dialects.translate.base import Destination
from helicone_gw.dialects.translate.gemini_embeddings import GeminiEmbeddings
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.openai_embeddings import OpenAIEmbeddings, read_vector, to_base64
from helicone_gw.dialects.translate.rerank import Rerank
from helicone_gw.dialects.translate.vectors import EmbeddingsReply, EmbeddingsRequest, RerankReply, RerankResult
from helicone_gw.errors import BadRequest, MalformedBody
from helicone_gw.model import Usage

OPENAI, GEMINI, RERANK = OpenAIEmbeddings(), GeminiEmbeddings(), Rerank()
TO = Destination("gemini", "models/gemini-embedding-001")
FLOATS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=20)


def read(body: Any, codec: Any = OPENAI, loss: Loss | None = None) -> EmbeddingsRequest:
    found: EmbeddingsRequest = codec.read_request(msgspec.json.encode(body), loss or Loss(), model="m")
    return found


@given(FLOATS)
def test_base64_holds_the_same_numbers(vector: list[float]) -> None:
    assert read_vector(to_base64(vector)) == vector
    assert base64.b64decode(to_base64(vector)) == struct.pack(f"<{len(vector)}f", *vector)


@pytest.mark.parametrize(
    ("value", "inputs"),
    [("a", ["a"]), (["a", "b"], ["a", "b"]), ([1, 2], [[1, 2]]), ([[1, 2], [3]], [[1, 2], [3]])],
)
def test_inputs(value: Any, inputs: Any) -> None:
    assert read({"input": value}).inputs == inputs


@pytest.mark.parametrize("value", [None, [], 7, [1, "a"], [[1], "a"], {"text": "a"}])
def test_malformed_inputs(value: Any) -> None:
    with pytest.raises(MalformedBody, match="'input'"):
        read({"input": value})


def test_openai_asks_gemini() -> None:
    loss = Loss()
    request = read({"input": ["a", "b"], "dimensions": 8, "encoding_format": "base64", "user": "u"})
    outgoing = GEMINI.write_request(request, TO, loss)
    assert outgoing.path == "/v1beta/models/gemini-embedding-001:batchEmbedContents"
    assert msgspec.json.decode(outgoing.body) == {
        "requests": [
            {
                "model": "models/gemini-embedding-001",
                "content": {"parts": [{"text": text}]},
                "outputDimensionality": 8,
            }
            for text in ("a", "b")
        ]
    }
    assert loss.paths == ("user",)
    reply = GEMINI.read_reply(b'{"embeddings": [{"values": [0.5]}, {"values": [1]}]}', loss)
    body = msgspec.json.decode(OPENAI.write_reply(reply, request, loss))
    assert [read_vector(item["embedding"]) for item in body["data"]] == [[0.5], [1.0]]
    assert body["model"] == "m"


def test_gemini_asks_openai_for_one_and_for_many() -> None:
    single = read({"content": {"parts": [{"text": "a"}]}, "taskType": "RETRIEVAL_QUERY"}, GEMINI)
    assert (single.inputs, single.single, single.task) == (["a"], True, "retrieval_query")
    many = read(
        {"requests": [{"model": "models/x", "content": {"parts": [{"text": text}]}, "title": text} for text in "ab"]},
        GEMINI,
    )
    assert (many.inputs, many.single, many.titles) == (["a", "b"], False, ("a", "b"))
    loss = Loss()
    outgoing = OPENAI.write_request(many, Destination("openai", "text-embedding-3-small"), loss)
    assert msgspec.json.decode(outgoing.body) == {
        "model": "text-embedding-3-small",
        "input": ["a", "b"],
        "encoding_format": "float",
    }
    assert loss.paths == ("title",)
    reply = EmbeddingsReply("", [[0.5]], Usage(3))
    assert msgspec.json.decode(GEMINI.write_reply(reply, single, loss)) == {
        "embedding": {"values": [0.5]},
        "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3},
    }
    assert msgspec.json.decode(GEMINI.write_reply(EmbeddingsReply("", [[1.0], [2.0]]), many, loss)) == {
        "embeddings": [{"values": [1.0]}, {"values": [2.0]}]
    }


def test_tokens_are_understood_by_their_own_provider_only() -> None:
    with pytest.raises(BadRequest, match="Tokens") as refused:
        GEMINI.write_request(read({"input": [1, 2]}), TO, Loss())
    assert refused.value.code == "tokens_not_understood"


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"data": [{"embedding": ["a"]}]}'])
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"data|numbers"):
        OPENAI.read_reply(body, Loss())


def test_reranking() -> None:
    body = {"query": "q", "documents": ["a", {"text": "b"}], "top_n": 1, "return_documents": True, "extra": 1}
    request = RERANK.read_request(msgspec.json.encode(body), Loss(), model="m")
    assert (request.query, request.documents, request.top_n, request.extras) == (
        "q",
        ["a", {"text": "b"}],
        1,
        {"extra": 1},
    )
    reply = RerankReply("id", "", [RerankResult(1, 0.9), RerankResult(0, 0.1)], Usage(7))
    assert msgspec.json.decode(RERANK.write_reply(reply, request, Loss())) == {
        "id": "id",
        "model": "m",
        "results": [
            {"index": 1, "relevance_score": 0.9, "document": {"text": "b"}},
            {"index": 0, "relevance_score": 0.1, "document": {"text": "a"}},
        ],
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }
    with pytest.raises(MalformedBody, match="documents"):
        RERANK.read_request(b'{"query": "q", "documents": [7]}', Loss(), model="m")

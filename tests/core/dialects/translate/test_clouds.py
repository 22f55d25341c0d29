"""Clouds that host others' models: whose API each model has there, and what is changed in a body that is sent on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helicone_gw.dialects import wire_format
from helicone_gw.dialects.translate.azure import dated_path
from helicone_gw.dialects.translate.bedrock_anthropic import BedrockAnthropic
from helicone_gw.dialects.translate.clouds import Home, egress_name
from helicone_gw.dialects.translate.conversation import Document, Image, Text, ToolResult
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.vectors import EmbeddingsReply, EmbeddingsRequest
from helicone_gw.dialects.translate.vertex_conversation import VertexAnthropic, VertexGemini, VertexOpenAI
from helicone_gw.dialects.translate.vertex_vectors import VertexEmbeddings
from helicone_gw.errors import MalformedBody
from helicone_gw.model import Usage
from tests.core.dialects.translate.asking import PIXEL, asked, results, to, user

CLAUDE = "claude-sonnet-4@20250514"
BEDROCK_CLAUDE = "eu.anthropic.claude-sonnet-4-20250514-v1:0"
HOMES: list[Home] = [BedrockAnthropic(), VertexAnthropic(), VertexGemini(), VertexOpenAI()]


@pytest.mark.parametrize(
    ("dialect", "model", "egress"),
    [
        ("bedrock", BEDROCK_CLAUDE, "bedrock.anthropic"),
        ("bedrock", "amazon.nova-pro-v1:0", "bedrock"),
        ("bedrock", "openai.gpt-oss-120b-1:0", "bedrock"),
        ("vertex", CLAUDE, "vertex.anthropic"),
        ("vertex", "publishers/anthropic/models/claude-opus-4-1", "vertex.anthropic"),
        ("vertex", "gemini-2.5-pro", "vertex"),
        ("vertex", "publishers/google/models/gemini-2.5-pro", "vertex"),
        ("vertex", "my-tuned-one", "vertex"),
        ("vertex", "meta/llama-4-maverick-17b-128e-instruct-maas", "vertex.openai"),
        ("cohere", "command-a", "cohere"),
    ],
)
def test_whose_api_a_model_has(dialect: str, model: str, egress: str) -> None:
    assert egress_name(dialect, model) == egress


@pytest.mark.parametrize("home", HOMES)
def test_usage_is_read_by_the_format_of_the_bodies(home: Home) -> None:
    for stream in (False, True):
        outgoing = home.write_request(asked(user("a"), stream=stream), to("p", "meta/m"), Loss())
        assert wire_format(home.dialect, outgoing.operation) is not None


@pytest.mark.parametrize(("stream", "action"), [(False, "invoke"), (True, "invoke-with-response-stream")])
def test_anthropics_bodies_on_bedrock(stream: bool, action: str) -> None:
    body = b'{"model":"claude-sonnet-4","max_tokens":5, "stream":true,"messages":[ {"role":"user"}]}'
    outgoing = BedrockAnthropic().relay(
        body, to("bedrock", BEDROCK_CLAUDE), "messages", stream=stream, beta="a-1, b-2,"
    )
    assert outgoing.path == f"/model/eu.anthropic.claude-sonnet-4-20250514-v1%3A0/{action}"
    assert outgoing.operation == "messages"
    assert outgoing.body == (
        b'{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["a-1","b-2"],'
        b'"max_tokens":5,"messages":[ {"role":"user"}]}'
    )


def test_what_a_client_says_itself_stays() -> None:
    body = b'{"anthropic_version":"bedrock-2099","anthropic_beta":["x"],"messages":[]}'
    assert BedrockAnthropic().relay(body, to("b", "m"), "messages", stream=False, beta="a").body == body
    assert VertexAnthropic().relay(body, to("v", "m"), "messages", stream=False).body == body


@pytest.mark.parametrize(("stream", "action"), [(False, "rawPredict"), (True, "streamRawPredict")])
def test_anthropics_bodies_on_vertex(stream: bool, action: str) -> None:
    body = b'{"model":"claude","stream":true,"messages":[]}'
    outgoing = VertexAnthropic().relay(body, to("vertex", CLAUDE), "messages", stream=stream)
    assert outgoing.path == f"/v1/publishers/anthropic/models/{CLAUDE}:{action}"
    assert outgoing.body == b'{"anthropic_version":"vertex-2023-10-16","stream":true,"messages":[]}'


@pytest.mark.parametrize(
    ("operation", "stream", "path", "query"),
    [
        ("generate_content", False, "/v1/publishers/google/models/gemini-2.5-pro:generateContent", ""),
        (
            "stream_generate_content",
            True,
            "/v1/publishers/google/models/gemini-2.5-pro:streamGenerateContent",
            "alt=sse",
        ),
        ("count_tokens", False, "/v1/publishers/google/models/gemini-2.5-pro:countTokens", ""),
    ],
)
def test_geminis_bodies_on_vertex(operation: str, stream: bool, path: str, query: str) -> None:
    body = b'{"contents" : []}'
    for model in ("gemini-2.5-pro", "models/gemini-2.5-pro", "publishers/google/models/gemini-2.5-pro"):
        outgoing = VertexGemini().relay(body, to("vertex", model), operation, stream=stream)
        assert (outgoing.path, outgoing.query, outgoing.body) == (path, query, body)
        assert outgoing.operation == operation


def test_openais_bodies_on_vertex() -> None:
    body = b'{"model":"llama", "messages":[]}'
    outgoing = VertexOpenAI().relay(body, to("vertex", "meta/llama-4"), "chat", stream=False)
    assert (outgoing.path, outgoing.body) == (
        "/v1/endpoints/openapi/chat/completions",
        b'{"model":"meta/llama-4", "messages":[]}',
    )


@pytest.mark.parametrize("home", [BedrockAnthropic(), VertexAnthropic()])
def test_a_body_that_is_no_object_is_malformed(home: Home) -> None:
    with pytest.raises(MalformedBody):
        home.relay(b"[]", to("p", "m"), "messages", stream=False)


def test_translated_bodies_name_the_version_and_no_model() -> None:
    request = asked(user("Hi"), stream=True, max_tokens=9)
    for home, members in (
        (BedrockAnthropic(), {"anthropic_version": "bedrock-2023-05-31"}),
        (VertexAnthropic(), {"anthropic_version": "vertex-2023-10-16", "stream": True}),
    ):
        value = json.loads(home.write_request(request, to("p", CLAUDE), Loss()).body)
        assert value == {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], **members}


@pytest.mark.parametrize(
    ("part", "lost"),
    [
        (Image(url="https://example.com/a.png"), "messages.content.image"),
        (Image(file_id="f"), "messages.content.image"),
        (Document(url="https://example.com/a.pdf"), "messages.content.document"),
        (ToolResult("1", (Image(url="https://example.com/a.png"), Text("b"))), "messages.content.image"),
    ],
)
def test_clouds_fetch_nothing(part: Any, lost: str) -> None:
    message = (
        results(part) if isinstance(part, ToolResult) else user(part, "a", Image(data=PIXEL, media_type="image/png"))
    )
    loss = Loss()
    outgoing = BedrockAnthropic().write_request(asked(message), to("bedrock", BEDROCK_CLAUDE), loss)
    assert loss.paths == (lost,)
    assert b"example.com" not in outgoing.body


def test_what_only_anthropic_itself_offers_is_lost() -> None:
    request = asked(user("a"), user="u", service_tier="priority", web_search=True)
    for home, lost in (
        (BedrockAnthropic(), ("user", "service_tier", "web_search_options")),
        (VertexAnthropic(), ("user", "service_tier")),
    ):
        loss = Loss()
        home.write_request(request, to("p", CLAUDE), loss)
        assert loss.paths == lost


def test_embeddings_on_vertex() -> None:
    request = EmbeddingsRequest(
        "m", ["a", "b"], dimensions=256, task="retrieval_document", titles=("t", None), truncate="NONE", user="u"
    )
    loss = Loss()
    outgoing = VertexEmbeddings().write_request(request, to("vertex", "text-embedding-005"), loss)
    assert (outgoing.path, outgoing.operation) == ("/v1/publishers/google/models/text-embedding-005:predict", "embed")
    assert json.loads(outgoing.body) == {
        "instances": [
            {"content": "a", "task_type": "RETRIEVAL_DOCUMENT", "title": "t"},
            {"content": "b", "task_type": "RETRIEVAL_DOCUMENT"},
        ],
        "parameters": {"outputDimensionality": 256, "autoTruncate": False},
    }
    assert loss.paths == ("user",)
    reply = b'{"predictions":[{"embeddings":{"values":[0.5,1],"statistics":{"token_count":3,"truncated":false}}}]}'
    assert VertexEmbeddings().read_reply(reply, Loss()) == EmbeddingsReply("", [[0.5, 1.0]], Usage(3, 0))
    with pytest.raises(ValueError, match="no embeddings"):
        VertexEmbeddings().read_reply(b"{}", Loss())


@pytest.mark.parametrize(
    ("path", "deployment", "placed"),
    [
        ("/v1/chat/completions", "my gpt", "/openai/deployments/my%20gpt/chat/completions"),
        ("/chat/completions", "g", "/openai/deployments/g/chat/completions"),
        ("/v1/embeddings", "e", "/openai/deployments/e/embeddings"),
        ("/v1/chat/completions", None, "/openai/chat/completions"),
        ("/v1/responses", "g", "/openai/responses"),
        ("/v1/files/f-1", None, "/openai/files/f-1"),
        ("/openai/deployments/own/chat/completions", "g", "/openai/deployments/own/chat/completions"),
    ],
)
def test_azures_dated_api(path: str, deployment: str | None, placed: str) -> None:
    assert dated_path(path, deployment) == placed

"""Gemini embeddings, both ways: embedContent and batchEmbedContents (ai.google.dev, "Embeddings")."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from helicone_gw.dialects._json import count, items, mapping, read_body
from helicone_gw.dialects.translate.base import Destination, Outgoing
from helicone_gw.dialects.translate.fields import Fields, only
from helicone_gw.dialects.translate.gemini_request import camel
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.openai_embeddings import read_vector
from helicone_gw.dialects.translate.vectors import EmbeddingsReply, EmbeddingsRequest
from helicone_gw.errors import BadRequest
from helicone_gw.model import Usage


class GeminiEmbeddings:
    """``models/{model}:embedContent`` and ``:batchEmbedContents`` as ingress, the latter as egress."""

    dialect = "gemini"
    operations: tuple[str, ...] = ("embed_content", "batch_embed_contents")

    def read_request(self, body: bytes, loss: Loss, *, model: str) -> EmbeddingsRequest:
        """See `EmbeddingsIngress.read_request`; what the first of a batch asks holds for all."""
        fields = Fields(camel(read_body(body)))
        single = "requests" not in fields.value
        entries = [fields] if single else list(fields.objects("requests"))
        request = EmbeddingsRequest(model=model, inputs=[], single=single)
        titles: list[str | None] = []
        for entry in entries:
            entry.ignore("model", "autoTruncate")
            config = entry.object("embedContentConfig") or entry
            request.inputs.append(_read_text(entry, loss))
            dimensions, task = config.whole("outputDimensionality"), config.text("taskType")
            titles.append(config.text("title"))
            if len(titles) == 1:
                request.dimensions, request.task = dimensions, task.lower() if task else None
            elif dimensions != request.dimensions or (task.lower() if task else None) != request.task:
                loss.note(f"{entry.path}.taskType")
            if entry is not fields:
                entry.lose(loss)
        if any(titles):
            request.titles = tuple(titles)
        request.extras = fields.rest()
        return request

    def write_reply(self, reply: EmbeddingsReply, asked: EmbeddingsRequest, loss: Loss) -> bytes:
        """See `EmbeddingsIngress.write_reply`."""
        usage = None
        if reply.usage is not None and reply.usage.input_tokens is not None:
            usage = {"promptTokenCount": reply.usage.input_tokens, "totalTokenCount": reply.usage.input_tokens}
        if asked.single:
            values = reply.vectors[0] if reply.vectors else []
            return msgspec.json.encode({"embedding": {"values": values}} | only(usageMetadata=usage))
        embeddings = [{"values": vector} for vector in reply.vectors]
        return msgspec.json.encode({"embeddings": embeddings} | only(usageMetadata=usage))

    def write_request(self, request: EmbeddingsRequest, to: Destination, loss: Loss) -> Outgoing:
        """See `EmbeddingsEgress.write_request`."""
        name = to.model.removeprefix("models/")
        requests: list[dict[str, Any]] = []
        for index, value in enumerate(request.inputs):
            if not isinstance(value, str):
                raise BadRequest(
                    "Tokens can be embedded only by the provider of their tokenizer: send text in 'input' instead.",
                    code="tokens_not_understood",
                )
            title = request.titles[index] if index < len(request.titles) else None
            requests.append(
                {"model": f"models/{name}", "content": {"parts": [{"text": value}]}}
                | only(
                    taskType=request.task.upper() if request.task else None,
                    title=title,
                    outputDimensionality=request.dimensions,
                )
            )
        for field in ("user", "truncate"):
            if getattr(request, field) is not None:
                loss.note(field)
        for field in request.extras:
            loss.note(field)
        path = f"/v1beta/models/{quote(name, safe='/')}:batchEmbedContents"
        return Outgoing("batch_embed_contents", path, msgspec.json.encode({"requests": requests}))

    def read_reply(self, body: bytes, loss: Loss) -> EmbeddingsReply:
        """See `EmbeddingsEgress.read_reply`; usage is unknown where Google does not say it."""
        raw = msgspec.json.decode(body)
        if not isinstance(raw, dict) or not isinstance(raw.get("embeddings"), list):
            raise ValueError("the body has no embeddings")
        vectors = [read_vector(mapping(item).get("values")) for item in items(raw["embeddings"])]
        tokens = count(mapping(raw.get("usageMetadata")).get("promptTokenCount"))
        return EmbeddingsReply("", vectors, None if tokens is None else Usage(input_tokens=tokens, output_tokens=0))


def _read_text(entry: Fields, loss: Loss) -> str:
    content = entry.object("content")
    if content is None:
        return ""
    texts = []
    for part in content.objects("parts"):
        words = part.text("text")
        if words is None:
            loss.note(part.path)
        else:
            texts.append(words)
    return "\n".join(texts)

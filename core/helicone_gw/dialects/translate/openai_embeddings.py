"""OpenAI embeddings, both ways (platform.openai.com, "Embeddings")."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from typing import Any, Literal, cast

import msgspec

from helicone_gw.dialects._json import items, mapping, read_body, text
from helicone_gw.dialects.translate.base import Destination, Outgoing
from helicone_gw.dialects.translate.fields import Fields, malformed, only
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.vectors import EmbeddingsReply, EmbeddingsRequest
from helicone_gw.dialects.usage import openai_usage


class OpenAIEmbeddings:
    """``POST /v1/embeddings``, as ingress and as egress."""

    dialect = "openai"
    operations: tuple[str, ...] = ("embeddings",)

    def read_request(self, body: bytes, loss: Loss, *, model: str) -> EmbeddingsRequest:
        """See `EmbeddingsIngress.read_request`."""
        fields = Fields(read_body(body))
        fields.ignore("model")
        encoding = fields.text("encoding_format") or "float"
        if encoding not in ("float", "base64"):
            malformed("encoding_format", "float or base64", encoding)
        request = EmbeddingsRequest(
            model=model,
            inputs=_read_inputs(fields),
            dimensions=fields.whole("dimensions"),
            encoding=cast(Literal["float", "base64"], encoding),
            task=fields.text("input_type"),
            user=fields.text("user"),
        )
        request.extras = fields.rest()
        return request

    def write_reply(self, reply: EmbeddingsReply, asked: EmbeddingsRequest, loss: Loss) -> bytes:
        """See `EmbeddingsIngress.write_reply`."""
        data = [
            {
                "object": "embedding",
                "index": index,
                "embedding": to_base64(vector) if asked.encoding == "base64" else vector,
            }
            for index, vector in enumerate(reply.vectors)
        ]
        tokens = (reply.usage and reply.usage.input_tokens) or 0
        return msgspec.json.encode(
            {
                "object": "list",
                "data": data,
                "model": reply.model or asked.model,
                "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            }
        )

    def write_request(self, request: EmbeddingsRequest, to: Destination, loss: Loss) -> Outgoing:
        """See `EmbeddingsEgress.write_request`."""
        for name in ("task", "truncate"):
            if getattr(request, name) is not None:
                loss.note(name)
        if any(request.titles):
            loss.note("title")
        for name in request.extras:
            loss.note(name)
        body = {"model": to.model, "input": request.inputs} | only(
            dimensions=request.dimensions, user=request.user, encoding_format="float"
        )
        return Outgoing("embeddings", "/v1/embeddings", msgspec.json.encode(body))

    def read_reply(self, body: bytes, loss: Loss) -> EmbeddingsReply:
        """See `EmbeddingsEgress.read_reply`."""
        raw = msgspec.json.decode(body)
        if not isinstance(raw, dict) or not isinstance(raw.get("data"), list):
            raise ValueError("the body has no data")
        vectors = [read_vector(mapping(item).get("embedding")) for item in raw["data"]]
        return EmbeddingsReply(text(raw.get("model")) or "", vectors, openai_usage(raw.get("usage")))


def _read_inputs(fields: Fields) -> list[str | list[int]]:
    value = fields.any("input")
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not value or not (_is_tokens(value) or _is_list(value)):
        malformed("input", "a string, an array of strings, or tokens", value)
    return [value] if _is_tokens(value) else value


def _is_list(value: list[Any]) -> bool:
    return all(isinstance(item, str) for item in value) or all(_is_tokens(item) for item in value)


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, int) for item in value)


def read_vector(value: Any) -> list[float]:
    """A vector, as numbers or as base64 of 32-bit little-endian floats. Raises `ValueError` for anything else."""
    if isinstance(value, str):
        data = base64.b64decode(value)
        return list(struct.unpack(f"<{len(data) // 4}f", data[: len(data) // 4 * 4]))
    numbers = items(value)
    if not all(isinstance(item, int | float) for item in numbers):
        raise ValueError("an embedding is not a list of numbers")
    return numbers


def to_base64(vector: Sequence[float]) -> str:
    """``vector`` as base64 of 32-bit little-endian floats, as OpenAI writes it."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()

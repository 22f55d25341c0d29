"""Vertex AI's embeddings: their usage is the sum over the predictions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helicone_gw.dialects.base import Reply
from helicone_gw.dialects.vertex import VertexEmbedFormat
from helicone_gw.model import Usage

EMBED = VertexEmbedFormat()


def predictions(*counts: Any) -> bytes:
    found = [{"embeddings": {"values": [0.1], "statistics": {"token_count": count}}} for count in counts]
    return json.dumps({"predictions": found}).encode()


@pytest.mark.parametrize(
    ("counts", "usage"), [((6, 4), Usage(10, 0)), ((6, None), None), ((), None), (("6",), None), ((0,), Usage(0, 0))]
)
def test_usage(counts: tuple[Any, ...], usage: Usage | None) -> None:
    assert EMBED.reply(predictions(*counts)) == Reply(usage=usage)


def test_texts() -> None:
    body = b'{"instances":[{"content":"a","title":"t","task_type":"X"},{"content":"b"}]}'
    assert EMBED.prompt_text(body) == ["a", "t", "b"]
    assert EMBED.reply_text(predictions(1)) == []
    assert EMBED.with_model(body, "m") == body

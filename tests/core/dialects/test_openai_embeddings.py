"""OpenAI embeddings: model and usage, without a look at the vectors."""

from __future__ import annotations

from helicone_gw.dialects.base import Reply
from helicone_gw.dialects.openai_embeddings import EmbeddingsFormat
from helicone_gw.model import Usage

EMBEDDINGS = EmbeddingsFormat()


def test_reply_and_texts() -> None:
    body = (
        b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,-2e-3]}],'
        b'"model":"text-embedding-3-small","usage":{"prompt_tokens":8,"total_tokens":8}}'
    )
    assert EMBEDDINGS.reply(body) == Reply("text-embedding-3-small", Usage(8, 0))
    assert EMBEDDINGS.reply_text(body) == []
    assert EMBEDDINGS.prompt_text(b'{"model":"m","input":["a","b"],"user":"u"}') == ["a", "b"]
    assert EMBEDDINGS.prompt_text(b'{"input":[[1,2],[3]]}') == []


def test_a_provider_that_reports_a_total_only() -> None:
    assert EMBEDDINGS.reply(b'{"model":"voyage-3","data":[],"usage":{"total_tokens":5}}').usage == Usage(5, 0)


def test_unknown_stays_unknown() -> None:
    assert EMBEDDINGS.reply(b'{"model":"m","data":[]}').usage is None
    assert EMBEDDINGS.reply(b'{"embedding":') == Reply()
    assert EMBEDDINGS.reply(b'{"error":{"message":"x"}}') == Reply(error="x")


def test_usage_needs_no_asking() -> None:
    assert EMBEDDINGS.asking_for_usage(b'{"input":"a","stream":true}') is None

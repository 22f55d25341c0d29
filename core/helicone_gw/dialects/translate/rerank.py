"""Reranking as clients ask for it: Cohere's ``/rerank``, which Jina, Voyage and others copied (docs.cohere.com)."""

from __future__ import annotations

from typing import Any

import msgspec

from helicone_gw.dialects._json import read_body
from helicone_gw.dialects.translate.fields import Fields, malformed, only
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.vectors import RerankReply, RerankRequest


class Rerank:
    """``POST /v1/rerank`` and ``/v2/rerank``."""

    dialect = "openai"
    operations: tuple[str, ...] = ("rerank",)

    def read_request(self, body: bytes, loss: Loss, *, model: str) -> RerankRequest:
        """See `RerankIngress.read_request`."""
        fields = Fields(read_body(body))
        fields.ignore("model")
        documents = fields.array("documents")
        if not all(isinstance(item, str | dict) for item in documents):
            malformed("documents", "an array of strings or objects", documents)
        request = RerankRequest(
            model=model,
            query=fields.needed("query"),
            documents=documents,
            top_n=fields.whole("top_n"),
            return_documents=fields.flag("return_documents") or False,
            max_tokens_per_document=fields.whole("max_tokens_per_doc"),
        )
        request.extras = fields.rest()
        return request

    def write_reply(self, reply: RerankReply, asked: RerankRequest, loss: Loss) -> bytes:
        """See `RerankIngress.write_reply`."""
        results = [
            {"index": result.index, "relevance_score": result.score}
            | only(document=_document(asked, result.index) if asked.return_documents else None)
            for result in reply.results
        ]
        body: dict[str, Any] = {"id": reply.id or "", "model": reply.model or asked.model, "results": results}
        if reply.usage is not None and reply.usage.input_tokens is not None:
            tokens = reply.usage.input_tokens
            body["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
        return msgspec.json.encode(body)


def _document(asked: RerankRequest, index: int) -> Any:
    if index >= len(asked.documents):
        return None
    document = asked.documents[index]
    return {"text": document} if isinstance(document, str) else document

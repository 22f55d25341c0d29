"""The neutral forms of embeddings and of reranking, and what a dialect offers to their translation."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from msgspec import Struct, field

from helicone_gw.dialects.translate.base import Destination, Outgoing
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.model import Usage


class EmbeddingsRequest(Struct):
    """Texts, token arrays or pictures (as data URLs) to embed; the answer has one vector for each, in their order.

    ``single`` says that the client asked with one text outside any list (Gemini's ``embedContent``). ``task`` is
    Gemini's ``taskType`` in lower case ("retrieval_query", "retrieval_document", "classification", "clustering", ...);
    ``titles`` its titles of documents, one per input.
    """

    model: str
    inputs: list[str | list[int]]
    single: bool = False
    dimensions: int | None = None
    encoding: Literal["float", "base64"] = "float"
    task: str | None = None
    titles: tuple[str | None, ...] = ()
    truncate: str | None = None
    user: str | None = None
    extras: dict[str, Any] = field(default_factory=dict)


class EmbeddingsReply(Struct):
    """One vector per input, in order."""

    model: str
    vectors: list[list[float]]
    usage: Usage | None = None
    id: str | None = None


class EmbeddingsIngress(Protocol):
    """A dialect in which clients ask for embeddings."""

    dialect: str
    operations: tuple[str, ...]

    def read_request(self, body: bytes, loss: Loss, *, model: str) -> EmbeddingsRequest:
        """The request in neutral form. Raises `MalformedBody`."""

    def write_reply(self, reply: EmbeddingsReply, asked: EmbeddingsRequest, loss: Loss) -> bytes:
        """The body of the answer to ``asked``."""


class EmbeddingsEgress(Protocol):
    """A dialect in which providers are asked for embeddings."""

    dialect: str

    def write_request(self, request: EmbeddingsRequest, to: Destination, loss: Loss) -> Outgoing:
        """The request in the provider's dialect. Raises `BadRequest` for token arrays where only text is understood."""

    def read_reply(self, body: bytes, loss: Loss) -> EmbeddingsReply:
        """The answer. Raises `ValueError` for what is not one."""


class RerankRequest(Struct):
    """Documents (texts, or objects whose ``text`` counts) to order by relevance to ``query``."""

    model: str
    query: str
    documents: list[str | dict[str, Any]]
    top_n: int | None = None
    return_documents: bool = False
    max_tokens_per_document: int | None = None
    extras: dict[str, Any] = field(default_factory=dict)


class RerankResult(Struct, frozen=True):
    """The document of this index, and its relevance from 0 to 1."""

    index: int
    score: float


class RerankReply(Struct):
    """Results, the most relevant first."""

    id: str | None
    model: str
    results: list[RerankResult]
    usage: Usage | None = None


class RerankIngress(Protocol):
    """A dialect in which clients ask for reranking."""

    dialect: str
    operations: tuple[str, ...]

    def read_request(self, body: bytes, loss: Loss, *, model: str) -> RerankRequest:
        """The request in neutral form. Raises `MalformedBody`."""

    def write_reply(self, reply: RerankReply, asked: RerankRequest, loss: Loss) -> bytes:
        """The body of the answer to ``asked``."""


class RerankEgress(Protocol):
    """A dialect in which providers rerank."""

    dialect: str

    def write_request(self, request: RerankRequest, to: Destination, loss: Loss) -> Outgoing:
        """The request in the provider's dialect."""

    def read_reply(self, body: bytes, loss: Loss) -> RerankReply:
        """The answer. Raises `ValueError` for what is not one."""

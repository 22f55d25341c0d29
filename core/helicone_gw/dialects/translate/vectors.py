"""The neutral forms of embeddings and of reranking, and what a dialect offers to their translation."""

from __future__ import annotations

from typing import Any, Literal, Protocol, TypeVar

from msgspec import Struct, field

from helicone_gw.dialects.translate.base import Destination, Outgoing
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.model import Usage

Asked = TypeVar("Asked")
Answer = TypeVar("Answer", contravariant=True)
Question = TypeVar("Question", contravariant=True)
Answered = TypeVar("Answered", covariant=True)


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


class Asking(Protocol[Asked, Answer]):
    """A dialect in which clients ask for vectors or for an order, in one whole answer."""

    dialect: str
    operations: tuple[str, ...]

    def read_request(self, body: bytes, loss: Loss, *, model: str) -> Asked:
        """The request in neutral form. Raises `MalformedBody`."""

    def write_reply(self, reply: Answer, asked: Asked, loss: Loss) -> bytes:
        """The body of the answer to ``asked``."""


class Answering(Protocol[Question, Answered]):
    """A dialect in which providers are asked for that."""

    dialect: str

    def write_request(self, request: Question, to: Destination, loss: Loss) -> Outgoing:
        """The request in the provider's dialect. Raises `BadRequest` for what only another dialect understands."""

    def read_reply(self, body: bytes, loss: Loss) -> Answered:
        """The answer. Raises `ValueError` for what is not one."""


EmbeddingsIngress = Asking[EmbeddingsRequest, EmbeddingsReply]
EmbeddingsEgress = Answering[EmbeddingsRequest, EmbeddingsReply]
RerankIngress = Asking[RerankRequest, RerankReply]
RerankEgress = Answering[RerankRequest, RerankReply]

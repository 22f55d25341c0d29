"""Translation: one request on its way to a provider of another dialect, and its answer on the way back.

Usage, cost, stop reason and model are read from the provider's own bytes by the wire format of ``operation``; what is
written here is for the client alone.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from helicone_gw.dialects.translate.base import Destination, Egress, Framing, Ingress, Outgoing
from helicone_gw.dialects.translate.codecs import (
    CONVERSATION_INGRESS,
    EMBEDDINGS_EGRESS,
    EMBEDDINGS_INGRESS,
    RERANK_EGRESS,
    RERANK_INGRESS,
    conversation_egress,
)
from helicone_gw.dialects.translate.conversation import ConversationRequest, ToolCall
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.names import Renaming
from helicone_gw.dialects.translate.reply import ConversationReply
from helicone_gw.dialects.translate.streaming import StreamTranslator
from helicone_gw.errors import BadRequest
from helicone_gw.model import Request

_CONVERSATIONS = {(codec.dialect, name): codec for codec in CONVERSATION_INGRESS for name in codec.operations}
_EMBEDDINGS = {(codec.dialect, name): codec for codec in EMBEDDINGS_INGRESS for name in codec.operations}
_RERANKS = {(codec.dialect, name): codec for codec in RERANK_INGRESS for name in codec.operations}


class Translation:
    """A request in the provider's dialect, and how its answer is read and written.

    ``dialect`` is the provider's, ``outgoing.operation`` its operation; ``loss`` what the request lost. What an answer
    loses is collected apart, in ``reply_loss``: by then it is too late to refuse.
    """

    __slots__ = ("_reply", "_stream", "dialect", "framing", "loss", "outgoing", "reply_loss")

    def __init__(
        self,
        dialect: str,
        outgoing: Outgoing,
        loss: Loss,
        reply_loss: Loss,
        reply: Callable[[bytes, int], bytes],
        stream: Callable[[int], StreamTranslator] | None = None,
        framing: Framing = "sse",
    ) -> None:
        self.dialect = dialect
        self.outgoing = outgoing
        self.loss = loss
        self.reply_loss = reply_loss
        self.framing = framing
        self._reply = reply
        self._stream = stream

    def reply(self, body: bytes, created: int) -> bytes:
        """The client's body for a provider's unary answer of status 2xx, made at ``created`` (epoch seconds).

        Raises `ValueError` where the answer is not what the provider's dialect says.
        """
        return self._reply(body, created)

    def stream(self, created: int) -> StreamTranslator:
        """A translator for a streamed answer. Raises `ValueError` where the operation has none."""
        if self._stream is None:
            raise ValueError("this operation has no streamed answers")
        return self._stream(created)


def translatable(dialect: str, operation: str) -> bool:
    """Whether clients' requests of this operation can be carried to another dialect at all."""
    key = (dialect, operation)
    return key in _CONVERSATIONS or key in _EMBEDDINGS or key in _RERANKS


def translate(request: Request, dialect: str, to: Destination, *, strict: bool = False) -> Translation:
    """``request`` for a provider of ``dialect``.

    Raises `MalformedBody` for a body that is not what the client's dialect says, and `BadRequest`:
    "operation_not_offered" where the provider has no such operation, "translation_loss" where something would be lost
    and ``strict`` is set.
    """
    key = (request.dialect, request.operation)
    body = request.body
    if body is None or not translatable(*key):
        raise not_offered(request, dialect, to)
    loss, reply_loss = Loss(strict=strict), Loss()
    model = request.model or to.model
    if key in _CONVERSATIONS:
        speaker = _CONVERSATIONS[key]
        asked = speaker.read_request(body, loss, model=model, stream=request.stream)
        writer = conversation_egress(dialect, to, asked)
        if writer is None:
            raise not_offered(request, dialect, to)
        outgoing = writer.write_request(asked, to, loss)
        return _conversation(request, dialect, outgoing, loss, reply_loss, speaker, writer, asked, to.names)
    if key in _EMBEDDINGS:
        embedder = _EMBEDDINGS[key]
        wanted = embedder.read_request(body, loss, model=model)
        embedding = EMBEDDINGS_EGRESS.get(dialect)
        if embedding is None:
            raise not_offered(request, dialect, to)
        outgoing = embedding.write_request(wanted, to, loss)

        def embedded(data: bytes, created: int) -> bytes:
            return embedder.write_reply(embedding.read_reply(data, reply_loss), wanted, reply_loss)

        return Translation(dialect, outgoing, loss, reply_loss, embedded)
    ranker = _RERANKS[key]
    ordered = ranker.read_request(body, loss, model=model)
    ranking = RERANK_EGRESS.get(dialect)
    if ranking is None:
        raise not_offered(request, dialect, to)
    outgoing = ranking.write_request(ordered, to, loss)

    def ranked(data: bytes, created: int) -> bytes:
        return ranker.write_reply(ranking.read_reply(data, reply_loss), ordered, reply_loss)

    return Translation(dialect, outgoing, loss, reply_loss, ranked)


def not_offered(request: Request, dialect: str, to: Destination) -> BadRequest:
    """The refusal of an operation that a provider does not have."""
    return BadRequest(
        f"Provider {to.provider!r} speaks the {dialect} dialect and does not offer {request.operation!r} "
        f"({request.method} {request.path[:80]}).",
        code="operation_not_offered",
    )


def _conversation(
    request: Request,
    dialect: str,
    outgoing: Outgoing,
    loss: Loss,
    reply_loss: Loss,
    speaker: Ingress,
    writer: Egress,
    asked: ConversationRequest,
    names: Renaming,
) -> Translation:
    def reply(data: bytes, created: int) -> bytes:
        answer = writer.read_reply(data, reply_loss)
        answer.created = answer.created or created
        _restore(answer, names)
        return speaker.write_reply(answer, asked, reply_loss)

    def stream(created: int) -> StreamTranslator:
        return StreamTranslator(
            writer.stream_reader(reply_loss),
            speaker.stream_writer(asked, reply_loss),
            names,
            dialect=request.dialect,
            operation=request.operation,
            created=created,
            as_array=request.operation == "stream_generate_content" and "alt=sse" not in request.query.split("&"),
        )

    return Translation(dialect, outgoing, loss, reply_loss, reply, stream, writer.framing)


def _restore(answer: ConversationReply, names: Renaming) -> None:
    """Give tools the names that the client knows them by."""
    for choice in answer.choices:
        choice.parts = [
            replace(part, name=names.original(part.name)) if isinstance(part, ToolCall) else part
            for part in choice.parts
        ]

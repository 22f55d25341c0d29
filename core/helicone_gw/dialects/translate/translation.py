"""Translation: one request on its way to a provider of another dialect, and its answer on the way back.

Usage, cost, stop reason and model are read from the provider's own bytes, by the wire format that `Translation` names;
what is written here is for the client alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from helicone_gw.dialects.translate import counting
from helicone_gw.dialects.translate.base import Destination, Egress, Ingress, Outgoing
from helicone_gw.dialects.translate.clouds import Home, egress_name
from helicone_gw.dialects.translate.codecs import (
    CONVERSATION_EGRESS,
    CONVERSATION_INGRESS,
    EMBEDDINGS_EGRESS,
    EMBEDDINGS_INGRESS,
    RERANK_EGRESS,
    RERANK_INGRESS,
    conversation_egress,
    home_of,
)
from helicone_gw.dialects.translate.conversation import ConversationRequest, ToolCall
from helicone_gw.dialects.translate.custom_tools import as_custom, custom_names
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.names import Renaming
from helicone_gw.dialects.translate.reply import ConversationReply
from helicone_gw.dialects.translate.streaming import StreamTranslator
from helicone_gw.dialects.translate.vectors import Answering, Asking
from helicone_gw.errors import BadRequest
from helicone_gw.model import Request

_Q = TypeVar("_Q")
_A = TypeVar("_A")
_CONVERSATIONS = {(codec.dialect, name): codec for codec in CONVERSATION_INGRESS for name in codec.operations}
_EMBEDDINGS = {(codec.dialect, name): codec for codec in EMBEDDINGS_INGRESS for name in codec.operations}
_RERANKS = {(codec.dialect, name): codec for codec in RERANK_INGRESS for name in codec.operations}
_ID_PREFIXES = {"chat": "chatcmpl-", "completions": "cmpl-", "responses": "resp_", "messages": "msg_"}


class Made(Struct, frozen=True):
    """What an answer is given where its provider says nothing: an id, and the time (epoch seconds)."""

    id: str
    created: int


class Translation:
    """A request in the provider's dialect, and how its answer is read and written.

    ``dialect`` and ``outgoing.operation`` name the wire format of the provider's answer; ``loss`` is what the request
    lost. What an answer loses is collected apart, in ``reply_loss``: by then it is too late to refuse.
    """

    __slots__ = ("_reply", "_stream", "dialect", "loss", "outgoing", "reply_loss")

    def __init__(
        self,
        dialect: str,
        outgoing: Outgoing,
        loss: Loss,
        reply_loss: Loss,
        reply: Callable[[bytes, Made], bytes] | None = None,
        stream: Callable[[Made], StreamTranslator] | None = None,
    ) -> None:
        self.dialect = dialect
        self.outgoing = outgoing
        self.loss = loss
        self.reply_loss = reply_loss
        self._reply = reply
        self._stream = stream

    def reply(self, body: bytes, made: Made) -> bytes:
        """The client's body for a provider's unary answer of status 2xx.

        Raises `ValueError` where the answer is not what the provider's dialect says.
        """
        return body if self._reply is None else self._reply(body, made)

    def stream(self, made: Made) -> StreamTranslator | None:
        """A translator for a streamed answer; ``None`` where it passes as it is."""
        return None if self._stream is None else self._stream(made)


def translatable(dialect: str, operation: str) -> bool:
    """Whether clients' requests of this operation can be carried to another dialect at all."""
    key = (dialect, operation)
    return operation == "count_tokens" or key in _CONVERSATIONS or key in _EMBEDDINGS or key in _RERANKS


def carries(client: str, operation: str, dialect: str, provider: str, model: str) -> bool:
    """Whether requests of ``client``'s dialect can be carried to ``provider``, which speaks ``dialect``.

    ``model`` is the name there: at clouds it decides whose dialect is spoken.
    """
    key = (client, operation)
    home = home_of(dialect, Destination(provider, model))
    if home is not None and home.dialect == client and operation in home.operations:
        return True
    if key in _CONVERSATIONS:
        return egress_name(dialect, model) in CONVERSATION_EGRESS
    if key in _EMBEDDINGS:
        return dialect in EMBEDDINGS_EGRESS
    if key in _RERANKS:
        return dialect in RERANK_EGRESS
    return operation == "count_tokens" and counts(dialect, provider)


def counts(dialect: str, provider: str) -> bool:
    """Whether a provider of ``dialect`` counts tokens for clients of others."""
    return dialect in counting.WRITERS and (dialect != "openai" or provider in counting.COUNTING)


def translate(request: Request, dialect: str, to: Destination, *, strict: bool = False) -> Translation:
    """``request`` for a provider of ``dialect``.

    Raises `MalformedBody` for a body that is not what the client's dialect says, and `BadRequest`:
    "operation_not_offered" where the provider has no such operation, "translation_loss" where something would be lost
    and ``strict`` is set.
    """
    key = (request.dialect, request.operation)
    body = request.body
    if body is None:
        raise not_offered(request, dialect, to)
    home = home_of(dialect, to)
    if home is not None and home.dialect == request.dialect and request.operation in home.operations:
        return _relayed(request, body, home, to)
    loss = Loss(strict=strict)
    model = _called(request, to)
    if (speaker := _CONVERSATIONS.get(key)) is not None:
        asked = speaker.read_request(body, loss, model=model, stream=request.stream)
        writer = conversation_egress(dialect, to, asked)
        if writer is None:
            raise not_offered(request, dialect, to)
        return _conversation(request, writer.write_request(asked, to, loss), loss, speaker, writer, asked, to.names)
    if key in _EMBEDDINGS:
        return _whole(request, body, _EMBEDDINGS[key], EMBEDDINGS_EGRESS.get(dialect), dialect, to, loss)
    if key in _RERANKS:
        return _whole(request, body, _RERANKS[key], RERANK_EGRESS.get(dialect), dialect, to, loss)
    if request.operation == "count_tokens":
        return _count(request, body, dialect, to, loss, model)
    raise not_offered(request, dialect, to)


def _called(request: Request, to: Destination) -> str:
    """What an answer says of its model where the provider does not: of a list or route, the one that answered."""
    return to.model or request.model or ""


def not_offered(request: Request, dialect: str, to: Destination) -> BadRequest:
    """The refusal of an operation that a provider does not have."""
    return BadRequest(
        f"Provider {to.provider!r} speaks the {dialect} dialect and does not offer {request.operation!r} "
        f"({request.method} {request.path[:80]}).",
        code="operation_not_offered",
    )


def _relayed(request: Request, body: bytes, home: Home, to: Destination) -> Translation:
    """A body that is in the model's own dialect already: it and its answer pass as they are, nothing is lost."""
    beta = request.headers.get("anthropic-beta")
    outgoing = home.relay(body, to, request.operation, stream=request.stream, beta=beta)
    return Translation(home.dialect, outgoing, Loss(), Loss())


def _whole(
    request: Request,
    body: bytes,
    speaker: Asking[_Q, _A],
    writer: Answering[_Q, _A] | None,
    dialect: str,
    to: Destination,
    loss: Loss,
) -> Translation:
    """A request whose answer is never streamed: for vectors, or for an order of documents."""
    if writer is None:
        raise not_offered(request, dialect, to)
    asked = speaker.read_request(body, loss, model=_called(request, to))
    reply_loss = Loss()

    def reply(data: bytes, made: Made) -> bytes:
        return speaker.write_reply(writer.read_reply(data, reply_loss), asked, reply_loss)

    return Translation(writer.dialect, writer.write_request(asked, to, loss), loss, reply_loss, reply)


def _count(request: Request, body: bytes, dialect: str, to: Destination, loss: Loss, model: str) -> Translation:
    if not counts(dialect, to.provider):
        raise not_offered(request, dialect, to)
    writer = counting.WRITERS[dialect]
    asked = counting.READERS[request.dialect](body, loss, model)

    def reply(data: bytes, made: Made) -> bytes:
        return msgspec.json.encode(counting.ANSWERS[request.dialect](counting.read_count(data)))

    return Translation(dialect, writer(asked, to, loss), loss, Loss(), reply)


def _conversation(
    request: Request,
    outgoing: Outgoing,
    loss: Loss,
    speaker: Ingress,
    writer: Egress,
    asked: ConversationRequest,
    names: Renaming,
) -> Translation:
    prefix = _ID_PREFIXES.get(request.operation, "")
    custom = custom_names(asked)
    reply_loss = Loss()

    def reply(data: bytes, made: Made) -> bytes:
        answer = writer.read_reply(data, reply_loss)
        answer.id = answer.id or prefix + made.id
        answer.created = answer.created or made.created
        _restore(answer, names, custom)
        return speaker.write_reply(answer, asked, reply_loss)

    def stream(made: Made) -> StreamTranslator:
        return StreamTranslator(
            writer.stream_reader(reply_loss),
            speaker.stream_writer(asked, reply_loss),
            names,
            dialect=request.dialect,
            operation=request.operation,
            id=prefix + made.id,
            created=made.created,
            custom=custom,
        )

    return Translation(writer.dialect, outgoing, loss, reply_loss, reply, stream)


def _restore(answer: ConversationReply, names: Renaming, custom: frozenset[str]) -> None:
    """Give tools the names, and custom ones the form, that the client knows them by."""
    for choice in answer.choices:
        named = (
            replace(part, name=names.original(part.name)) if isinstance(part, ToolCall) else part
            for part in choice.parts
        )
        choice.parts = [as_custom(part, custom) for part in named]

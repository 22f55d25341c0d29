"""Conversations on Google's Vertex AI: Gemini, Anthropic's models, and everybody else's by OpenAI's API.

Source: cloud.google.com/vertex-ai, "Method: models.generateContent", "rawPredict", "Call MaaS APIs". Addresses are
written without project and location, as Vertex' express mode has them; `upstream.urls` puts those in where they are
configured.
"""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from helicone_gw.dialects.openai_chat import ChatFormat
from helicone_gw.dialects.splice import insert_member, members, remove_members
from helicone_gw.dialects.translate.anthropic_outgoing import anthropic_body
from helicone_gw.dialects.translate.anthropic_reply import read_anthropic_reply
from helicone_gw.dialects.translate.anthropic_stream import MessagesStreamReader
from helicone_gw.dialects.translate.base import Destination, Framing, Outgoing
from helicone_gw.dialects.translate.conversation import ConversationRequest
from helicone_gw.dialects.translate.gemini_outgoing import gemini_body
from helicone_gw.dialects.translate.gemini_reply import read_gemini_reply
from helicone_gw.dialects.translate.gemini_stream import GeminiStreamReader
from helicone_gw.dialects.translate.hosted_claude import without_what_is_not_hosted
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.openai_chat_outgoing import write_chat
from helicone_gw.dialects.translate.openai_chat_reply import read_chat_reply
from helicone_gw.dialects.translate.openai_chat_stream import ChatStreamReader
from helicone_gw.dialects.translate.reply import ConversationReply

VERSION = "vertex-2023-10-16"
CHAT_PATH = "/v1/endpoints/openapi/chat/completions"
_ACTIONS = {
    "generate_content": "generateContent",
    "stream_generate_content": "streamGenerateContent",
    "count_tokens": "countTokens",
}


def publisher_path(publisher: str, model: str, action: str) -> str:
    """The path of an action on a publisher's model, which may be named in full (``publishers/google/models/...``)."""
    name = model.partition("/models/")[2] if model.startswith(("publishers/", "projects/")) else model
    return f"/v1/publishers/{publisher}/models/{quote(name.removeprefix('models/'), safe='@')}:{action}"


class VertexGemini:
    """See `clouds.Home`: Gemini's bodies, which are the same on Vertex."""

    dialect = "gemini"
    operations = tuple(_ACTIONS)
    framing: Framing = "sse"

    def write_request(self, request: ConversationRequest, to: Destination, loss: Loss) -> Outgoing:
        """See `base.Egress.write_request`."""
        operation = "stream_generate_content" if request.stream else "generate_content"
        return _gemini(msgspec.json.encode(gemini_body(request, to, loss)), to, operation)

    def relay(self, body: bytes, to: Destination, operation: str, *, stream: bool, beta: str | None = None) -> Outgoing:
        """See `clouds.Home.relay`."""
        if stream and operation == "generate_content":
            operation = "stream_generate_content"
        return _gemini(body, to, operation)

    def read_reply(self, body: bytes, loss: Loss) -> ConversationReply:
        """See `base.Egress.read_reply`."""
        return read_gemini_reply(body, loss)

    def stream_reader(self, loss: Loss) -> GeminiStreamReader:
        """See `base.Egress.stream_reader`."""
        return GeminiStreamReader(loss)


def _gemini(body: bytes, to: Destination, operation: str) -> Outgoing:
    query = "alt=sse" if operation == "stream_generate_content" else ""
    return Outgoing(operation, publisher_path("google", to.model, _ACTIONS[operation]), body, query)


class VertexAnthropic:
    """See `clouds.Home`: Anthropic's bodies with the model in the address and the version in the body."""

    dialect = "anthropic"
    operations = ("messages",)
    framing: Framing = "sse"

    def write_request(self, request: ConversationRequest, to: Destination, loss: Loss) -> Outgoing:
        """See `base.Egress.write_request`."""
        body = anthropic_body(without_what_is_not_hosted(request, loss, searches=True), to, loss)
        if request.stream:
            body["stream"] = True
        return _anthropic(msgspec.json.encode({"anthropic_version": VERSION, **body}), to, request.stream)

    def relay(self, body: bytes, to: Destination, operation: str, *, stream: bool, beta: str | None = None) -> Outgoing:
        """See `clouds.Home.relay`; what is beta is asked for in the header field here too."""
        body = remove_members(body, {"model"})
        if not any(member.name == "anthropic_version" for member in members(body)):
            body = insert_member(body, "anthropic_version", msgspec.json.encode(VERSION))
        return _anthropic(body, to, stream)

    def read_reply(self, body: bytes, loss: Loss) -> ConversationReply:
        """See `base.Egress.read_reply`."""
        return read_anthropic_reply(body, loss)

    def stream_reader(self, loss: Loss) -> MessagesStreamReader:
        """See `base.Egress.stream_reader`."""
        return MessagesStreamReader(loss)


def _anthropic(body: bytes, to: Destination, stream: bool) -> Outgoing:
    return Outgoing(
        "messages", publisher_path("anthropic", to.model, "streamRawPredict" if stream else "rawPredict"), body
    )


class VertexOpenAI:
    """See `clouds.Home`: OpenAI's chat completions, by which Vertex offers the models of many makers."""

    dialect = "openai"
    operations = ("chat",)
    framing: Framing = "sse"

    def write_request(self, request: ConversationRequest, to: Destination, loss: Loss) -> Outgoing:
        """See `base.Egress.write_request`."""
        written = write_chat(request, to, loss)
        return Outgoing("chat", CHAT_PATH, written.body)

    def relay(self, body: bytes, to: Destination, operation: str, *, stream: bool, beta: str | None = None) -> Outgoing:
        """See `clouds.Home.relay`."""
        return Outgoing("chat", CHAT_PATH, ChatFormat().with_model(body, to.model))

    def read_reply(self, body: bytes, loss: Loss) -> ConversationReply:
        """See `base.Egress.read_reply`."""
        return read_chat_reply(body, loss)

    def stream_reader(self, loss: Loss) -> ChatStreamReader:
        """See `base.Egress.stream_reader`."""
        return ChatStreamReader(loss)

"""The four dialects that clients and providers speak alike, as codecs of conversations."""

from __future__ import annotations

from helicone_gw.dialects.translate.anthropic_outgoing import write_anthropic
from helicone_gw.dialects.translate.anthropic_reply import read_anthropic_reply, write_anthropic_reply
from helicone_gw.dialects.translate.anthropic_request import read_messages
from helicone_gw.dialects.translate.anthropic_stream import MessagesStreamReader
from helicone_gw.dialects.translate.anthropic_stream_writer import MessagesStreamWriter
from helicone_gw.dialects.translate.base import Destination, Framing, Outgoing
from helicone_gw.dialects.translate.conversation import ConversationRequest
from helicone_gw.dialects.translate.gemini_outgoing import write_gemini
from helicone_gw.dialects.translate.gemini_reply import read_gemini_reply, write_gemini_reply
from helicone_gw.dialects.translate.gemini_request import read_generate_content
from helicone_gw.dialects.translate.gemini_stream import GeminiStreamReader
from helicone_gw.dialects.translate.gemini_stream_writer import GeminiStreamWriter
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.openai_chat_outgoing import write_chat
from helicone_gw.dialects.translate.openai_chat_reply import read_chat_reply, write_chat_reply
from helicone_gw.dialects.translate.openai_chat_request import read_chat
from helicone_gw.dialects.translate.openai_chat_stream import ChatStreamReader
from helicone_gw.dialects.translate.openai_chat_stream_writer import ChatStreamWriter
from helicone_gw.dialects.translate.openai_completions import (
    CompletionsStreamWriter,
    read_completions,
    write_completions_reply,
)
from helicone_gw.dialects.translate.openai_responses_outgoing import write_responses
from helicone_gw.dialects.translate.openai_responses_reply import read_responses_reply, write_responses_reply
from helicone_gw.dialects.translate.openai_responses_request import read_responses
from helicone_gw.dialects.translate.openai_responses_stream import ResponsesStreamReader
from helicone_gw.dialects.translate.openai_responses_stream_writer import ResponsesStreamWriter
from helicone_gw.dialects.translate.reply import ConversationReply


class Chat:
    """OpenAI chat completions. See `Ingress` and `Egress` for what the methods do."""

    dialect = "openai"
    operations: tuple[str, ...] = ("chat",)
    framing: Framing = "sse"

    def read_request(self, body: bytes, loss: Loss, *, model: str, stream: bool) -> ConversationRequest:
        """See `Ingress.read_request`."""
        return read_chat(body, loss, model=model, stream=stream)

    def write_request(self, request: ConversationRequest, to: Destination, loss: Loss) -> Outgoing:
        """See `Egress.write_request`."""
        return write_chat(request, to, loss)

    def read_reply(self, body: bytes, loss: Loss) -> ConversationReply:
        """See `Egress.read_reply`."""
        return read_chat_reply(body, loss)

    def write_reply(self, reply: ConversationReply, asked: ConversationRequest, loss: Loss) -> bytes:
        """See `Ingress.write_reply`."""
        return write_chat_reply(reply, asked, loss)

    def stream_reader(self, loss: Loss) -> ChatStreamReader:
        """See `Egress.stream_reader`."""
        return ChatStreamReader(loss)

    def stream_writer(self, asked: ConversationRequest, loss: Loss) -> ChatStreamWriter:
        """See `Ingress.stream_writer`."""
        return ChatStreamWriter(asked, loss)


class Responses:
    """OpenAI responses."""

    dialect = "openai"
    operations: tuple[str, ...] = ("responses",)
    framing: Framing = "sse"

    def read_request(self, body: bytes, loss: Loss, *, model: str, stream: bool) -> ConversationRequest:
        """See `Ingress.read_request`."""
        return read_responses(body, loss, model=model, stream=stream)

    def write_request(self, request: ConversationRequest, to: Destination, loss: Loss) -> Outgoing:
        """See `Egress.write_request`."""
        return write_responses(request, to, loss)

    def read_reply(self, body: bytes, loss: Loss) -> ConversationReply:
        """See `Egress.read_reply`."""
        return read_responses_reply(body, loss)

    def write_reply(self, reply: ConversationReply, asked: ConversationRequest, loss: Loss) -> bytes:
        """See `Ingress.write_reply`."""
        return write_responses_reply(reply, asked, loss)

    def stream_reader(self, loss: Loss) -> ResponsesStreamReader:
        """See `Egress.stream_reader`."""
        return ResponsesStreamReader(loss)

    def stream_writer(self, asked: ConversationRequest, loss: Loss) -> ResponsesStreamWriter:
        """See `Ingress.stream_writer`."""
        return ResponsesStreamWriter(asked, loss)


class Completions:
    """OpenAI's legacy completions, which clients speak and providers are spared."""

    dialect = "openai"
    operations: tuple[str, ...] = ("completions",)

    def read_request(self, body: bytes, loss: Loss, *, model: str, stream: bool) -> ConversationRequest:
        """See `Ingress.read_request`."""
        return read_completions(body, loss, model=model, stream=stream)

    def write_reply(self, reply: ConversationReply, asked: ConversationRequest, loss: Loss) -> bytes:
        """See `Ingress.write_reply`."""
        return write_completions_reply(reply, asked, loss)

    def stream_writer(self, asked: ConversationRequest, loss: Loss) -> CompletionsStreamWriter:
        """See `Ingress.stream_writer`."""
        return CompletionsStreamWriter(asked, loss)


class Messages:
    """Anthropic messages."""

    dialect = "anthropic"
    operations: tuple[str, ...] = ("messages",)
    framing: Framing = "sse"

    def read_request(self, body: bytes, loss: Loss, *, model: str, stream: bool) -> ConversationRequest:
        """See `Ingress.read_request`."""
        return read_messages(body, loss, model=model, stream=stream)

    def write_request(self, request: ConversationRequest, to: Destination, loss: Loss) -> Outgoing:
        """See `Egress.write_request`."""
        return write_anthropic(request, to, loss)

    def read_reply(self, body: bytes, loss: Loss) -> ConversationReply:
        """See `Egress.read_reply`."""
        return read_anthropic_reply(body, loss)

    def write_reply(self, reply: ConversationReply, asked: ConversationRequest, loss: Loss) -> bytes:
        """See `Ingress.write_reply`."""
        return write_anthropic_reply(reply, asked, loss)

    def stream_reader(self, loss: Loss) -> MessagesStreamReader:
        """See `Egress.stream_reader`."""
        return MessagesStreamReader(loss)

    def stream_writer(self, asked: ConversationRequest, loss: Loss) -> MessagesStreamWriter:
        """See `Ingress.stream_writer`."""
        return MessagesStreamWriter(asked, loss)


class Gemini:
    """Gemini generateContent and streamGenerateContent."""

    dialect = "gemini"
    operations: tuple[str, ...] = ("generate_content", "stream_generate_content")
    framing: Framing = "sse"

    def read_request(self, body: bytes, loss: Loss, *, model: str, stream: bool) -> ConversationRequest:
        """See `Ingress.read_request`."""
        return read_generate_content(body, loss, model=model, stream=stream)

    def write_request(self, request: ConversationRequest, to: Destination, loss: Loss) -> Outgoing:
        """See `Egress.write_request`."""
        return write_gemini(request, to, loss)

    def read_reply(self, body: bytes, loss: Loss) -> ConversationReply:
        """See `Egress.read_reply`."""
        return read_gemini_reply(body, loss)

    def write_reply(self, reply: ConversationReply, asked: ConversationRequest, loss: Loss) -> bytes:
        """See `Ingress.write_reply`."""
        return write_gemini_reply(reply, asked, loss)

    def stream_reader(self, loss: Loss) -> GeminiStreamReader:
        """See `Egress.stream_reader`."""
        return GeminiStreamReader(loss)

    def stream_writer(self, asked: ConversationRequest, loss: Loss) -> GeminiStreamWriter:
        """See `Ingress.stream_writer`."""
        return GeminiStreamWriter(asked, loss)


CHAT, RESPONSES, COMPLETIONS, MESSAGES, GEMINI = Chat(), Responses(), Completions(), Messages(), Gemini()

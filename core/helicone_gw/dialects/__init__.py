"""Wire formats: what the bodies and streams of each API dialect say, as pure functions over bytes."""

from __future__ import annotations

from helicone_gw.dialects.anthropic import MessagesFormat
from helicone_gw.dialects.base import ErrorFormat, StreamReader, WireFormat
from helicone_gw.dialects.bedrock import ConverseFormat
from helicone_gw.dialects.cohere import CohereChatFormat, CohereEmbedFormat, CohereRerankFormat
from helicone_gw.dialects.errors import AnthropicErrors, GeminiErrors, OpenAIErrors
from helicone_gw.dialects.gemini import GeminiFormat
from helicone_gw.dialects.hosted import ChatLikeFormat, InvokeFormat, RawMessagesFormat
from helicone_gw.dialects.invoked import AnyReader
from helicone_gw.dialects.ollama import OllamaChatFormat, OllamaEmbedFormat, OllamaGenerateFormat
from helicone_gw.dialects.openai_chat import ChatFormat
from helicone_gw.dialects.openai_completions import CompletionsFormat
from helicone_gw.dialects.openai_embeddings import EmbeddingsFormat
from helicone_gw.dialects.openai_json import OpenAIJsonFormat
from helicone_gw.dialects.openai_responses import ResponsesFormat
from helicone_gw.dialects.replicate import CreatePredictionFormat, PredictionsFormat
from helicone_gw.dialects.vertex import VertexEmbedFormat

_FORMATS: tuple[WireFormat, ...] = (
    ChatFormat(),
    CompletionsFormat(),
    EmbeddingsFormat(),
    ResponsesFormat("responses"),
    ResponsesFormat("responses.compact"),
    ResponsesFormat("responses.other", reports_usage=False),
    OpenAIJsonFormat("moderations"),
    OpenAIJsonFormat("images"),
    OpenAIJsonFormat("audio"),
    OpenAIJsonFormat("rerank", input_only=True),
    MessagesFormat("messages"),
    MessagesFormat("count_tokens"),
    GeminiFormat("generate_content"),
    GeminiFormat("stream_generate_content"),
    GeminiFormat("count_tokens", ("generateContentRequest", "model")),
    GeminiFormat("embed_content"),
    GeminiFormat("batch_embed_contents", ("requests", "model")),
    ConverseFormat(),
    CohereEmbedFormat("bedrock"),
    CohereRerankFormat("bedrock"),
    CohereChatFormat(),
    CohereEmbedFormat("cohere"),
    CohereRerankFormat("cohere"),
    OllamaChatFormat(),
    OllamaGenerateFormat(),
    OllamaEmbedFormat(),
    PredictionsFormat(),
    CreatePredictionFormat(),
    VertexEmbedFormat(),
    RawMessagesFormat("messages"),
    ChatLikeFormat("vertex", "raw_chat"),
    ChatLikeFormat("openai", "fim"),
    ChatLikeFormat("openai", "agents", names_model=False),
    InvokeFormat(),
)
_BY_NAME = {(wire.dialect, wire.operation): wire for wire in _FORMATS}
_OPENAI_ERRORS = OpenAIErrors()
_ERRORS: dict[str, ErrorFormat] = {
    errors.dialect: errors for errors in (_OPENAI_ERRORS, AnthropicErrors(), GeminiErrors())
}


def wire_format(dialect: str, operation: str) -> WireFormat | None:
    """The wire format of an operation, or ``None`` for one whose bodies pass through unread (files, batches, ...)."""
    return _BY_NAME.get((dialect, operation))


def stream_reader(dialect: str, operation: str) -> StreamReader:
    """What reads a stream of an operation, and ends it; also of one whose bodies pass through unread."""
    wire = wire_format(dialect, operation)
    return AnyReader() if wire is None else wire.stream_reader()


def error_format(dialect: str) -> ErrorFormat:
    """How ``dialect`` writes errors; OpenAI's way for one that has none of its own."""
    return _ERRORS.get(dialect, _OPENAI_ERRORS)

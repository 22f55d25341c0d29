"""The table of codecs: who reads and writes each dialect. A dialect joins the translation by a line here."""

from __future__ import annotations

import re

from helicone_gw.dialects.translate.base import Destination, Egress, Ingress
from helicone_gw.dialects.translate.bedrock_anthropic import BedrockAnthropic
from helicone_gw.dialects.translate.bedrock_converse import ConverseEgress
from helicone_gw.dialects.translate.bedrock_vectors import BedrockEmbeddings, BedrockRerank
from helicone_gw.dialects.translate.clouds import Home, egress_name
from helicone_gw.dialects.translate.cohere_chat import CohereEgress
from helicone_gw.dialects.translate.cohere_vectors import CohereEmbeddings, CohereRerank
from helicone_gw.dialects.translate.conversation import ConversationRequest, Thinking
from helicone_gw.dialects.translate.conversations import CHAT, COMPLETIONS, GEMINI, MESSAGES, RESPONSES
from helicone_gw.dialects.translate.gemini_embeddings import GeminiEmbeddings
from helicone_gw.dialects.translate.ollama_chat import OllamaEgress
from helicone_gw.dialects.translate.ollama_vectors import OllamaEmbeddings
from helicone_gw.dialects.translate.openai_embeddings import OpenAIEmbeddings
from helicone_gw.dialects.translate.reasoning import is_openais
from helicone_gw.dialects.translate.replicate_predictions import ReplicateEgress
from helicone_gw.dialects.translate.rerank import Rerank
from helicone_gw.dialects.translate.vectors import EmbeddingsEgress, EmbeddingsIngress, RerankEgress, RerankIngress
from helicone_gw.dialects.translate.vertex_conversation import VertexAnthropic, VertexGemini, VertexOpenAI
from helicone_gw.dialects.translate.vertex_vectors import VertexEmbeddings

CONVERSATION_INGRESS: tuple[Ingress, ...] = (CHAT, RESPONSES, COMPLETIONS, MESSAGES, GEMINI)
CONVERSATION_EGRESS: dict[str, Egress] = {
    "openai": CHAT,
    "openai.responses": RESPONSES,
    "azure": CHAT,
    "anthropic": MESSAGES,
    "gemini": GEMINI,
    "cohere": CohereEgress(),
    "bedrock": ConverseEgress(),
    "bedrock.anthropic": BedrockAnthropic(),
    "vertex": VertexGemini(),
    "vertex.anthropic": VertexAnthropic(),
    "vertex.openai": VertexOpenAI(),
    "ollama": OllamaEgress(),
    "replicate": ReplicateEgress(),
}
"""By the provider's dialect; with a name behind a dot where it has a second one."""

_HOMES = {name: egress for name, egress in CONVERSATION_EGRESS.items() if isinstance(egress, Home)}

EMBEDDINGS_INGRESS: tuple[EmbeddingsIngress, ...] = (OpenAIEmbeddings(), GeminiEmbeddings())
EMBEDDINGS_EGRESS: dict[str, EmbeddingsEgress] = {
    "openai": OpenAIEmbeddings(),
    "azure": OpenAIEmbeddings(),
    "gemini": GeminiEmbeddings(),
    "cohere": CohereEmbeddings(),
    "bedrock": BedrockEmbeddings(),
    "vertex": VertexEmbeddings(),
    "ollama": OllamaEmbeddings(),
}

RERANK_INGRESS: tuple[RerankIngress, ...] = (Rerank(),)
RERANK_EGRESS: dict[str, RerankEgress] = {"cohere": CohereRerank(), "bedrock": BedrockRerank()}

_RESPONSES_ONLY = re.compile(r"(o1-pro|o3-pro|gpt-5(\.\d+)?-pro|codex|deep-research|computer-use)")
_WITH_RESPONSES = frozenset({"openai", "azure"})
_CHAT_ALONE = ("stop", "seed", "frequency_penalty", "presence_penalty")


def conversation_egress(dialect: str, to: Destination, request: ConversationRequest) -> Egress | None:
    """Who writes ``request`` for a provider of ``dialect``; ``None`` where conversations are not offered.

    OpenAI's own models are asked through responses where chat completions do not know them, where the web is to be
    searched, and where thoughts are to be shown or given back, which chat completions cannot.
    """
    if dialect in ("openai", "azure") and (
        not to.has_chat or (to.provider in _WITH_RESPONSES and _wants_responses(to.model, request))
    ):
        return CONVERSATION_EGRESS["openai.responses"]
    return CONVERSATION_EGRESS.get(egress_name(dialect, to.model))


def home_of(dialect: str, to: Destination) -> Home | None:
    """Who sends bodies of the model's own dialect on as they are, where a cloud hosts it; ``None`` elsewhere."""
    return _HOMES.get(egress_name(dialect, to.model))


def _wants_responses(model: str, request: ConversationRequest) -> bool:
    name = model.rpartition("/")[2]
    if _RESPONSES_ONLY.search(name) or (request.web_search and "search" not in name):
        return True
    if not is_openais(name) or request.n not in (None, 1) or any(getattr(request, each) for each in _CHAT_ALONE):
        return False
    if request.reasoning is not None and request.reasoning.show:
        return True
    return any(
        isinstance(part, Thinking) and part.vendor == "openai" for message in request.messages for part in message.parts
    )

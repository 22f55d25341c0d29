"""Clouds that host the models of others: which egress a model goes through, and bodies that are sent on as they are.

Bedrock and Vertex take the bodies of Anthropic's, Google's and OpenAI's APIs nearly unchanged, under addresses of their
own. A client that speaks such a dialect has its body sent on with a few members changed (`Home.relay`); any other
client's is translated into that dialect first.
"""

from __future__ import annotations

import re
from typing import Protocol, runtime_checkable

from helicone_gw.dialects.translate.base import Destination, Egress, Outgoing

_CLAUDE = re.compile(r"claude|anthropic\.|publishers/anthropic/")
_GOOGLE = re.compile(r"gemini|gemma|learnlm|publishers/google/")


@runtime_checkable
class Home(Egress, Protocol):
    """An egress whose bodies are those of the client dialect ``dialect``; ``operations`` are that dialect's."""

    @property
    def operations(self) -> tuple[str, ...]:
        """What `relay` takes."""

    def relay(self, body: bytes, to: Destination, operation: str, *, stream: bool, beta: str | None = None) -> Outgoing:
        """A client's own body of ``operation``, sent on: only what the cloud has elsewhere is changed in it.

        ``beta`` is the value of Anthropic's ``anthropic-beta`` field. Raises `MalformedBody` for a body that is no
        JSON object.
        """


def egress_name(dialect: str, model: str) -> str:
    """The name of the egress by which a provider of ``dialect`` is asked for a conversation with ``model``."""
    if dialect == "bedrock":
        return "bedrock.anthropic" if _CLAUDE.search(model) else "bedrock"
    if dialect == "vertex":
        if _CLAUDE.search(model):
            return "vertex.anthropic"
        # Everybody else's models (meta/llama-..., mistralai/..., deepseek-ai/...) have OpenAI's API there.
        return "vertex" if _GOOGLE.search(model) or "/" not in model else "vertex.openai"
    return dialect

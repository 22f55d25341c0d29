"""Hosted: bodies of other dialects as clouds and further vendors take them, at paths of their own.

Vertex AI's raw predictions and its endpoint of OpenAI's form (cloud.google.com, "Partner models"), Bedrock's
InvokeModel (docs.aws.amazon.com, "Inference request parameters"), Mistral's fill-in-the-middle and agents
(docs.mistral.ai, "API").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from msgspec.structs import replace

from helicone_gw.dialects._choices import ChoicesReader
from helicone_gw.dialects._provider import ProviderFormat
from helicone_gw.dialects.anthropic import MessagesFormat
from helicone_gw.dialects.base import Envelope, Reply
from helicone_gw.dialects.bedrock import ConverseFormat
from helicone_gw.dialects.invoked import AnyReader
from helicone_gw.dialects.openai_chat import ChatFormat, ChoicesFormat
from helicone_gw.dialects.usage import anthropic_usage


class ChatLikeFormat(ChoicesFormat):
    """Chat completions at another path. ``names_model``: the body's ``model`` is the one that answers."""

    prompt_top: ClassVar[frozenset[str]] = ChatFormat.prompt_top | {"suffix"}
    text_keys: ClassVar[frozenset[str]] = ChatFormat.text_keys

    def __init__(self, dialect: str, operation: str, *, names_model: bool = True) -> None:
        super().__init__(operation)
        self.dialect = dialect
        self._names_model = names_model

    def envelope(self, body: bytes) -> Envelope:
        """See `WireFormat.envelope`."""
        envelope = super().envelope(body)
        return envelope if self._names_model else replace(envelope, model=None)

    def with_model(self, body: bytes, model: str) -> bytes:
        """The body with its model changed, where it is the body that names it."""
        return super().with_model(body, model) if self._names_model and super().envelope(body).model else body

    def asking_for_usage(self, body: bytes) -> bytes | None:
        """Nothing: not all of them know ``stream_options``, and those that do not refuse it."""
        return None

    def stream_reader(self) -> ChoicesReader:
        """See `WireFormat.stream_reader`."""
        return ChatFormat().stream_reader()


class RawMessagesFormat(MessagesFormat):
    """Anthropic's messages at Vertex AI: the address names the model."""

    dialect = "vertex"

    def with_model(self, body: bytes, model: str) -> bytes:
        """The body itself."""
        return body


class InvokeFormat(ProviderFormat):
    """``POST /model/{id}/invoke``: the body is that of the model's maker, and an id need not say who that is.

    So it is read as that of any of them: Anthropic's, Amazon's, Cohere's, Meta's, Mistral's, Stability's.
    """

    dialect = "bedrock"
    prompt_top: ClassVar[frozenset[str]] = (
        MessagesFormat.prompt_top
        | ConverseFormat.prompt_top
        | {"prompt", "suffix", "inputText", "texts", "inputs", "query", "documents", "message", "chat_history"}
        | {"preamble", "text_prompts", "textToImageParams"}
    )
    reply_top: ClassVar[frozenset[str]] = frozenset(
        {"content", "output", "outputs", "results", "completion", "generation", "generations"}
        | {"choices", "text", "message", "outputText"}
    )
    text_keys: ClassVar[frozenset[str]] = (
        MessagesFormat.text_keys | ConverseFormat.text_keys | ChatFormat.text_keys | {"outputText", "snippet"}
    ) - {"input"}
    whole_keys: ClassVar[frozenset[str]] = ConverseFormat.whole_keys

    def __init__(self) -> None:
        super().__init__("invoke")

    def with_model(self, body: bytes, model: str) -> bytes:
        """The body itself: the address names the model."""
        return body

    def _reply(self, value: Mapping[str, Any]) -> Reply:
        if value.get("type") != "message":
            return Reply()
        stop = value.get("stop_reason")
        return Reply(usage=anthropic_usage(value.get("usage")), stop_reason=stop if isinstance(stop, str) else None)

    def stream_reader(self) -> AnyReader:
        """See `WireFormat.stream_reader`."""
        return AnyReader()

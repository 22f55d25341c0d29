"""Ollama's chat as an `Egress`."""

from __future__ import annotations

from helicone_gw.dialects.translate.base import Destination, Framing, Outgoing
from helicone_gw.dialects.translate.conversation import ConversationRequest
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.ollama_reply import OllamaReader, read_ollama
from helicone_gw.dialects.translate.ollama_request import write_ollama
from helicone_gw.dialects.translate.reply import ConversationReply


class OllamaEgress:
    """See `base.Egress`."""

    dialect = "ollama"
    framing: Framing = "ndjson"

    def write_request(self, request: ConversationRequest, to: Destination, loss: Loss) -> Outgoing:
        """See `base.Egress.write_request`."""
        return write_ollama(request, to, loss)

    def read_reply(self, body: bytes, loss: Loss) -> ConversationReply:
        """See `base.Egress.read_reply`."""
        return read_ollama(body, loss)

    def stream_reader(self, loss: Loss) -> OllamaReader:
        """See `base.Egress.stream_reader`."""
        return OllamaReader(loss)

"""Cohere's chat as an `Egress`."""

from __future__ import annotations

from helicone_gw.dialects.translate.base import Destination, Framing, Outgoing
from helicone_gw.dialects.translate.cohere_reply import CohereReader, read_cohere
from helicone_gw.dialects.translate.cohere_request import write_cohere
from helicone_gw.dialects.translate.conversation import ConversationRequest
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.reply import ConversationReply


class CohereEgress:
    """See `base.Egress`."""

    dialect = "cohere"
    framing: Framing = "sse"

    def write_request(self, request: ConversationRequest, to: Destination, loss: Loss) -> Outgoing:
        """See `base.Egress.write_request`."""
        return write_cohere(request, to, loss)

    def read_reply(self, body: bytes, loss: Loss) -> ConversationReply:
        """See `base.Egress.read_reply`."""
        return read_cohere(body, loss)

    def stream_reader(self, loss: Loss) -> CohereReader:
        """See `base.Egress.stream_reader`."""
        return CohereReader(loss)

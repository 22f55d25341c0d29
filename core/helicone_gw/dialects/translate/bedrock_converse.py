"""Bedrock's Converse as an `Egress`: every model on Bedrock that holds a conversation."""

from __future__ import annotations

from helicone_gw.dialects.translate.base import Destination, Framing, Outgoing
from helicone_gw.dialects.translate.bedrock_reply import ConverseReader, read_converse
from helicone_gw.dialects.translate.bedrock_request import write_converse
from helicone_gw.dialects.translate.conversation import ConversationRequest
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.reply import ConversationReply


class ConverseEgress:
    """See `base.Egress`."""

    dialect = "bedrock"
    framing: Framing = "eventstream"

    def write_request(self, request: ConversationRequest, to: Destination, loss: Loss) -> Outgoing:
        """See `base.Egress.write_request`."""
        return write_converse(request, to, loss)

    def read_reply(self, body: bytes, loss: Loss) -> ConversationReply:
        """See `base.Egress.read_reply`."""
        return read_converse(body, loss)

    def stream_reader(self, loss: Loss) -> ConverseReader:
        """See `base.Egress.stream_reader`."""
        return ConverseReader(loss)

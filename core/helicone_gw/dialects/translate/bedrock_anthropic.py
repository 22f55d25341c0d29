"""Anthropic's models on Bedrock, by InvokeModel with Anthropic's own bodies.

Source: docs.aws.amazon.com, "Anthropic Claude Messages API". The model is in the address, whether to stream too, and
``anthropic_version`` and ``anthropic_beta`` are members, not header fields.
"""

from __future__ import annotations

import msgspec

from helicone_gw.dialects.splice import insert_member, members, remove_members
from helicone_gw.dialects.translate.anthropic_outgoing import anthropic_body
from helicone_gw.dialects.translate.anthropic_reply import read_anthropic_reply
from helicone_gw.dialects.translate.anthropic_stream import MessagesStreamReader
from helicone_gw.dialects.translate.base import Destination, Framing, Outgoing
from helicone_gw.dialects.translate.bedrock_request import accepting, model_path
from helicone_gw.dialects.translate.conversation import ConversationRequest
from helicone_gw.dialects.translate.hosted_claude import without_what_is_not_hosted
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.reply import ConversationReply

VERSION = "bedrock-2023-05-31"


class BedrockAnthropic:
    """See `clouds.Home`. The frames of a stream hold Anthropic's own events, which `pipeline.reframing` takes out."""

    dialect = "anthropic"
    operations = ("messages",)
    framing: Framing = "eventstream"

    def write_request(self, request: ConversationRequest, to: Destination, loss: Loss) -> Outgoing:
        """See `base.Egress.write_request`."""
        body = anthropic_body(without_what_is_not_hosted(request, loss), to, loss)
        return _outgoing(msgspec.json.encode({"anthropic_version": VERSION, **body}), to, request.stream)

    def relay(self, body: bytes, to: Destination, operation: str, *, stream: bool, beta: str | None = None) -> Outgoing:
        """See `clouds.Home.relay`."""
        body = remove_members(body, {"model", "stream"})
        present = {member.name for member in members(body)}
        betas = [name.strip() for name in (beta or "").split(",") if name.strip()]
        if betas and "anthropic_beta" not in present:
            body = insert_member(body, "anthropic_beta", msgspec.json.encode(betas))
        if "anthropic_version" not in present:
            body = insert_member(body, "anthropic_version", msgspec.json.encode(VERSION))
        return _outgoing(body, to, stream)

    def read_reply(self, body: bytes, loss: Loss) -> ConversationReply:
        """See `base.Egress.read_reply`."""
        return read_anthropic_reply(body, loss)

    def stream_reader(self, loss: Loss) -> MessagesStreamReader:
        """See `base.Egress.stream_reader`."""
        return MessagesStreamReader(loss)


def _outgoing(body: bytes, to: Destination, stream: bool) -> Outgoing:
    path = model_path(to.model, "invoke-with-response-stream" if stream else "invoke")
    return Outgoing("messages", path, body, headers=accepting(stream))

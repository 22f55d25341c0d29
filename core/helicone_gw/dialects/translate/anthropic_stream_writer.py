"""Anthropic messages, streams written (docs.claude.com, "Streaming messages")."""

from __future__ import annotations

from typing import Any

import msgspec

from helicone_gw.dialects.translate.anthropic_reply import write_call_signature, write_reply_usage, write_stop
from helicone_gw.dialects.translate.anthropic_turns import write_citation
from helicone_gw.dialects.translate.conversation import ConversationRequest
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.names import legal_id
from helicone_gw.dialects.translate.reply import (
    CitationDelta,
    LogprobsDelta,
    PartEnded,
    PartStarted,
    RefusalDelta,
    SignatureDelta,
    Started,
    Stopped,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolArgumentsDelta,
)
from helicone_gw.dialects.translate.signatures import Signature, seal
from helicone_gw.dialects.translate.writers import SingleAnswerWriter
from helicone_gw.sse import encode_event


class MessagesStreamWriter(SingleAnswerWriter):
    """Writes the events of a message. ``message_delta`` waits for the usage, which it must bring, until the end."""

    def __init__(self, asked: ConversationRequest, loss: Loss) -> None:
        super().__init__(asked, loss)
        self._begun = False
        self._next = 0
        self._blocks: dict[int, tuple[int, str, str | None]] = {}
        """Number and kind of the block, and id of the thought, by the index of an open part."""

    def _begin(self, event: Started) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        self._usage = event.usage
        message: dict[str, Any] = {
            "id": event.id,
            "type": "message",
            "role": "assistant",
            "model": event.model or self._asked.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": write_reply_usage(self._usage, self._tier),
        }
        return _event("message_start", message=message)

    def _close(self) -> bytes:
        stopped = self._stopped or Stopped("stop")
        delta = {
            "stop_reason": write_stop(stopped.reason, refused=self._refused),
            "stop_sequence": stopped.stop_sequence if stopped.reason == "stop_sequence" else None,
        }
        usage = write_reply_usage(self._usage, None)
        usage.pop("cache_creation", None)
        return _event("message_delta", delta=delta, usage=usage) + _event("message_stop")

    def _start(self, event: PartStarted) -> bytes:
        before = b""
        match event.kind:
            case "tool_call":
                call_id = legal_id(event.id or "")
                if event.signature is not None:
                    before = self._whole(write_call_signature(call_id, event.signature))
                block: dict[str, Any] = {"type": "tool_use", "id": call_id, "name": event.name or "", "input": {}}
            case "thinking":
                # Whether the thought is encrypted is known from what follows.
                self._blocks[event.index] = (-1, "thinking", event.id)
                return b""
            case _:
                block = {"type": "text", "text": ""}
        number = self._number()
        self._blocks[event.index] = (number, "text" if block["type"] == "text" else "tool_use", event.id)
        return before + _event("content_block_start", index=number, content_block=block)

    def _end(self, event: PartEnded) -> bytes:
        block = self._blocks.pop(event.index, None)
        return b"" if block is None or block[0] < 0 else _event("content_block_stop", index=block[0])

    def _delta(self, event: StreamEvent) -> bytes:
        if isinstance(event, LogprobsDelta):
            self._loss.note("logprobs")
            return b""
        block = self._blocks.get(getattr(event, "index", -1))
        if block is None:
            return b""
        number, kind, part_id = block
        match event:
            case TextDelta() | RefusalDelta():
                delta: dict[str, Any] = {"type": "text_delta", "text": event.text}
            case ToolArgumentsDelta():
                delta = {"type": "input_json_delta", "partial_json": event.text}
            case ThinkingDelta():
                delta = {"type": "thinking_delta", "thinking": event.text}
                before, number = self._think(event.index, number, part_id)
                return before + _event("content_block_delta", index=number, delta=delta)
            case SignatureDelta():
                return self._sign(event, number, kind, part_id)
            case CitationDelta():
                citation = write_citation(event.citation)
                if citation is None:
                    self._loss.note("content.citations")
                    return b""
                delta = {"type": "citations_delta", "citation": citation}
            case _:
                return b""
        return _event("content_block_delta", index=number, delta=delta)

    def _sign(self, event: SignatureDelta, number: int, kind: str, id: str | None) -> bytes:
        if kind != "thinking":
            self._loss.note("content.signature")
            return b""
        sealed = seal(Signature(event.vendor or "other", event.signature, id), "anthropic")
        if event.redacted:
            del self._blocks[event.index]
            return self._whole({"type": "redacted_thinking", "data": sealed})
        before, number = self._think(event.index, number, id)
        delta = {"type": "signature_delta", "signature": sealed}
        return before + _event("content_block_delta", index=number, delta=delta)

    def _think(self, index: int, number: int, id: str | None) -> tuple[bytes, int]:
        """The start of a thought's block, unless it began, and its number."""
        if number >= 0:
            return b"", number
        number = self._number()
        self._blocks[index] = (number, "thinking", id)
        block = {"type": "thinking", "thinking": "", "signature": ""}
        return _event("content_block_start", index=number, content_block=block), number

    def _whole(self, block: dict[str, Any]) -> bytes:
        """A block that comes at once. A thought's signature still has to be a delta: SDKs take it from nowhere else."""
        number = self._number()
        signature = block.get("signature")
        begun = block if signature is None else {**block, "signature": ""}
        events = _event("content_block_start", index=number, content_block=begun)
        if signature is not None:
            delta = {"type": "signature_delta", "signature": signature}
            events += _event("content_block_delta", index=number, delta=delta)
        return events + _event("content_block_stop", index=number)

    def _number(self) -> int:
        self._next += 1
        return self._next - 1


def _event(kind: str, **fields: Any) -> bytes:
    return encode_event(msgspec.json.encode({"type": kind, **fields}), kind)

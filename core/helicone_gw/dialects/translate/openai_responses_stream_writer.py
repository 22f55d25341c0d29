"""OpenAI responses, streams written (platform.openai.com, "Streaming events")."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from helicone_gw.dialects.translate.conversation import Citation, ConversationRequest, Thinking, ToolCall, Vendor
from helicone_gw.dialects.translate.fields import only
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.openai_chat_reply import write_annotations, write_tokens
from helicone_gw.dialects.translate.openai_responses_reply import (
    call_item,
    ending,
    flat,
    message_item,
    reasoning_item,
    response_object,
    signature_item,
)
from helicone_gw.dialects.translate.reply import (
    CitationDelta,
    LogprobsDelta,
    PartEnded,
    PartStarted,
    RefusalDelta,
    SignatureDelta,
    Started,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolArgumentsDelta,
)
from helicone_gw.dialects.translate.writers import SingleAnswerWriter
from helicone_gw.sse import encode_event

MOST_KEPT = 16 << 20
"""Characters of an answer that its last event repeats; what a longer one has past them is left out there, and noted."""


class _Item(Struct):
    """An output item that is under way; every part is one, and every text a message of its own."""

    started: PartStarted
    index: int
    id: str
    pieces: list[str] = msgspec.field(default_factory=list)
    citations: list[Citation] = msgspec.field(default_factory=list)
    logprobs: list[dict[str, Any]] = msgspec.field(default_factory=list)
    pending: list[dict[str, Any]] = msgspec.field(default_factory=list)
    signature: str = ""
    redacted: bool = False
    vendor: Vendor | None = None

    @property
    def whole(self) -> str:
        return "".join(self.pieces)

    @property
    def place(self) -> dict[str, Any]:
        return {"item_id": self.id, "output_index": self.index}


class ResponsesStreamWriter(SingleAnswerWriter):
    """Writes the events of a response. The last one repeats the whole of it, as the dialect has it: so it is kept."""

    def __init__(self, asked: ConversationRequest, loss: Loss) -> None:
        super().__init__(asked, loss)
        self._response: dict[str, Any] = {}
        self._items: dict[int, _Item] = {}
        self._output: dict[int, dict[str, Any]] = {}
        self._kept = 0

    def _begin(self, event: Started) -> bytes:
        if self._response:
            return b""
        self._response = response_object(self._asked, id=event.id, model=event.model, created=event.created)
        return self._event("response.created", response=self._response) + self._event(
            "response.in_progress", response=self._response
        )

    def _close(self) -> bytes:
        stop = None if self._stopped is None else self._stopped.reason
        self._response |= ending(stop, refused=self._refused, usage=self._usage) | only(service_tier=self._tier)
        self._response["output"] = [self._output[index] for index in sorted(self._output)]
        return self._event(f"response.{self._response['status']}", response=self._response)

    def _start(self, event: PartStarted) -> bytes:
        stem = f"{self._response['id'].removeprefix('resp_')}_{event.index}"
        before = b""
        match event.kind:
            case "tool_call":
                call = ToolCall(event.id or "", event.name or "", "", event.signature, event.custom)
                if event.signature is not None:
                    before = self._whole(signature_item(f"rs_{stem}", call))
                item = self._open(event, f"fc_{stem}")
                begun = call_item(item.id, call, "in_progress")
            case "thinking":
                item = self._open(event, event.id or f"rs_{stem}")
                begun = reasoning_item(item.id, Thinking())
            case _:
                item = self._open(event, f"msg_{stem}")
                begun = message_item(item.id, [], "in_progress")
        out = before + self._event("response.output_item.added", output_index=item.index, item=begun)
        if event.kind in ("text", "refusal"):
            part = self._content(item, "")
            out += self._event("response.content_part.added", **item.place, content_index=0, part=part)
        return out

    def _open(self, event: PartStarted, id: str) -> _Item:
        item = self._items[event.index] = _Item(event, len(self._output), id)
        self._output[item.index] = {}
        return item

    def _whole(self, item: dict[str, Any]) -> bytes:
        """An item that comes at once."""
        index = len(self._output)
        self._output[index] = item
        return self._event("response.output_item.added", output_index=index, item=item) + self._event(
            "response.output_item.done", output_index=index, item=item
        )

    def _delta(self, event: StreamEvent) -> bytes:
        item = self._items.get(getattr(event, "index", -1))
        if item is None:
            return b""
        match event:
            case TextDelta():
                self._keep(item, event.text)
                logprobs, item.pending = item.pending, []
                return self._event(
                    "response.output_text.delta", **item.place, content_index=0, delta=event.text, logprobs=logprobs
                )
            case RefusalDelta():
                self._keep(item, event.text)
                return self._event("response.refusal.delta", **item.place, content_index=0, delta=event.text)
            case ToolArgumentsDelta():
                self._keep(item, event.text)
                kind = "custom_tool_call_input" if item.started.custom else "function_call_arguments"
                return self._event(f"response.{kind}.delta", **item.place, delta=event.text)
            case ThinkingDelta():
                begun = b"" if item.pieces else self._summary("part.added", item, part=_summary_text(""))
                self._keep(item, event.text)
                return begun + self._summary("text.delta", item, delta=event.text)
            case SignatureDelta() if item.started.kind == "thinking":
                item.signature += event.signature
                item.vendor, item.redacted = event.vendor, event.redacted
            case CitationDelta():
                return self._cite(event.citation, item)
            case LogprobsDelta():
                item.pending = write_tokens(event.logprobs)
                item.logprobs += item.pending
            case _:
                self._loss.note("content.signature")
        return b""

    def _keep(self, item: _Item, text: str) -> None:
        self._kept += len(text)
        if self._kept <= MOST_KEPT:
            item.pieces.append(text)
        else:
            self._loss.note("output")

    def _cite(self, citation: Citation, item: _Item) -> bytes:
        annotations = flat(write_annotations((citation,), 0, self._loss, length=len(item.whole)))
        if not annotations:
            return b""
        item.citations.append(citation)
        return self._event(
            "response.output_text.annotation.added",
            **item.place,
            content_index=0,
            annotation_index=len(item.citations) - 1,
            annotation=annotations[0],
        )

    def _end(self, event: PartEnded) -> bytes:
        item = self._items.pop(event.index, None)
        if item is None:
            return b""
        whole = item.whole
        match item.started.kind:
            case "tool_call":
                started = item.started
                call = ToolCall(started.id or "", started.name or "", whole, custom=started.custom)
                done = call_item(item.id, call)
                kind, name = (
                    ("custom_tool_call_input", "input") if started.custom else ("function_call_arguments", "arguments")
                )
                out = self._event(f"response.{kind}.done", **item.place, **{name: whole, "name": call.name})
            case "thinking":
                secret = item.signature or None
                thought = Thinking(
                    whole,
                    None if item.redacted else secret,
                    secret if item.redacted else None,
                    item.vendor,
                    item.started.id,
                )
                done = reasoning_item(item.id, thought)
                out = b""
                if item.pieces:
                    out = self._summary("text.done", item, text=whole)
                    out += self._summary("part.done", item, part=_summary_text(whole))
            case "refusal":
                done = message_item(item.id, [self._content(item, whole)])
                out = self._event("response.refusal.done", **item.place, content_index=0, refusal=whole)
                out += self._part_done(item, done)
            case _:
                done = message_item(item.id, [self._content(item, whole)])
                out = self._event(
                    "response.output_text.done", **item.place, content_index=0, text=whole, logprobs=item.logprobs
                )
                out += self._part_done(item, done)
        self._output[item.index] = done
        return out + self._event("response.output_item.done", output_index=item.index, item=done)

    def _part_done(self, item: _Item, done: dict[str, Any]) -> bytes:
        return self._event("response.content_part.done", **item.place, content_index=0, part=done["content"][0])

    def _content(self, item: _Item, whole: str) -> dict[str, Any]:
        if item.started.kind == "refusal":
            return {"type": "refusal", "refusal": whole}
        annotations = flat(write_annotations(item.citations, 0, self._loss, length=len(whole)))
        return {"type": "output_text", "text": whole, "annotations": annotations, "logprobs": item.logprobs}

    def _summary(self, kind: str, item: _Item, **fields: Any) -> bytes:
        return self._event(f"response.reasoning_summary_{kind}", **item.place, summary_index=0, **fields)

    def _event(self, kind: str, **fields: Any) -> bytes:
        data = msgspec.json.encode({"type": kind, "sequence_number": self.sequence, **fields})
        self.sequence += 1
        return encode_event(data, kind)


def _summary_text(words: str) -> dict[str, Any]:
    return {"type": "summary_text", "text": words}

"""Gemini generateContent, unary answers: read, and written (ai.google.dev, "GenerateContentResponse")."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from helicone_gw.dialects._json import count, items, mapping, text
from helicone_gw.dialects.translate.anthropic_turns import read_arguments
from helicone_gw.dialects.translate.conversation import (
    Citation,
    ConversationRequest,
    Image,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from helicone_gw.dialects.translate.fields import Fields, only
from helicone_gw.dialects.translate.gemini_parts import read_part
from helicone_gw.dialects.translate.gemini_signatures import REDACTED, write_signature
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.names import legal_id
from helicone_gw.dialects.translate.reply import Choice, ConversationReply, StopReason, TokenLogprob
from helicone_gw.dialects.translate.signatures import Signature
from helicone_gw.dialects.translate.usage import gemini_usage as write_usage
from helicone_gw.dialects.usage import gemini_usage
from helicone_gw.errors import MalformedBody

STOPS: dict[str, StopReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(
        (
            "SAFETY",
            "RECITATION",
            "LANGUAGE",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
            "MODEL_ARMOR",
        ),
        "content_filter",
    ),
}
REASONS: dict[StopReason, str] = {
    "stop": "STOP",
    "stop_sequence": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
    "pause": "STOP",
    "context": "MAX_TOKENS",
}


def read_gemini_reply(body: bytes, loss: Loss) -> ConversationReply:
    """A GenerateContentResponse. Raises `ValueError` for what is none."""
    raw = msgspec.json.decode(body)
    if not isinstance(raw, dict) or not ("candidates" in raw or "promptFeedback" in raw or "usageMetadata" in raw):
        raise ValueError("the body has no candidates")
    reply_id = text(raw.get("responseId")) or ""
    candidates = items(raw.get("candidates"))
    choices = [_read_candidate(mapping(item), place, reply_id, loss) for place, item in enumerate(candidates)]
    if not choices:
        choices = [Choice([], "content_filter" if blocked(raw) else "stop")]
    usage = gemini_usage(raw.get("usageMetadata"))
    return ConversationReply(id=reply_id, model=text(raw.get("modelVersion")) or "", choices=choices, usage=usage)


def blocked(raw: Any) -> bool:
    """Whether the prompt was refused."""
    return text(mapping(raw.get("promptFeedback")).get("blockReason")) is not None


def read_stop(reason: Any, *, calls: bool) -> StopReason | None:
    """The neutral stop reason; Gemini says STOP for a call of a tool as well."""
    if not isinstance(reason, str) or reason == "FINISH_REASON_UNSPECIFIED":
        return None
    found = STOPS.get(reason, "stop")
    return "tool_calls" if found == "stop" and calls else found


def _read_candidate(raw: Any, place: int, reply_id: str, loss: Loss) -> Choice:
    parts: list[Part] = []
    for item in items(mapping(raw.get("content")).get("parts")):
        part = read_reply_part(item, loss)
        if part is None:
            continue
        if isinstance(part, ToolCall) and not part.id:
            part = replace(part, id=call_id(reply_id, place, len(parts)))
        parts.append(part)
    calls = any(isinstance(part, ToolCall) for part in parts)
    index = count(raw.get("index"))
    return Choice(
        _cited(parts, read_citations(raw)),
        read_stop(raw.get("finishReason"), calls=calls),
        logprobs=read_logprobs(raw.get("logprobsResult")),
        index=place if index is None else index,
    )


def call_id(reply_id: str, candidate: int, number: int) -> str:
    """An id for a call that has none: the same for the same answer, another in every answer."""
    return legal_id(f"call_{reply_id}_{candidate}_{number}", 40)


def read_reply_part(item: Any, loss: Loss) -> Part | None:
    """A part of an answer; ``None`` for an empty one, and for those of the provider's own tools, which are noted."""
    try:
        part = read_part(Fields(item, "content.parts"), loss)
    except MalformedBody:
        part = None
    if part is None and not isinstance(mapping(item).get("text"), str):
        loss.note(f"content.{next((name for name in mapping(item) if name != 'thoughtSignature'), 'part')}")
    return part


def read_citations(raw: Any) -> list[Citation]:
    """What ``groundingMetadata`` says; places count bytes of the text."""
    grounding = mapping(raw.get("groundingMetadata"))
    pages = [mapping(mapping(chunk).get("web")) for chunk in items(grounding.get("groundingChunks"))]
    found = []
    for support in items(grounding.get("groundingSupports")):
        segment = mapping(mapping(support).get("segment"))
        for number in items(mapping(support).get("groundingChunkIndices")):
            page = pages[number] if isinstance(number, int) and number < len(pages) else {}
            if url := text(page.get("uri")):
                start, end = count(segment.get("startIndex")) or 0, count(segment.get("endIndex"))
                found.append(Citation(url, text(page.get("title")), text(segment.get("text")), start=start, end=end))
    return found


def _cited(parts: list[Part], citations: list[Citation]) -> list[Part]:
    """``parts`` with the citations at the first text, their places in characters."""
    for place, part in enumerate(parts):
        if isinstance(part, Text) and citations:
            data = part.text.encode("utf-8", "replace")
            counted = tuple(
                replace(
                    item,
                    start=len(data[: item.start or 0].decode("utf-8", "ignore")),
                    end=len(data[: item.end].decode("utf-8", "ignore")),
                )
                for item in citations
            )
            return [*parts[:place], replace(part, citations=counted), *parts[place + 1 :]]
    return parts


def read_logprobs(value: Any) -> tuple[TokenLogprob, ...] | None:
    """``logprobsResult``: the chosen tokens, each with the likeliest in its place."""
    raw = mapping(value)
    tops = [items(mapping(item).get("candidates")) for item in items(raw.get("topCandidates"))]
    found = [
        _read_token(item, tuple(_read_token(top) for top in (tops[place] if place < len(tops) else ())))
        for place, item in enumerate(items(raw.get("chosenCandidates")))
    ]
    return tuple(found) or None


def _read_token(item: Any, top: tuple[TokenLogprob, ...] = ()) -> TokenLogprob:
    raw = mapping(item)
    probability = raw.get("logProbability")
    return TokenLogprob(
        str(raw.get("token") or ""), float(probability) if isinstance(probability, int | float) else 0.0, None, top
    )


def write_logprobs(tokens: tuple[TokenLogprob, ...]) -> dict[str, Any]:
    """The opposite of `read_logprobs`."""

    def written(token: TokenLogprob) -> dict[str, Any]:
        return {"token": token.token, "logProbability": token.logprob}

    return {
        "chosenCandidates": [written(token) for token in tokens],
        "topCandidates": [{"candidates": [written(top) for top in token.top]} for token in tokens],
    }


def write_gemini_reply(reply: ConversationReply, asked: ConversationRequest, loss: Loss) -> bytes:
    """``reply`` as a GenerateContentResponse."""
    body: dict[str, Any] = {"candidates": [_write_choice(choice, loss) for choice in reply.choices]}
    body |= only(
        usageMetadata=None if reply.usage is None else write_usage(reply.usage),
        modelVersion=reply.model or asked.model,
        responseId=reply.id or None,
    )
    return msgspec.json.encode(body)


def _write_choice(choice: Choice, loss: Loss) -> dict[str, Any]:
    citations = [item for part in choice.parts if isinstance(part, Text) for item in part.citations]
    parts = [written for part in choice.parts if (written := write_reply_part(part, loss))]
    return {
        "content": {"parts": parts, "role": "model"},
        "finishReason": write_stop(choice.stop, refused=any(isinstance(part, Refusal) for part in choice.parts)),
        "index": choice.index,
    } | only(
        logprobsResult=None if choice.logprobs is None else write_logprobs(choice.logprobs),
        groundingMetadata=write_citations(citations, loss),
    )


def write_stop(reason: StopReason | None, *, refused: bool = False) -> str:
    """``finishReason``."""
    return "SAFETY" if refused else REASONS[reason or "stop"]


def write_reply_part(part: Part, loss: Loss) -> dict[str, Any] | None:
    """A part of an answer."""
    match part:
        case Text() | Refusal():
            return {"text": part.text} | only(thoughtSignature=getattr(part, "signature", None))
        case Thinking():
            return write_thought(part)
        case ToolCall():
            arguments = read_arguments(part, loss, "content")
            function = {"name": part.name, "args": arguments} | only(id=part.id or None)
            return {"functionCall": function} | only(thoughtSignature=part.signature)
        case Image(data=str() as data):
            return {"inlineData": {"mimeType": part.media_type or "image/png", "data": data}}
    loss.note(f"content.{type(part).__name__.lower()}")
    return None


def write_thought(thought: Thinking) -> dict[str, Any]:
    """A thought, its signature marked with its maker's name where that is not Google."""
    vendor = thought.vendor or "other"
    if thought.redacted is not None:
        sealed = write_signature(Signature(vendor, thought.redacted, REDACTED))
        return {"text": "", "thought": True, "thoughtSignature": sealed}
    signature = None
    if thought.signature is not None:
        signature = write_signature(Signature(vendor, thought.signature, thought.id))
    return {"text": thought.text, "thought": True} | only(thoughtSignature=signature)


def write_citations(citations: list[Citation], loss: Loss) -> dict[str, Any] | None:
    """Citations of pages as ``groundingMetadata``; those of documents have no place in the dialect."""
    chunks: list[dict[str, Any]] = []
    supports: list[dict[str, Any]] = []
    for citation in citations:
        if citation.url is None:
            loss.note("content.citations")
            continue
        segment = only(startIndex=citation.start, endIndex=citation.end, text=citation.cited)
        supports.append({"segment": segment, "groundingChunkIndices": [len(chunks)]})
        chunks.append({"web": {"uri": citation.url, "title": citation.title or citation.url}})
    return {"groundingChunks": chunks, "groundingSupports": supports} if chunks else None

"""OpenAI's legacy completions: requests read, answers and streams written (platform.openai.com, "Completions").

A prompt is one user message elsewhere; there is no provider to which they are written.
"""

from __future__ import annotations

from typing import Any

import msgspec

from helicone_gw.dialects._json import read_body
from helicone_gw.dialects.translate.conversation import ConversationRequest, Message, Refusal, Text
from helicone_gw.dialects.translate.fields import Fields, malformed, only
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.openai_chat_reply import FINISHES
from helicone_gw.dialects.translate.reply import (
    Choice,
    ConversationReply,
    LogprobsDelta,
    RefusalDelta,
    Stopped,
    StreamEvent,
    TextDelta,
    TokenLogprob,
)
from helicone_gw.dialects.translate.usage import chat_usage
from helicone_gw.dialects.translate.writers import ChunkWriter
from helicone_gw.errors import BadRequest

_FINISHES = {**FINISHES, "tool_calls": "stop"}


def read_completions(body: bytes, loss: Loss, *, model: str, stream: bool) -> ConversationRequest:
    """The body of ``POST /v1/completions`` in neutral form. Raises `MalformedBody`; `BadRequest`: several prompts."""
    fields = Fields(read_body(body))
    fields.ignore("model", "stream", "best_of")
    options = fields.object("stream_options")
    logprobs = fields.whole("logprobs")
    request = ConversationRequest(
        model=model,
        messages=[Message("user", (Text(_read_prompt(fields)),))],
        max_tokens=fields.whole("max_tokens"),
        stop=fields.texts("stop"),
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=fields.whole("top_k"),
        min_p=fields.number("min_p"),
        frequency_penalty=fields.number("frequency_penalty"),
        presence_penalty=fields.number("presence_penalty"),
        seed=fields.whole("seed"),
        n=fields.whole("n"),
        top_logprobs=logprobs,
        user=fields.text("user"),
        stream=stream,
        include_usage=stream and options is not None and options.flag("include_usage") is True,
    )
    if fields.flag("echo"):
        loss.note("echo")
    request.extras = fields.rest()
    return request


def _read_prompt(fields: Fields) -> str:
    prompt = fields.any("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if isinstance(prompt, list) and prompt and all(isinstance(item, str) for item in prompt):
        raise BadRequest(
            "Several prompts in one request cannot be sent to this provider: send one request for each.",
            code="several_prompts",
        )
    if not isinstance(prompt, str):
        malformed("prompt", "a string (token arrays are understood by the provider of the tokens only)", prompt)
    return prompt


def write_completions_reply(reply: ConversationReply, asked: ConversationRequest, loss: Loss) -> bytes:
    """``reply`` as a completion."""
    body: dict[str, Any] = {
        "id": reply.id,
        "object": "text_completion",
        "created": reply.created or 0,
        "model": reply.model or asked.model,
        "choices": [_write_choice(choice, loss) for choice in reply.choices],
    }
    return msgspec.json.encode(body | only(usage=None if reply.usage is None else chat_usage(reply.usage)))


def _write_choice(choice: Choice, loss: Loss) -> dict[str, Any]:
    texts = [part.text for part in choice.parts if isinstance(part, Text | Refusal)]
    if len(texts) < len(choice.parts):
        loss.note("choices.content")
    return {
        "text": "".join(texts),
        "index": choice.index,
        "logprobs": None if choice.logprobs is None else _write_logprobs(choice.logprobs, 0),
        "finish_reason": _FINISHES[choice.stop or "stop"],
    }


def _write_logprobs(tokens: tuple[TokenLogprob, ...], offset: int) -> dict[str, Any]:
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token.token)
    return {
        "tokens": [token.token for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [{top.token: top.logprob for top in token.top} for token in tokens],
        "text_offset": offsets,
    }


class CompletionsStreamWriter(ChunkWriter):
    """Writes chunks of a completion: texts, and nothing that completions do not have."""

    object_name = "text_completion"

    def __init__(self, asked: ConversationRequest, loss: Loss) -> None:
        super().__init__(asked, loss)
        self._logprobs: dict[int, tuple[TokenLogprob, ...]] = {}
        self._lengths: dict[int, int] = {}

    def _part(self, event: StreamEvent) -> bytes:
        match event:
            case TextDelta() | RefusalDelta():
                return self._chunk(event.choice, event.text, None)
            case Stopped():
                return self._chunk(event.choice, "", _FINISHES[event.reason])
            case LogprobsDelta():
                self._logprobs[event.choice] = event.logprobs
            case _:
                pass
        return b""

    def _chunk(self, number: int, text: str, finish: str | None) -> bytes:
        offset = self._lengths.get(number, 0)
        self._lengths[number] = offset + len(text)
        tokens = self._logprobs.pop(number, None)
        choice = {
            "text": text,
            "index": number,
            "logprobs": None if tokens is None else _write_logprobs(tokens, offset),
            "finish_reason": finish,
        }
        return self._encoded(choices=[choice])

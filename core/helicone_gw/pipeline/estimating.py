"""Estimating: the tokens of answers that were broken off before their provider counted them.

What the provider said is kept. The rest is counted by its length in characters, which for prose, code and JSON is
within a fifth of what OpenAI's tokenizers count. Thoughts that a provider does not show, and what its own tools read,
are not in what can be seen. Where even the text is not known (pictures, sound, files, what is stored at a provider) the
count stays unknown.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from helicone_gw.dialects import wire_format
from helicone_gw.dialects.base import WireFormat
from helicone_gw.dialects.deltas import delta_texts, has_deltas
from helicone_gw.dialects.translate.base import Ingress
from helicone_gw.dialects.translate.codecs import CONVERSATION_INGRESS
from helicone_gw.dialects.translate.conversation import (
    Audio,
    ConversationRequest,
    Document,
    Image,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.errors import GatewayError
from helicone_gw.model import Request, Usage
from helicone_gw.pipeline.answer import SAMPLE_BYTES, LiveStream
from helicone_gw.sse import EventSplitter, EventTooLarge

READ_PROMPT = 32 << 10
"""Bytes of a request that is read to count its tokens, on the event loop; a longer one is counted as it stands."""
MAX_PROMPT = 1 << 20
"""Bytes of a request that is counted at all; the tokens of a longer one stay unknown."""
PER_MESSAGE = 4
"""Tokens that set one message apart from the next."""

_ONE_BYTE, _TWO_BYTES, _THREE_BYTES = 4.2, 3.5, 1.4  # characters of a token, by their length in UTF-8
_UNSEEN = (
    b'"image"',
    b'"image_url"',
    b'"input_image"',
    b'"input_audio"',
    b'"input_file"',
    b'"file"',
    b'"file_id"',
    b'"file_data"',
    b'"fileData"',
    b'"inline_data"',
    b'"inlineData"',
    b'"document"',
    b'"container_upload"',
    b'"previous_response_id"',
    b'"conversation"',
    b'"cachedContent"',
    b'"cached_content"',
)
"""Words by which a long request says that it has more than text in it, or that some of it is kept at its provider."""

_INGRESS: dict[tuple[str, str], Ingress] = {
    (codec.dialect, operation): codec for codec in CONVERSATION_INGRESS for operation in codec.operations
}
_COMPLETIONS = ("openai", "completions")
_VECTORS = frozenset({("openai", "embeddings"), ("gemini", "embed_content"), ("gemini", "batch_embed_contents")})
"""Operations that generate nothing."""
_STORED = ("cachedContent",)
"""Fields that name what is stored at the provider and counts as input."""


def estimate(request: Request, wire: WireFormat | None, said: Usage | None, live: LiveStream | None) -> Usage | None:
    """The usage of an answer to ``request`` that was broken off, of which the provider ``said`` so much.

    ``wire`` is the format of the provider's answer, ``live`` what came of it if it is a stream. A stream that had not
    begun generated nothing; a whole answer that was not waited for may have been generated all the same: its output is
    unknown. What nothing can be said of stays ``None``; with anything that was counted here it is `Usage.estimated`.
    """
    usage = said or Usage()
    tokens_in, tokens_out = usage.input_tokens, usage.output_tokens
    if tokens_in is None:
        tokens_in = prompt_tokens(request)
    if tokens_out is None:
        if live is not None and live.reader is not None:
            tokens_out = None if wire is None else generated_tokens(wire, live)
        elif (request.stream and live is None) or (request.dialect, request.operation) in _VECTORS:
            tokens_out = 0
    if (tokens_in, tokens_out) == (usage.input_tokens, usage.output_tokens):
        return said
    return replace(usage, input_tokens=tokens_in, output_tokens=tokens_out, estimated=True)


def prompt_tokens(request: Request) -> int | None:
    """The input of ``request``, estimated; ``None`` where not all of it is text that can be seen."""
    body, key = request.body, (request.dialect, request.operation)
    if body is None or len(body) > MAX_PROMPT:
        return None
    try:
        if key in _VECTORS or key == _COMPLETIONS:
            wire = wire_format(*key)
            texts = [] if wire is None else wire.prompt_text(body)
            return round(sum(map(text_tokens, texts))) if texts else None  # arrays of tokens are no text
        speaker = _INGRESS.get(key)
        if speaker is None:
            return None
        if len(body) > READ_PROMPT:
            unseen = any(word in body for word in _UNSEEN)
            return None if unseen else round(text_tokens(body.decode("utf-8", "replace")))
        asked = speaker.read_request(body, Loss(), model=request.model or "", stream=request.stream)
        return _conversation_tokens(asked)
    except (GatewayError, ValueError, RecursionError):
        return None


def generated_tokens(wire: WireFormat, live: LiveStream) -> int | None:
    """The output of a stream of ``wire`` as far as it came: of its sample, and the rest taken to be alike."""
    if not has_deltas(wire.dialect, wire.operation):
        return 0 if not live.size else None
    data = b"".join(live.sample)
    tokens, silent, read = 0.0, 0, 0
    for event in _events(data):
        words = delta_texts(wire.dialect, wire.operation, event)
        if words or tokens:
            read += len(event)
            tokens += sum(map(text_tokens, words))
        else:
            silent += len(event)
    rest = live.size - live.before - silent
    if read:
        return round(tokens * rest / read)
    # Nothing generated is in sight; more than was kept may hold anything.
    return 0 if live.size - live.before <= len(data) else None


def text_tokens(text: str) -> float:
    """The tokens of ``text``, estimated by its characters: a fraction, so that pieces add up to the whole."""
    if text.isascii():
        return len(text) / _ONE_BYTE
    plain, size = len(text.encode("ascii", "ignore")), len(text.encode("utf-8", "replace"))
    others = len(text) - plain
    three = size - plain - 2 * others
    return plain / _ONE_BYTE + (others - three) / _TWO_BYTES + three / _THREE_BYTES


def _events(sample: bytes) -> list[bytes]:
    try:
        return EventSplitter(SAMPLE_BYTES).feed(sample)
    except EventTooLarge as problem:
        return problem.events


def _conversation_tokens(asked: ConversationRequest) -> int | None:
    if any(name in asked.extras for name in _STORED):
        return None
    tokens = sum(text_tokens(part.text) for part in asked.system)
    for message in asked.messages:
        found = _parts_tokens(message.parts)
        if found is None:
            return None
        tokens += found + PER_MESSAGE
    for tool in asked.tools:
        tokens += text_tokens(f"{tool.name} {tool.description or ''}") + _json_tokens(tool.parameters)
    if asked.response_format is not None:
        tokens += _json_tokens(asked.response_format.schema)
    return round(tokens)


def _parts_tokens(parts: Iterable[Part]) -> float | None:
    tokens = 0.0
    for part in parts:
        match part:
            case Text() | Thinking() | Refusal():
                tokens += text_tokens(part.text)
            case ToolCall():
                tokens += text_tokens(part.name) + text_tokens(part.arguments)
            case ToolResult():
                found = _parts_tokens(part.parts)
                if found is None:
                    return None
                tokens += found
            case Document(text=str() as text):
                tokens += text_tokens(text)
            case Image() | Audio() | Document():
                return None
    return tokens


def _json_tokens(value: object) -> float:
    return 0.0 if value is None else text_tokens(msgspec.json.encode(value).decode())

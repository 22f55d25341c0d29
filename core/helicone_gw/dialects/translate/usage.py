"""Usage in each dialect's own words: the opposite of `dialects.usage`. What is unknown is left out where it may be."""

from __future__ import annotations

from typing import Any

from helicone_gw.dialects.translate.fields import only
from helicone_gw.model import Usage


def chat_usage(usage: Usage) -> dict[str, Any]:
    """``usage`` of chat completions, with Helicone's ``cache_write_tokens`` where something was written."""
    writes = None
    if usage.cache_write_1h_tokens is not None and usage.cache_write_tokens is not None:
        writes = {
            "write_5m_tokens": max(0, usage.cache_write_tokens - usage.cache_write_1h_tokens),
            "write_1h_tokens": usage.cache_write_1h_tokens,
        }
    details = only(
        cached_tokens=usage.cache_read_tokens,
        audio_tokens=usage.input_audio_tokens,
        cache_write_tokens=usage.cache_write_tokens or None,
        cache_write_details=writes if usage.cache_write_tokens else None,
        image_tokens=usage.input_image_tokens,
    )
    produced = only(
        reasoning_tokens=usage.reasoning_tokens,
        audio_tokens=usage.output_audio_tokens,
        image_tokens=usage.output_image_tokens,
    )
    return {
        "prompt_tokens": usage.input_tokens or 0,
        "completion_tokens": usage.output_tokens or 0,
        "total_tokens": usage.total_tokens or 0,
    } | only(
        prompt_tokens_details=details or None,
        completion_tokens_details=produced or None,
        server_tool_use={"web_search_requests": usage.web_searches} if usage.web_searches else None,
    )


def responses_usage(usage: Usage) -> dict[str, Any]:
    """``usage`` of responses, whose details must be there."""
    return {
        "input_tokens": usage.input_tokens or 0,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens or 0,
            "cache_write_tokens": usage.cache_write_tokens or 0,
        },
        "output_tokens": usage.output_tokens or 0,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": usage.total_tokens or 0,
    }


def anthropic_usage(usage: Usage) -> dict[str, Any]:
    """Anthropic's ``usage``, whose ``input_tokens`` leave out what the cache gave and took."""
    read, written = usage.cache_read_tokens, usage.cache_write_tokens
    fresh = max(0, (usage.input_tokens or 0) - (read or 0) - (written or 0))
    creation = None
    if usage.cache_write_1h_tokens is not None:
        creation = {
            "ephemeral_5m_input_tokens": max(0, (written or 0) - usage.cache_write_1h_tokens),
            "ephemeral_1h_input_tokens": usage.cache_write_1h_tokens,
        }
    return {"input_tokens": fresh, "output_tokens": usage.output_tokens or 0} | only(
        cache_read_input_tokens=read,
        cache_creation_input_tokens=written,
        cache_creation=creation,
        output_tokens_details=None if usage.reasoning_tokens is None else {"thinking_tokens": usage.reasoning_tokens},
        server_tool_use={"web_search_requests": usage.web_searches} if usage.web_searches else None,
    )


def gemini_usage(usage: Usage) -> dict[str, Any]:
    """Gemini's ``usageMetadata``, which counts thoughts beside the candidates' tokens."""
    produced = None
    if usage.output_tokens is not None:
        produced = max(0, usage.output_tokens - (usage.reasoning_tokens or 0))
    return only(
        promptTokenCount=usage.input_tokens,
        candidatesTokenCount=produced,
        totalTokenCount=usage.total_tokens,
        cachedContentTokenCount=usage.cache_read_tokens or None,
        thoughtsTokenCount=usage.reasoning_tokens or None,
        promptTokensDetails=_details(usage.input_tokens, usage.input_audio_tokens, usage.input_image_tokens),
        candidatesTokensDetails=_details(produced, usage.output_audio_tokens, usage.output_image_tokens),
    )


def _details(total: int | None, audio: int | None, image: int | None) -> list[dict[str, Any]] | None:
    if total is None or not (audio or image):
        return None
    text = max(0, total - (audio or 0) - (image or 0))
    counts = {"TEXT": text, "AUDIO": audio or 0, "IMAGE": image or 0}
    return [{"modality": kind, "tokenCount": count} for kind, count in counts.items() if count]

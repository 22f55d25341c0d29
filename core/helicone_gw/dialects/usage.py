"""Usage: what each family of providers reports, in the one form of `model.Usage`. What is absent is not known."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated, Any

import msgspec

from helicone_gw.dialects._json import MAX_COUNT, count, decode_exactly, items, mapping, text
from helicone_gw.model import Usage

NANO_DOLLARS = 10**9
_Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)]


class _Inputs(msgspec.Struct, forbid_unknown_fields=True):
    cached_tokens: _Count | None = None
    audio_tokens: _Count | None = None


class _Outputs(msgspec.Struct, forbid_unknown_fields=True):
    reasoning_tokens: _Count | None = None
    audio_tokens: _Count | None = None
    accepted_prediction_tokens: Any = None
    rejected_prediction_tokens: Any = None


class _Plain(msgspec.Struct, forbid_unknown_fields=True):
    """What OpenAI's own chat completions report, and nothing else: most replies there are."""

    prompt_tokens: _Count
    completion_tokens: _Count
    total_tokens: _Count
    prompt_tokens_details: _Inputs | None = None
    completion_tokens_details: _Outputs | None = None


_PLAIN = msgspec.json.Decoder(_Plain)
_NO_INPUTS, _NO_OUTPUTS = _Inputs(), _Outputs()


def read_openai_usage(data: bytes | msgspec.Raw, *, service_tier: Any = None) -> Usage | None:
    """`openai_usage` of the text of a usage object; the commonest shape is read without a dictionary."""
    try:
        plain = _PLAIN.decode(data)
    except (ValueError, RecursionError):
        return openai_usage(decode_exactly(data), service_tier=service_tier)
    inputs = plain.prompt_tokens_details or _NO_INPUTS
    outputs = plain.completion_tokens_details or _NO_OUTPUTS
    completion, reasoning = plain.completion_tokens, outputs.reasoning_tokens
    if reasoning and plain.total_tokens == plain.prompt_tokens + completion + reasoning:
        completion += reasoning  # xAI's way; see openai_usage
    return Usage(
        input_tokens=plain.prompt_tokens,
        output_tokens=completion,
        cache_read_tokens=inputs.cached_tokens,
        reasoning_tokens=reasoning,
        input_audio_tokens=inputs.audio_tokens,
        output_audio_tokens=outputs.audio_tokens,
        service_tier=text(service_tier),
    )


def openai_usage(
    usage: Any,
    *,
    service_tier: Any = None,
    web_searches: int | None = None,
    input_only: bool = False,
) -> Usage | None:
    """The usage object of OpenAI and of all who speak its dialect, in any spelling; ``None`` if it says nothing.

    Known besides OpenAI's own members: DeepSeek's ``prompt_cache_hit_tokens``, OpenRouter's ``cost`` (USD),
    Perplexity's ``cost.total_cost`` and ``num_search_queries``, ``cache_write_details`` of Helicone. ``input_only``
    is for operations that generate nothing (embeddings, rerank), where some report only ``total_tokens``.
    """
    raw = mapping(usage)
    inputs = mapping(_first(raw, "prompt_tokens_details", "input_tokens_details", "input_token_details"))
    outputs = mapping(_first(raw, "completion_tokens_details", "output_tokens_details", "output_token_details"))
    writes = mapping(inputs.get("cache_write_details"))
    cached = mapping(inputs.get("cached_tokens_details"))
    total = count(raw.get("total_tokens"))
    tokens_in = count(_first(raw, "prompt_tokens", "input_tokens"))
    tokens_out = count(_first(raw, "completion_tokens", "output_tokens"))
    if tokens_in is None and input_only:
        tokens_in = total
    if tokens_out is None and tokens_in is not None and total is not None:
        # Embeddings report the prompt and the total, and so that nothing was generated.
        tokens_out = max(0, total - tokens_in)
    reasoning = _count(_first(outputs, "reasoning_tokens"), raw.get("reasoning_tokens"))
    if reasoning and tokens_in is not None and tokens_out is not None and total == tokens_in + tokens_out + reasoning:
        # xAI counts reasoning beside the completion instead of in it; its total gives it away.
        tokens_out += reasoning
    searches = _count(
        raw.get("num_search_queries"), mapping(raw.get("server_tool_use")).get("web_search_requests"), web_searches
    )
    return _unless_empty(
        Usage(
            input_tokens=tokens_in,
            output_tokens=tokens_out,
            cache_read_tokens=_count(
                inputs.get("cached_tokens"), raw.get("prompt_cache_hit_tokens"), raw.get("cached_tokens")
            ),
            cache_write_tokens=_count(
                inputs.get("cache_write_tokens"),
                _sum(writes.get("write_5m_tokens"), writes.get("write_1h_tokens")),
            ),
            cache_write_1h_tokens=count(writes.get("write_1h_tokens")),
            reasoning_tokens=reasoning,
            input_audio_tokens=count(inputs.get("audio_tokens")),
            output_audio_tokens=count(outputs.get("audio_tokens")),
            cache_audio_read_tokens=count(cached.get("audio_tokens")),
            input_image_tokens=count(inputs.get("image_tokens")),
            output_image_tokens=count(outputs.get("image_tokens")),
            web_searches=searches,
            cost=nano_dollars(raw.get("cost")),
            service_tier=text(raw.get("service_tier")) or text(service_tier),
        )
    )


def anthropic_usage(usage: Any) -> Usage | None:
    """Anthropic's usage object, whose ``input_tokens`` leave out what was read from and written to the cache."""
    raw = mapping(usage)
    creation = mapping(raw.get("cache_creation"))
    read = count(raw.get("cache_read_input_tokens"))
    one_hour = count(creation.get("ephemeral_1h_input_tokens"))
    written = _count(raw.get("cache_creation_input_tokens"), _sum(creation.get("ephemeral_5m_input_tokens"), one_hour))
    fresh = count(raw.get("input_tokens"))
    return _unless_empty(
        Usage(
            input_tokens=None if fresh is None else _sum(fresh, read, written),
            output_tokens=count(raw.get("output_tokens")),
            cache_read_tokens=read,
            cache_write_tokens=written,
            cache_write_1h_tokens=one_hour,
            reasoning_tokens=count(mapping(raw.get("output_tokens_details")).get("thinking_tokens")),
            web_searches=count(mapping(raw.get("server_tool_use")).get("web_search_requests")),
            service_tier=text(raw.get("service_tier")),
        )
    )


def overlaid(base: Mapping[str, Any], newer: Any) -> dict[str, Any]:
    """``base`` with every member of ``newer`` that is not null in its place (Anthropic's deltas are cumulative)."""
    return {**base, **{name: value for name, value in mapping(newer).items() if value is not None}}


def gemini_usage(usage: Any) -> Usage | None:
    """Gemini's ``usageMetadata``: thoughts are output and tool-use prompts are input, each beside the plain count."""
    raw = mapping(usage)
    tokens_in = _sum(raw.get("promptTokenCount"), raw.get("toolUsePromptTokenCount"))
    tokens_out = _sum(raw.get("candidatesTokenCount"), raw.get("thoughtsTokenCount"))
    total = count(raw.get("totalTokenCount"))
    if tokens_out is None and tokens_in is not None and total is not None:
        # The wire leaves out zeros; the total tells one from an unknown.
        tokens_out = max(0, total - tokens_in)
    prompt = [*items(raw.get("promptTokensDetails")), *items(raw.get("toolUsePromptTokensDetails"))]
    reply = items(raw.get("candidatesTokensDetails"))
    return _unless_empty(
        Usage(
            input_tokens=tokens_in,
            output_tokens=tokens_out,
            cache_read_tokens=count(raw.get("cachedContentTokenCount")),
            reasoning_tokens=count(raw.get("thoughtsTokenCount")),
            input_audio_tokens=_of_modality(prompt, "AUDIO"),
            output_audio_tokens=_of_modality(reply, "AUDIO"),
            cache_audio_read_tokens=_of_modality(items(raw.get("cacheTokensDetails")), "AUDIO"),
            input_image_tokens=_of_modality(prompt, "IMAGE"),
            output_image_tokens=_of_modality(reply, "IMAGE"),
            service_tier=text(raw.get("serviceTier")),
        )
    )


def nano_dollars(cost: Any) -> int | None:
    """USD, as a number or as an object with ``total_cost``, in nano-dollars; ``None`` for anything else.

    Exact down to the nano-dollar, half of one rounded to even.
    """
    if isinstance(cost, dict):
        cost = cost.get("total_cost")
    if isinstance(cost, bool) or not isinstance(cost, int | float | Decimal):
        return None
    amount = cost if isinstance(cost, Decimal) else Decimal(str(cost))
    if not amount.is_finite() or not 0 <= amount <= MAX_COUNT // NANO_DOLLARS:
        return None
    return int((amount * NANO_DOLLARS).to_integral_value(ROUND_HALF_EVEN))


def _first(raw: Mapping[str, Any], *names: str) -> Any:
    return next((raw[name] for name in names if raw.get(name) is not None), None)


def _count(*values: Any) -> int | None:
    return next((number for value in values if (number := count(value)) is not None), None)


def _sum(*values: Any) -> int | None:
    known = [number for value in values if (number := count(value)) is not None]
    return count(sum(known)) if known else None


def _of_modality(details: list[Any], modality: str) -> int | None:
    return _sum(*(mapping(item).get("tokenCount") for item in details if mapping(item).get("modality") == modality))


_NOTHING = Usage()


def _unless_empty(usage: Usage) -> Usage | None:
    return None if usage in (_NOTHING, Usage(service_tier=usage.service_tier)) else usage

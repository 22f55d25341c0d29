"""Measures: times, durations and counts, as columns hold them. What is out of range is unknown."""

from __future__ import annotations

from helicone_gw import Usage

_MAX_INTEGER = 2**63 - 1


def milliseconds(seconds: float | None) -> int | None:
    """Epoch milliseconds of epoch seconds."""
    # Not a number is not between anything.
    return round(seconds * 1000) if seconds is not None and -1e12 < seconds < 1e12 else None


def duration(start: float, end: float | None) -> int | None:
    """Milliseconds between two times in epoch seconds, never negative."""
    if end is None or not -1e12 < end - start < 1e12:
        return None
    # A wall clock may be set back in the meantime; no answer is ready before its request.
    return max(0, round((end - start) * 1000))


def count(value: int | None) -> int | None:
    """A number of things."""
    return value if value is None or (isinstance(value, int) and 0 <= value <= _MAX_INTEGER) else None


def tokens(usage: Usage | None) -> dict[str, int | None]:
    """The token columns of an attempt."""
    if usage is None:
        return _NO_TOKENS
    return {
        "prompt_tokens": count(usage.input_tokens),
        "completion_tokens": count(usage.output_tokens),
        "reasoning_tokens": count(usage.reasoning_tokens),
        "prompt_cache_read_tokens": count(usage.cache_read_tokens),
        "prompt_cache_write_tokens": count(usage.cache_write_tokens),
    }


def all_tokens(usage: Usage | None) -> dict[str, int | None]:
    """The token columns of a request, and what else is counted there."""
    if usage is None:
        return _NONE_AT_ALL
    return {
        **tokens(usage),
        "total_tokens": count(usage.total_tokens),
        "prompt_cache_write_1h_tokens": count(usage.cache_write_1h_tokens),
        "prompt_audio_tokens": count(usage.input_audio_tokens),
        "completion_audio_tokens": count(usage.output_audio_tokens),
        "prompt_cache_audio_tokens": count(usage.cache_audio_read_tokens),
        "prompt_image_tokens": count(usage.input_image_tokens),
        "completion_image_tokens": count(usage.output_image_tokens),
        "web_searches": count(usage.web_searches),
    }


_NO_TOKENS = dict.fromkeys(tokens(Usage()))
_NONE_AT_ALL = dict.fromkeys(all_tokens(Usage()))

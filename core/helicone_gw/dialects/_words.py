"""The words that dialects use for errors and for stopping, read from ``wire_words.json``."""

from __future__ import annotations

from importlib.resources import files
from typing import Literal

import msgspec

StopFamily = Literal["chat", "responses", "anthropic", "gemini"]


class _Words(msgspec.Struct, frozen=True):
    status_of: dict[str, int]
    anthropic_type: dict[int, str]
    gemini_status: dict[int, str]
    stop_reason: dict[str, dict[str, str]]
    stop_synonyms: dict[str, list[str]]


_WORDS = msgspec.json.decode(files(__package__).joinpath("wire_words.json").read_bytes(), type=_Words)
_STOPS = {synonym: word for word, synonyms in _WORDS.stop_synonyms.items() for synonym in synonyms}


def status_of(word: str) -> int | None:
    """The HTTP status that an error's type, code or status word stands for, if it is a known one."""
    return _WORDS.status_of.get(word.lower())


def anthropic_type(status: int) -> str:
    """Anthropic's ``error.type`` for an HTTP status (its documentation, "Errors")."""
    return _WORDS.anthropic_type.get(status) or ("api_error" if status >= 500 else "invalid_request_error")


def gemini_status(status: int) -> str:
    """Google's ``error.status`` for an HTTP status (``google.rpc.Code``)."""
    return _WORDS.gemini_status.get(status) or ("INTERNAL" if status >= 500 else "INVALID_ARGUMENT")


def stop_reason(reason: str, family: StopFamily) -> str:
    """The stop reason of a family's own that ``reason`` (free text) amounts to; an ordinary stop by default."""
    return _WORDS.stop_reason[stop_word(reason)][family]


def stop_word(reason: str) -> str:
    """What ``reason`` (free text) amounts to: "length", "content_filter", or an ordinary "stop"."""
    return _STOPS.get(reason.lower(), "stop")

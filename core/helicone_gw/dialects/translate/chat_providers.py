"""What providers of the OpenAI dialect take beside OpenAI's own fields, read from ``chat_providers.json``."""

from __future__ import annotations

from importlib.resources import files
from typing import Literal

import msgspec

Trait = Literal[
    "max_completion_tokens",
    "top_k",
    "min_p",
    "cache_control",
    "reasoning_content",
    "reasoning_details",
    "openai_fields",
]


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    takes: dict[Trait, frozenset[str]]
    refuses: dict[str, tuple[str, ...]]


_TABLE = msgspec.json.decode(files(__package__).joinpath("chat_providers.json").read_bytes(), type=_Table)


def takes(provider: str, trait: Trait) -> bool:
    """Whether ``provider`` is known to take a field that OpenAI itself does not, or under another name."""
    return provider in _TABLE.takes[trait]


def refused(provider: str) -> tuple[str, ...]:
    """Fields of OpenAI's that ``provider`` answers with an error."""
    return _TABLE.refuses.get(provider, ())

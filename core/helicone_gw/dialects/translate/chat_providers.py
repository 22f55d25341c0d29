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
_TRAITS = {
    trait: frozenset(providers)
    for trait, providers in msgspec.json.decode(
        files(__package__).joinpath("chat_providers.json").read_bytes(), type=dict[Trait, list[str]]
    ).items()
}


def takes(provider: str, trait: Trait) -> bool:
    """Whether ``provider`` is known to take a field that OpenAI itself does not, or under another name."""
    return provider in _TRAITS[trait]

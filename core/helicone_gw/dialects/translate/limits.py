"""The longest answers of well-known models, from ``limits.json``: rows of a pattern and of tokens, first match wins.

Source: the models' pages in the documentation of OpenAI, Anthropic and Google. Where the models that a pattern means
differ, the row has the fewest.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files

import msgspec

from helicone_gw.dialects.translate.loss import Loss

_ROWS = [
    (re.compile(pattern), tokens)
    for pattern, tokens in msgspec.json.decode(
        files(__package__).joinpath("limits.json").read_bytes(), type=list[tuple[str, int]]
    )
]


@lru_cache(maxsize=1024)
def longest_answer(model: str) -> int | None:
    """Tokens that ``model`` writes at most, ``None`` where that is not known."""
    name = model.lower()
    return next((tokens for pattern, tokens in _ROWS if pattern.search(name)), None)


def bounded(max_tokens: int | None, longest: int | None, loss: Loss) -> int | None:
    """``max_tokens``, or what the model writes at most: providers refuse more. Clients ask for what their own may."""
    if max_tokens is None or longest is None or max_tokens <= longest:
        return max_tokens
    loss.note("max_tokens")
    return longest

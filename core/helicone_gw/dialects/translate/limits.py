"""The longest answers of models whose dialect wants a bound: Anthropic's (docs.claude.com, "Models overview")."""

from __future__ import annotations

from helicone_gw.dialects.translate.reasoning import claude_version

_CLAUDE: tuple[tuple[tuple[int, int], int], ...] = (
    ((4, 5), 64_000),
    ((4, 0), 32_000),
    ((3, 7), 64_000),
    ((3, 5), 8192),
    ((0, 0), 4096),
)
"""The first version with this many tokens, the newest first; where models of one version differ, the fewest."""


def longest_answer(model: str) -> int | None:
    """Tokens that ``model`` writes at most, ``None`` where that is not known."""
    name = model.lower()
    if "claude" not in name:
        return None
    version = claude_version(name)
    return next(tokens for first, tokens in _CLAUDE if version >= first)

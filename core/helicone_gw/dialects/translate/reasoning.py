"""Reasoning: effort in words and budgets in tokens, and which of them a model takes.

The budgets are those of LiteLLM and of Google's OpenAI-compatible endpoint: low 1,024, medium 8,192, high 24,576.
"""

from __future__ import annotations

import re

from helicone_gw.dialects.translate.conversation import Effort, Reasoning

BUDGETS: dict[Effort, int] = {
    "none": 0,
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 32768,
    "max": 65536,
}
"""Tokens of thought that an effort stands for."""
LEAST_BUDGET = 1024
"""The least that Anthropic accepts."""
EFFORTS: frozenset[str] = frozenset(BUDGETS)

_CLAUDE = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
_OPENAI = re.compile(r"(?:^|[/.])(?:o\d|gpt-5|gpt-oss|codex|computer-use)(?!.*chat)")
_THINKS = re.compile(
    r"deepseek-(?:r|v3|reason)|qwen-?3|qwq|magistral|grok-[34]|gemini-(?:2\.5|[3-9])|claude-|kimi-k2|glm-4\.[5-9]|minimax-m"
    r"|[-/]r1|think|reason|nemotron"
)
_GEMINI = re.compile(r"gemini-(\d+)")


def budget_of(reasoning: Reasoning) -> int | None:
    """Tokens of thought that are asked for; ``None`` where that is left to the model, 0 for none."""
    if reasoning.budget is not None:
        return None if reasoning.budget < 0 else reasoning.budget
    return None if reasoning.effort is None else BUDGETS[reasoning.effort]


def effort_of(reasoning: Reasoning) -> Effort | None:
    """The effort that is asked for; ``None`` where that is left to the model."""
    if reasoning.effort is not None:
        return reasoning.effort
    budget = reasoning.budget
    if budget is None or budget < 0:
        return None
    if budget == 0:
        return "none"
    return "low" if budget <= 2048 else "medium" if budget <= 16384 else "high"


def is_openais(model: str) -> bool:
    """Whether a model is one of OpenAI's that reason: they take no sampling parameters."""
    return _OPENAI.search(model.lower()) is not None


def takes_effort(model: str) -> bool:
    """Whether a model is known to reason: others answer an error where they are told how hard to think."""
    return is_openais(model) or _THINKS.search(model.lower()) is not None


def claude_version(model: str) -> tuple[int, int]:
    """The version in a Claude model's name (4.6 of ``claude-sonnet-4-6``); of a name without one, the newest.

    A date (``claude-sonnet-4-20250514``) is no minor version.
    """
    found = _CLAUDE.search(model.lower())
    if found is None:
        return (99, 0)
    return (int(found[1]), int(found[2] or 0))


def takes_levels(model: str) -> bool:
    """Whether a Gemini model is told to think by level (3 and later) and not by budget (2.5)."""
    found = _GEMINI.search(model.lower())
    return found is not None and int(found[1]) >= 3

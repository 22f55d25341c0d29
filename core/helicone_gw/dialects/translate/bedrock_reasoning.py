"""How much a model on Bedrock is to think: each family has words of its own. Anthropic's go another way altogether."""

from __future__ import annotations

import re
from typing import Any

from helicone_gw.dialects.translate.conversation import ConversationRequest, Effort
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.reasoning import budget_of, effort_of

_NOVA_2 = re.compile(r"amazon\.nova-2")
_EFFORT_FIELD = re.compile(r"gpt-oss|deepseek\.v3|qwen3|kimi|glm|minimax")
"""Models that take OpenAI's own ``reasoning_effort``."""
_THREE: dict[Effort, str] = {"minimal": "low", "low": "low", "medium": "medium"}


def write_reasoning(request: ConversationRequest, model: str, loss: Loss) -> dict[str, Any]:
    """How much to think, as members of ``additionalModelRequestFields``.

    A model that is not known to think, or not known to be told how much, makes it a loss.
    """
    reasoning = request.reasoning
    if reasoning is None:
        return {}
    effort, budget = effort_of(reasoning), budget_of(reasoning)
    nothing = effort == "none" or budget == 0
    if _NOVA_2.search(model):
        if nothing:
            return {"reasoningConfig": {"type": "disabled"}}
        level = _THREE.get(effort or "medium", "high")
        return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": level}}
    if _EFFORT_FIELD.search(model) and effort is not None:
        if nothing:
            loss.note("reasoning_effort")  # they cannot be told not to think
        return {"reasoning_effort": "low" if nothing else _THREE.get(effort, "high")}
    if not nothing and (effort is not None or budget is not None):
        loss.note("reasoning_effort")
    return {}

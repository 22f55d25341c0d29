"""How much a model on Bedrock is to think: each family has words of its own, and rules about what goes with them."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct, field

from helicone_gw.dialects.translate.base import Destination
from helicone_gw.dialects.translate.bedrock_messages import is_claude
from helicone_gw.dialects.translate.conversation import ConversationRequest, Effort
from helicone_gw.dialects.translate.egress_common import clamped
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.reasoning import LEAST_BUDGET, budget_of, claude_version, effort_of

ROOM = 4096
"""Tokens for the answer itself, where a budget of thought is asked for and no maximum."""
_ADAPTIVE = (4, 6)
"""First version of Claude that sets its budget by itself, told how much effort to make."""
_NOVA_2 = re.compile(r"amazon\.nova-2")
_EFFORT_FIELD = re.compile(r"gpt-oss|deepseek\.v3|qwen3|kimi|glm|minimax")
"""Models that take OpenAI's own ``reasoning_effort``."""
_THREE: dict[Effort, str] = {"minimal": "low", "low": "low", "medium": "medium"}


class Thought(Struct):
    """What a request says once thought is decided: limits that may have changed, and the model's own fields."""

    max_tokens: int | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    effort: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)


def write_reasoning(request: ConversationRequest, to: Destination, loss: Loss) -> Thought:
    """The limits of ``request`` and how much to think, in the words of the model's family.

    A model that is not known to think, or not known to be told how much, makes it a loss.
    """
    thought = Thought(
        max_tokens=request.max_tokens,
        temperature=clamped(request.temperature, 0.0, 1.0, "temperature", loss),
        top_p=request.top_p,
        top_k=request.top_k,
    )
    reasoning = request.reasoning
    if reasoning is None:
        return thought
    effort, budget = effort_of(reasoning), budget_of(reasoning)
    if effort == "none" or budget == 0:
        _think_not(thought, to.model, loss)
    elif is_claude(to.model):
        if claude_version(to.model) >= _ADAPTIVE:
            thought.fields["thinking"] = {"type": "adaptive"}
            thought.effort = None if effort is None else "low" if effort == "minimal" else effort
        else:
            _budget(thought, budget, to, loss)
    elif _NOVA_2.search(to.model):
        level = _THREE.get(effort or "medium", "high")
        thought.fields["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": level}
    elif _EFFORT_FIELD.search(to.model):
        if effort is not None:
            thought.fields["reasoning_effort"] = _THREE.get(effort, "high")
    elif effort is not None or budget is not None:
        loss.note("reasoning_effort")
    return thought


def _think_not(thought: Thought, model: str, loss: Loss) -> None:
    if _NOVA_2.search(model):
        thought.fields["reasoningConfig"] = {"type": "disabled"}
    elif _EFFORT_FIELD.search(model):
        loss.note("reasoning_effort")
        thought.fields["reasoning_effort"] = "low"
    # Claude does not think unless it is told to, and of the others nothing is known.


def _budget(thought: Thought, budget: int | None, to: Destination, loss: Loss) -> None:
    """Claude's budget: at least 1,024 tokens, less than the maximum, and with no sampling parameters beside it."""
    budget = max(budget or LEAST_BUDGET, LEAST_BUDGET)
    if thought.max_tokens is None:
        thought.max_tokens = budget + ROOM
        if to.max_output_tokens is not None and to.max_output_tokens > LEAST_BUDGET:
            thought.max_tokens = min(thought.max_tokens, to.max_output_tokens)
    if thought.max_tokens <= LEAST_BUDGET:
        loss.note("reasoning_effort")
        return
    thought.fields["thinking"] = {"type": "enabled", "budget_tokens": min(budget, thought.max_tokens - 1)}
    for name, harmless in (("temperature", 1.0), ("top_k", None)):
        value = getattr(thought, name)
        if value is not None and value != harmless:
            loss.note(name)
        setattr(thought, name, None)
    if thought.top_p is not None and thought.top_p < 0.95:
        loss.note("top_p")
        thought.top_p = None

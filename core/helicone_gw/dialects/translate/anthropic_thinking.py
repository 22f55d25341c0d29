"""How Anthropic's models are told to think: by a budget up to 4.5, by an effort from 4.6 on ("Adaptive thinking")."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from helicone_gw.dialects.translate.base import Destination
from helicone_gw.dialects.translate.conversation import ConversationRequest
from helicone_gw.dialects.translate.limits import bounded
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.reasoning import BUDGETS, LEAST_BUDGET, budget_of, claude_version, effort_of

DEFAULT_MAX_TOKENS = 4096
"""Anthropic wants ``max_tokens`` and has no default; this is what goes where neither client nor catalogue says one."""
THINKS = (3, 7)
ADAPTIVE = (4, 6)
XHIGH = (4, 7)


class Thought(Struct, frozen=True):
    """What a request says of thinking; ``mode`` is ``None`` where it does not think."""

    max_tokens: int
    mode: Literal["budget", "adaptive"] | None = None
    config: dict[str, Any] | None = None
    effort: str | None = None


def write_thinking(request: ConversationRequest, to: Destination, open_call_unsigned: bool, loss: Loss) -> Thought:
    """``thinking``, ``output_config.effort`` and the ``max_tokens`` that leave room for them.

    ``open_call_unsigned``: the last turn called a tool and has no signed thought, so that thinking by budget must wait.
    """
    version = claude_version(to.model)
    longest = bounded(request.max_tokens, to.max_output_tokens, loss) or to.max_output_tokens or DEFAULT_MAX_TOKENS
    reasoning = request.reasoning
    if reasoning is None:
        return Thought(longest)
    if budget_of(reasoning) == 0 or effort_of(reasoning) == "none":
        return Thought(longest, config={"type": "disabled"} if THINKS <= version < XHIGH else None)
    if version < THINKS:
        loss.note("reasoning")
        return Thought(longest)
    if version >= ADAPTIVE:
        effort = effort_of(reasoning)
        word = {"minimal": "low", "xhigh": "xhigh" if version >= XHIGH else "high"}.get(effort or "", effort)
        config: dict[str, Any] = {"type": "adaptive"}
        if reasoning.show is not None:
            config["display"] = "summarized" if reasoning.show else "omitted"
        return Thought(longest, "adaptive", config, word)
    if open_call_unsigned:
        loss.note("reasoning")
        return Thought(longest)
    budget = max(LEAST_BUDGET, budget_of(reasoning) or BUDGETS["medium"])
    if request.max_tokens is None:
        longest = max(longest, budget + DEFAULT_MAX_TOKENS)
        if to.max_output_tokens is not None:
            longest = min(longest, to.max_output_tokens)
    if budget >= longest:
        # The budget counts into max_tokens; something must be left for the answer.
        loss.note("reasoning")
        budget = longest // 2
    if budget < LEAST_BUDGET:
        return Thought(longest)
    return Thought(longest, "budget", {"type": "enabled", "budget_tokens": budget})

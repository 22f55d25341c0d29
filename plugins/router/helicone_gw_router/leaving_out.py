"""Leaving out: targets whose models are known not to be able to do what a request needs, and the note of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from helicone_gw_router.needs import NEEDS, needed

if TYPE_CHECKING:
    from helicone_gw import Exchange
    from helicone_gw_router.strategies import Choice

LEFT_OUT = "router.left_out"
"""The annotation that says which targets cannot serve a request, and why."""


def able_of(choices: Sequence[Choice], exchange: Exchange) -> list[Choice] | None:
    """Those of ``choices`` whose models are not known to lack what the request needs; the others are noted.

    ``None`` for all of them: where nothing is missing, and where it is missing everywhere that this caller may go. The
    request's body is looked at only where that could make a difference.
    """
    lacking: frozenset[str] = frozenset().union(*[choice.lacks for choice in choices])
    if not lacking or all(choice.lacks == lacking for choice in choices):
        return None
    needs = needed(exchange.request, NEEDS & lacking)
    if not needs:
        return None
    able = [choice for choice in choices if not choice.lacks & needs]
    if len(able) == len(choices) or not any(_permitted(choice, exchange) for choice in able):
        return None
    note(
        exchange,
        {
            str(choice.target): f"is known to lack {', '.join(sorted(choice.lacks & needs))}"
            for choice in choices
            if choice.lacks & needs
        },
    )
    return able


def _permitted(choice: Choice, exchange: Exchange) -> bool:
    permits, target = exchange.permits, choice.target
    return permits is None or (permits.allows_model(target.model) and permits.allows_provider(target.provider))


def unstuck(choices: list[Choice], exchange: Exchange) -> list[Choice]:
    """Those of ``choices`` that can be called, or all where none can; the others are noted."""
    left = [choice for choice in choices if not choice.stuck]
    if not left or len(left) == len(choices):
        return choices
    note(exchange, {str(choice.target): choice.stuck for choice in choices if choice.stuck})
    return left


def note(exchange: Exchange, left_out: Mapping[str, str]) -> None:
    """Note what was left out, and why, for the log."""
    if left_out:
        exchange.annotate(LEFT_OUT, {**exchange.annotations.get(LEFT_OUT, {}), **left_out})

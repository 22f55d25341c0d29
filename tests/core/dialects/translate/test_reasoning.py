"""Reasoning: efforts and budgets stand for one another, and models say by their names which they take."""

from __future__ import annotations

import pytest

from helicone_gw.dialects.translate.conversation import Reasoning
from helicone_gw.dialects.translate.reasoning import BUDGETS, budget_of, claude_version, effort_of, takes_levels


@pytest.mark.parametrize("effort", sorted(BUDGETS))
def test_an_effort_is_itself_and_a_budget(effort):
    assert effort_of(Reasoning(effort)) == effort
    assert budget_of(Reasoning(effort)) == BUDGETS[effort]


@pytest.mark.parametrize(
    ("budget", "effort", "tokens"),
    [
        (0, "none", 0),
        (1, "low", 1),
        (2048, "low", 2048),
        (2049, "medium", 2049),
        (16385, "high", 16385),
        (-1, None, None),
    ],
)
def test_a_budget_is_itself_and_an_effort(budget, effort, tokens):
    assert effort_of(Reasoning(budget=budget)) == effort
    assert budget_of(Reasoning(budget=budget)) == tokens


def test_budgets_of_efforts_are_those_efforts_again():
    for effort in ("none", "low", "medium", "high"):
        assert effort_of(Reasoning(budget=BUDGETS[effort])) == effort


@pytest.mark.parametrize(
    ("model", "version"),
    [
        ("claude-sonnet-4-20250514", (4, 0)),
        ("claude-opus-4-7", (4, 7)),
        ("claude-3-5-sonnet-20241022", (3, 5)),
        ("claude-3-opus-20240229", (3, 0)),
        ("anthropic/claude-sonnet-4.5", (4, 5)),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", (4, 5)),
        ("claude-haiku-4-5@20251001", (4, 5)),
        ("claude-opus-5", (5, 0)),
        ("claude-instant-1.2", (1, 2)),
        ("claude-of-the-future", (99, 0)),
        ("CLAUDE-OPUS-4-6", (4, 6)),
    ],
)
def test_versions_of_claude(model, version):
    assert claude_version(model) == version


@pytest.mark.parametrize(
    ("model", "levels"),
    [
        ("gemini-3-pro", True),
        ("gemini-3.5-flash", True),
        ("gemini-2.5-pro", False),
        ("models/gemini-10", True),
        ("gemma", False),
    ],
)
def test_who_thinks_by_level(model, levels):
    assert takes_levels(model) is levels

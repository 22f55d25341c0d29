"""The longest answers of models: what is asked for beyond them is lowered, which is told."""

from __future__ import annotations

import pytest

from helicone_gw.dialects.translate.limits import bounded, longest_answer
from helicone_gw.dialects.translate.loss import Loss


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("claude-3-haiku-20240307", 4096),
        ("claude-3-5-sonnet-20241022", 8192),
        ("claude-3-7-sonnet-latest", 64000),
        ("claude-opus-4-20250514", 32000),
        ("claude-sonnet-4-5", 64000),
        ("anthropic/claude-haiku-4.5", 64000),
        ("anthropic.claude-opus-4-7", 64000),
        ("claude-next", 64000),
        ("gpt-4o-mini-2024-07-18", 16384),
        ("openai/gpt-4.1-nano", 32768),
        ("o3-mini", 100000),
        ("gemini-2.0-flash", 8192),
        ("models/gemini-2.5-pro", 65536),
        ("mistral-large", None),
        ("solo1", None),
    ],
)
def test_models(model: str, tokens: int | None) -> None:
    assert longest_answer(model) == tokens


@pytest.mark.parametrize(
    ("asked", "longest", "given", "lost"),
    [(None, 10, None, ()), (5, None, 5, ()), (5, 10, 5, ()), (10, 10, 10, ()), (11, 10, 10, ("max_tokens",))],
)
def test_bounds(asked: int | None, longest: int | None, given: int | None, lost: tuple[str, ...]) -> None:
    loss = Loss()
    assert bounded(asked, longest, loss) == given
    assert loss.paths == lost

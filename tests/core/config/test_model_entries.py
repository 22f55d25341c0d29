"""The entries of the section models: what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from helicone_gw.config import ModelConfig


@pytest.mark.parametrize("price", [-1, "nan", "inf", True, "free"])
def test_prices_are_amounts(price: Any) -> None:
    with pytest.raises(ValidationError):
        ModelConfig.model_validate({"price": {"input_mtok": price}})


def test_what_a_model_is_for_and_can_do(load: Any) -> None:
    model = load("models: {m: {operations: [chat, images], capabilities: {tools: false}, max_output: 9}}").models["m"]
    assert (model.operations, model.max_output) == (("chat", "images"), 9)
    assert model.capabilities.model_dump(exclude_none=True) == {"tools": False}
    assert load("models: {m: {}}").models["m"].operations == ()


@pytest.mark.parametrize(
    ("text", "place", "why"),
    [
        ("models: {m: {operations: [chats]}}", "1:27: models.m.operations", "should be one of audio, audio/speech"),
        ("models: {m: {capabilities: {smell: true}}}", "1:29: models.m.capabilities", "smell"),
        ("models: {m: {max_output: 0}}", "1:26: models.m.max_output", "greater than or equal to 1"),
        ("providers: {groq: {operations: [talk]}}", "1:33: providers.groq.operations", "should be one of audio"),
    ],
)
def test_what_is_no_operation_or_capability(problems: Any, text: str, place: str, why: str) -> None:
    (line,) = problems(text)
    assert line.startswith(place)
    assert why in line

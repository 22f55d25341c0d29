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

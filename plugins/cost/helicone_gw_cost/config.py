"""The plugin's configuration: `CostConfig`, and prices as people write them (`PriceFields`, `PriceEntry`)."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field, model_validator

from helicone_gw import PluginConfig

Usd = Annotated[Decimal, Field(ge=0, allow_inf_nan=False, decimal_places=18, max_digits=30)]


class Tier(PluginConfig):
    """The price above a number of input tokens."""

    start: Annotated[int, Field(ge=0, description="Holds for prompts of more input tokens than this.")]
    price: Usd


class TieredUsd(PluginConfig):
    """A price that depends on the size of the whole prompt."""

    base: Usd
    tiers: Annotated[tuple[Tier, ...], Field(min_length=1)]


UsdOrTiers = Usd | TieredUsd


class PriceFields(PluginConfig):
    """What a model costs, in US dollars per million tokens (``_mtok``) or per thousand (``_kcount``).

    What is left out costs what it is part of: cached, written, audio and image input the input price, the one-hour
    cache the five-minute one, reasoning, audio and image output the output price. What is free has the price 0.
    """

    input_mtok: UsdOrTiers | None = None
    output_mtok: UsdOrTiers | None = None
    cache_read_mtok: UsdOrTiers | None = None
    cache_audio_read_mtok: UsdOrTiers | None = None
    cache_write_mtok: UsdOrTiers | None = None
    cache_write_1h_mtok: UsdOrTiers | None = None
    input_audio_mtok: UsdOrTiers | None = None
    output_audio_mtok: UsdOrTiers | None = None
    input_image_mtok: UsdOrTiers | None = None
    output_image_mtok: UsdOrTiers | None = None
    output_reasoning_mtok: UsdOrTiers | None = None
    web_searches_kcount: UsdOrTiers | None = None
    requests_kcount: UsdOrTiers | None = None

    @model_validator(mode="after")
    def _says_something(self) -> PriceFields:
        if not self.prices():
            raise ValueError("a price needs at least one of its fields, input_mtok for instance")
        return self

    def prices(self) -> dict[str, Decimal | TieredUsd]:
        """The fields that were given, by price key."""
        values = ((name, getattr(self, name)) for name in PriceFields.model_fields)
        return {name: value for name, value in values if value is not None}


class PriceEntry(PriceFields):
    """A price for every model whose name matches."""

    provider: Annotated[str, Field(description="Name of the provider, or a shell-style pattern.")] = "*"
    match: Annotated[str, Field(min_length=1, description='Shell-style pattern of the model: "gpt-4o*".')]
    service_tier: Annotated[
        str | None, Field(description="Only for replies of this service tier; left out: for all.")
    ] = None


class CostConfig(PluginConfig):
    """Configuration of ``cost``."""

    prices: Annotated[
        tuple[PriceEntry, ...],
        Field(description="Prices that win over every list; the first entry that matches."),
    ] = ()
    catalogue: Annotated[
        bool, Field(description="Whether models without a price here are looked up in genai-prices' data.")
    ] = True

"""Models as the configuration says them: who serves them, under which names, and what they cost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pydantic import Field

from helicone_gw.config.operation_names import OperationName
from helicone_gw.config.section import Section
from helicone_gw.config.values import Count, ModelName


def _price(description: str) -> Any:
    return Field(default=None, ge=0, allow_inf_nan=False, description=description)


class PriceConfig(Section):
    """Prices in USD: per million tokens (``_mtok``) or per thousand events (``_kcount``); left out is unknown."""

    input_mtok: Decimal | None = _price("Input tokens, USD per million.")
    output_mtok: Decimal | None = _price("Output tokens, USD per million.")
    cache_read_mtok: Decimal | None = _price("Input tokens read from the provider's cache, USD per million.")
    cache_write_mtok: Decimal | None = _price("Input tokens written to the provider's cache, USD per million.")
    cache_write_1h_mtok: Decimal | None = _price("Input tokens cached for an hour, USD per million.")
    input_audio_mtok: Decimal | None = _price("Audio input tokens, USD per million.")
    output_audio_mtok: Decimal | None = _price("Audio output tokens, USD per million.")
    cache_audio_read_mtok: Decimal | None = _price("Audio input tokens read from the cache, USD per million.")
    input_image_mtok: Decimal | None = _price("Image input tokens, USD per million.")
    output_image_mtok: Decimal | None = _price("Image output tokens, USD per million.")
    output_reasoning_mtok: Decimal | None = _price("Reasoning tokens, USD per million.")
    web_searches_kcount: Decimal | None = _price("Web searches made by the model, USD per thousand.")
    requests_kcount: Decimal | None = _price("Requests, whatever they contain, USD per thousand.")


class CapabilitiesConfig(Section):
    """What a model can do; left out is as the catalogue says, or unknown."""

    tools: bool | None = Field(default=None, description="Whether it calls functions.")
    structured_output: bool | None = Field(default=None, description="Whether it answers in JSON that fits a schema.")
    reasoning: bool | None = Field(default=None, description="Whether it thinks before it answers.")
    images: bool | None = Field(default=None, description="Whether it takes images.")
    audio: bool | None = Field(default=None, description="Whether it takes audio.")
    video: bool | None = Field(default=None, description="Whether it takes video.")
    documents: bool | None = Field(default=None, description="Whether it takes documents, such as PDF.")


def _without_default(schema: dict[str, Any]) -> None:
    del schema["default"]


class ModelConfig(Section):
    """A model that the catalogue does not have, or what is to be changed about one that it has."""

    providers: tuple[str, ...] = Field(default=(), description="Who serves it, in the order in which they are tried.")
    model: str = Field(
        default="",
        description="The name sent upstream; default: the entry's own name.",
        json_schema_extra=_without_default,
    )
    aliases: tuple[ModelName, ...] = Field(default=(), description="Other names under which clients may ask for it.")
    price: PriceConfig | None = Field(default=None, description="What it costs; goes before every other price list.")
    context: Count | None = Field(default=None, description="Size of its context window, in tokens.")
    max_output: Count | None = Field(default=None, description="The longest answer that it gives, in tokens.")
    operations: tuple[OperationName, ...] = Field(
        default=(),
        description="What it is for (chat, embeddings, ...), and what is translated to that; default: anything.",
    )
    capabilities: CapabilitiesConfig | None = Field(
        default=None, description="What it can do; goes before what the catalogue says."
    )

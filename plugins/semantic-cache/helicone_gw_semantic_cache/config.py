"""The plugin's configuration: `SemanticCacheConfig`, with `EmbeddingsConfig`, `RuleConfig` and `MeterConfig`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from helicone_gw import PluginConfig, PositiveSeconds, Seconds, Size
from helicone_gw_semantic_cache.guard import CHECKS, Check


def _no_switch(value: object) -> object:
    # pydantic takes true for 1, which in a file of this kind is a slip of the pen.
    if isinstance(value, bool):
        raise ValueError("should be a number, not true or false")
    return value


def _of_bytes(size: int) -> Size:
    return Size(size)


Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), BeforeValidator(_no_switch)]
Similarity = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False), BeforeValidator(_no_switch)]
Count = Annotated[int, Field(ge=1, le=1_000_000), BeforeValidator(_no_switch)]
Names = tuple[Annotated[str, Field(min_length=1)], ...]
Checks = Annotated[
    tuple[Check, ...],
    Field(description="What the lexical guard compares; two texts that differ in one of these share no answer."),
]


class EmbeddingsConfig(PluginConfig):
    """Where the vectors come from."""

    model: Annotated[str, Field(min_length=1)] = Field(
        default="text-embedding-3-small",
        description="The embedding model, as its provider, or a model string, names it.",
    )
    provider: str | None = Field(
        default=None, description="The provider to ask, with the gateway's key; default: where the model string leads."
    )
    dimensions: Annotated[int, Field(ge=1, le=8192), BeforeValidator(_no_switch)] | None = Field(
        default=None, description="Shorter vectors, where the model can; default: the model's own length."
    )
    timeout: PositiveSeconds = Field(
        default=0.3, description="Seconds that a request waits for its vector; later counts as a miss."
    )
    max_in_flight: Count = Field(default=32, description="Vectors asked for at once; further requests are misses.")


class RuleConfig(PluginConfig):
    """What is different for some models and routes; what is left out is as for all."""

    models: Names = Field(default=(), description="Model strings (shell-style patterns); none: all.")
    routes: Names = Field(default=(), description="Named routes (shell-style patterns); none: all, and no route.")
    enabled: bool | None = Field(default=None, description="Whether these requests use the cache.")
    threshold: Similarity | None = Field(default=None, description="Least cosine of two questions.")
    ttl: Seconds | None = Field(default=None, description="Seconds that an answer is used.")
    guard: Checks | None = None


class MeterConfig(PluginConfig):
    """How often hits are asked again, to see how often they are wrong."""

    share: Share = Field(default=0.01, description="Share of hits that is asked again of the provider.")
    same_answer: Similarity = Field(default=0.85, description="Least cosine of two answers that say the same.")
    max_wrong: Share = Field(
        default=0.05, description="Share of wrong hits beyond which a scope or a model's cache stops."
    )
    min_samples: Count = Field(default=5, description="Samples before which nothing is stopped.")
    stop_for: PositiveSeconds = Field(default=3600.0, description="Seconds that what was stopped stays so.")
    max_in_flight: Count = Field(default=4, description="Hits asked again at once; further ones are not sampled.")


class SemanticCacheConfig(PluginConfig):
    """Configuration of ``semantic-cache``."""

    enabled: bool = Field(default=False, description="Use the cache where no rule says otherwise.")
    serve: bool = Field(
        default=True, description="False: answer nothing, and measure on every would-be hit whether it were right."
    )
    embeddings: EmbeddingsConfig = Field(default_factory=EmbeddingsConfig)
    threshold: Similarity = Field(default=0.95, description="Least cosine of two questions that share an answer.")
    guard: Checks = CHECKS
    ttl: Seconds = Field(default=86_400.0, description="Seconds that an answer is used.")
    rules: tuple[RuleConfig, ...] = Field(default=(), description="The first whose models and routes fit.")
    users_apart: bool = Field(default=True, description="Whether users (Helicone-User-Id) share no answers.")
    ignore_headers: Names = Field(default=(), description="Further request headers that change no answer.")
    max_characters: Count = Field(default=2_000, description="Longest question; a longer one is not looked up.")
    max_request: Size = Field(default=_of_bytes(1 << 20), description="Largest request body that is looked at.")
    max_answer: Size = Field(default=_of_bytes(256 << 10), description="Largest answer that is kept.")
    max_scopes: Count = Field(default=1_000, description="Surroundings of questions that are kept apart, of a worker.")
    max_entries: Count = Field(default=10_000, description="Questions of one scope; the one used longest ago goes.")
    max_bytes: Size = Field(default=_of_bytes(256 << 20), description="Memory for vectors and answers, of a worker.")
    meter: MeterConfig = Field(default_factory=MeterConfig)

    @model_validator(mode="after")
    def _an_answer_fits(self) -> SemanticCacheConfig:
        if self.max_answer > self.max_bytes:
            raise ValueError("max_answer is larger than max_bytes")
        return self

"""The configuration as a whole, frozen and typed: `GatewayConfig`, with those of its sections that are small."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SerializeAsAny, field_validator

from helicone_gw.config.model_entries import ModelConfig
from helicone_gw.config.providers import ProviderConfig
from helicone_gw.config.section import Section
from helicone_gw.config.server import ServerConfig
from helicone_gw.config.store import StoreConfig
from helicone_gw.config.upstream import UpstreamConfig
from helicone_gw.config.values import (
    Count,
    DatabaseUrl,
    InstanceName,
    ModelName,
    PositiveSeconds,
    ProviderName,
)
from helicone_gw.plugin import FailureMode, PluginConfig


class LimitsConfig(Section):
    """How long and how often an exchange may try; times are in seconds."""

    max_attempts: Count = Field(default=24, le=1000, description="Upstream calls that one exchange may make in all.")
    deadline: PositiveSeconds = Field(
        default=900.0,
        description="Longest time to the first byte of the answer, in seconds; never bounds a running stream.",
    )
    connect_timeout: PositiveSeconds = Field(default=5.0, description="Longest wait for a connection, in seconds.")
    first_byte_timeout: PositiveSeconds = Field(
        default=600.0, description="Longest wait for the first byte of an upstream's answer, in seconds."
    )
    idle_timeout: PositiveSeconds = Field(
        default=300.0, description="Longest silence inside an upstream's answer, in seconds."
    )
    commit_timeout: PositiveSeconds = Field(
        default=5.0,
        description="How long a stream may be held back for its first real event, so that it can still fall back.",
    )
    on_disconnect: Literal["cancel", "drain"] = Field(
        default="cancel",
        description="When a client leaves: cancel the upstream call, or let it finish (for caches and exact usage).",
    )


class DatabaseConfig(Section):
    """The database, one for all plugins."""

    url: DatabaseUrl = Field(
        default="sqlite:///helicone.db",
        repr=False,
        description=(
            "sqlite:///relative.db (relative to the working directory), sqlite:////absolute.db or "
            "postgresql://user:password@host/database."
        ),
    )


class PluginSpec(Section):
    """One layer of the onion: an installed plugin, configured."""

    plugin: str = Field(min_length=1, description="Name of the plugin's entry point.")
    name: InstanceName = Field(description="Name of this instance; default: the plugin's.")
    config: SerializeAsAny[PluginConfig] = Field(description="The plugin's own configuration.")
    on_failure: FailureMode | None = Field(
        default=None, description="What an unexpected exception means; default: as the plugin says."
    )
    timeout: PositiveSeconds | None = Field(
        default=None, description="Longest time for each asynchronous hook, in seconds; default: as the plugin says."
    )


class TranslationConfig(Section):
    """Requests for providers of another dialect than the client's."""

    strict: bool = Field(
        default=False,
        description="Refuse with 400 what cannot be carried over whole, instead of dropping it with a notice; "
        "Helicone-Translation-Strict says otherwise for one request.",
    )


class PipelineConfig(Section):
    """What is measured of plugins."""

    timings: Literal["sampled", "always", "off"] = Field(
        default="sampled",
        description="Of which exchanges it is noted how long every hook took; those whose clients ask for "
        "Server-Timing are among them unless it is off.",
    )
    sample: Count = Field(
        default=100, le=1_000_000, description="One exchange of so many is timed where it is sampled."
    )

    @property
    def every(self) -> int:
        """One exchange of how many is timed; 0 for none."""
        return {"always": 1, "off": 0}.get(self.timings, self.sample)


class GatewayConfig(Section):
    """The whole configuration of a gateway; everything has a default."""

    server: ServerConfig = Field(default_factory=ServerConfig, description=ServerConfig.__doc__)
    limits: LimitsConfig = Field(default_factory=LimitsConfig, description=LimitsConfig.__doc__)
    upstream: UpstreamConfig = Field(
        default_factory=UpstreamConfig, description="How providers are reached: HTTP client, proxy, connections."
    )
    pipeline: PipelineConfig = Field(default_factory=PipelineConfig, description=PipelineConfig.__doc__)
    translation: TranslationConfig = Field(default_factory=TranslationConfig, description=TranslationConfig.__doc__)
    database: DatabaseConfig = Field(default_factory=DatabaseConfig, description=DatabaseConfig.__doc__)
    store: StoreConfig = Field(default_factory=StoreConfig, description=StoreConfig.__doc__)
    providers: dict[ProviderName, ProviderConfig] = Field(
        default_factory=dict, description="Providers by name: built-in ones (openai, anthropic, ...) and your own."
    )
    models: dict[ModelName, ModelConfig] = Field(
        default_factory=dict, description="Models by name: additions to the built-in catalogue, and changes of it."
    )
    plugins: tuple[PluginSpec, ...] = Field(
        default=(), description="Plugins, outermost first: requests go down the list, answers come up."
    )

    @field_validator("models")
    @classmethod
    def _own_name(cls, models: dict[str, ModelConfig]) -> dict[str, ModelConfig]:
        return {
            name: entry if entry.model else entry.model_copy(update={"model": name}) for name, entry in models.items()
        }

    @field_validator("plugins")
    @classmethod
    def _unique_names(cls, plugins: tuple[PluginSpec, ...]) -> tuple[PluginSpec, ...]:
        names = [spec.name for spec in plugins]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two plugin instances have the same name: {', '.join(twice)}")
        return plugins

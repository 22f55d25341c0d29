"""The configuration as frozen, typed objects: `GatewayConfig` and its sections."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ByteSize,
    Field,
    SerializeAsAny,
    ValidationInfo,
    field_validator,
    model_validator,
)

from helicone_gw.config.providers import ProviderConfig
from helicone_gw.config.section import Section
from helicone_gw.config.values import (
    AllowedTarget,
    Count,
    DatabaseUrl,
    Domain,
    InstanceName,
    ModelName,
    Port,
    PositiveSeconds,
    ProviderName,
    ProxyUrl,
    Seconds,
    Secret,
    Size,
    StoreUrl,
    no_empty_secret,
)
from helicone_gw.plugin import FailureMode, PluginConfig

Engine = Literal["hypercorn", "uvicorn", "granian"]
Transport = Literal["fast", "aiohttp", "httpx"]


class TlsConfig(Section):
    """The gateway's own certificate: it then speaks https, and HTTP/2 with clients that can."""

    certificate: str = Field(
        min_length=1,
        description="PEM file with the certificate and those between it and its root, from the working directory.",
    )
    key: str = Field(min_length=1, description="PEM file with the certificate's private key.")
    key_password: Secret | None = Field(default=None, description="What the key is encrypted with, if it is.")


class ServerConfig(Section):
    """Where and how the gateway listens."""

    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen on.")
    port: Port = Field(default=8787, description="TCP port to listen on; 0 takes any free one.")
    engine: Engine = Field(
        default="hypercorn",
        description="HTTP server that runs the gateway; uvicorn and granian need the extra of their name.",
    )
    tls: TlsConfig | None = Field(default=None, description=TlsConfig.__doc__)
    http3: bool = Field(
        default=False,
        description="Whether to speak HTTP/3 too, on the UDP port of that number; needs tls, hypercorn, the extra h3.",
    )
    workers: Count = Field(default=1, le=1024, description="Worker processes sharing the port.")
    max_body: Size = Field(
        default=ByteSize(64 << 20),
        description="Largest JSON body, in bytes or with a unit (64MiB). It is held in memory. Larger ones get a 413.",
    )
    max_upload: Size = Field(
        default=ByteSize(1 << 30),
        description="Largest body of any other kind, which streams through, in bytes or with a unit (1GiB).",
    )
    drain_timeout: Seconds = Field(
        default=30.0, description="How long running exchanges may still take once a stop was asked for, in seconds."
    )
    domains: tuple[Domain, ...] = Field(
        default=(),
        description="Domains of this gateway, beside helicone.ai: a host label under them selects a provider.",
    )
    allowed_targets: tuple[AllowedTarget, ...] = Field(
        default=(),
        description=(
            "Further hosts that Helicone-Target-URL and the like may name: a host, host:port, *.suffix, network "
            "(10.1.0.0/16) or origin. Private addresses must be listed here to be reached."
        ),
    )
    open: bool = Field(
        default=False, description="Start without any gateway key even though the address is not a loopback one."
    )

    @field_validator("http3")
    @classmethod
    def _http3_on_tls(cls, http3: bool, info: ValidationInfo) -> bool:
        if http3 and not info.data.get("tls"):
            raise ValueError("HTTP/3 needs a certificate: set server.tls")
        if http3 and info.data.get("engine") != "hypercorn":
            raise ValueError("HTTP/3 is spoken by the engine hypercorn alone")
        return http3


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


class UpstreamConfig(Section):
    """How providers are reached.

    Proxies, HTTP/2 and unix sockets (a base_url ``http+unix://%2Frun%2Fserver.sock/v1``) always go through httpx.
    """

    transport: Transport = Field(
        default="fast",
        description="HTTP client: the gateway's own, aiohttp (needs the extra of that name) or httpx.",
    )
    http2: bool = Field(
        default=False, description="Offer HTTP/2 to providers; calls then go through httpx, which costs much more CPU."
    )
    proxy: Annotated[ProxyUrl | None, BeforeValidator(no_empty_secret)] = Field(
        default=None,
        repr=False,
        description=(
            "Proxy for every call: http://, https://, socks5:// or socks5h:// (SOCKS needs the extra socks), host and "
            "port; default: as HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY of the environment say."
        ),
    )
    max_connections: Count = Field(
        default=1000,
        le=1_000_000,
        description="Connections to providers in all; a further call waits for one, up to its deadline.",
    )
    max_connections_per_host: Count | None = Field(
        default=None,
        le=1_000_000,
        description="Connections to one host; default: as many as there are in all. httpx has no such bound.",
    )
    max_idle_connections: Count = Field(
        default=200, le=1_000_000, description="Connections kept open for further calls, over all hosts."
    )
    keep_alive: Seconds = Field(
        default=30.0, description="How long an unused connection is kept open, in seconds; 0 uses each only once."
    )

    @model_validator(mode="after")
    def _what_httpx_lacks(self) -> UpstreamConfig:
        if self.transport == "httpx" and self.max_connections_per_host is not None:
            raise ValueError("max_connections_per_host has no effect with transport httpx; leave it out")
        return self


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


class StoreConfig(Section):
    """Counters and small shared values."""

    url: StoreUrl = Field(default="memory://", repr=False, description="memory:// keeps them in each worker.")


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


class GatewayConfig(Section):
    """The whole configuration of a gateway; everything has a default."""

    server: ServerConfig = Field(default_factory=ServerConfig, description=ServerConfig.__doc__)
    limits: LimitsConfig = Field(default_factory=LimitsConfig, description=LimitsConfig.__doc__)
    upstream: UpstreamConfig = Field(
        default_factory=UpstreamConfig, description="How providers are reached: HTTP client, proxy, connections."
    )
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

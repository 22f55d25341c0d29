"""Configuration: YAML to `GatewayConfig`, with every problem told at its place, and the JSON Schema for editors."""

from helicone_gw.config.find import PACKAGED, find_config
from helicone_gw.config.loader import load_config
from helicone_gw.config.model_entries import ModelConfig, PriceConfig
from helicone_gw.config.models import DatabaseConfig, GatewayConfig, LimitsConfig, PluginSpec
from helicone_gw.config.plugin_items import RESERVED_KEYS
from helicone_gw.config.providers import AuthStyle, DeploymentConfig, Dialect, KeyConfig, ProviderConfig
from helicone_gw.config.reserved import RESERVED_SEGMENTS
from helicone_gw.config.schema import json_schema, schema_text
from helicone_gw.config.server import Engine, ServerConfig, TlsConfig
from helicone_gw.config.store import StoreConfig, StoreTlsConfig
from helicone_gw.config.upstream import Transport, UpstreamConfig
from helicone_gw.config.values import PositiveSeconds, Seconds, Secret, Size

__all__ = [
    "PACKAGED",
    "RESERVED_KEYS",
    "RESERVED_SEGMENTS",
    "AuthStyle",
    "DatabaseConfig",
    "DeploymentConfig",
    "Dialect",
    "Engine",
    "GatewayConfig",
    "KeyConfig",
    "LimitsConfig",
    "ModelConfig",
    "PluginSpec",
    "PositiveSeconds",
    "PriceConfig",
    "ProviderConfig",
    "Seconds",
    "Secret",
    "ServerConfig",
    "Size",
    "StoreConfig",
    "StoreTlsConfig",
    "TlsConfig",
    "Transport",
    "UpstreamConfig",
    "find_config",
    "json_schema",
    "load_config",
    "schema_text",
]

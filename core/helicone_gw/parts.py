"""Parts: what a gateway is composed of, as its configuration says."""

from __future__ import annotations

from collections.abc import Sequence

from helicone_gw.clock import Clock
from helicone_gw.config import GatewayConfig
from helicone_gw.plugin import Plugin
from helicone_gw.store import Store, open_store
from helicone_gw.upstream.client import NetworkUpstream, Timeouts


def store(config: GatewayConfig, clock: Clock) -> Store:
    """The store of ``config``, connected to nothing yet. Raises `ConfigError` for an address that is none."""
    store = config.store
    return open_store(
        store.url,
        clock,
        namespace=store.namespace,
        deadline=store.deadline,
        retry_after=store.retry_after,
        max_connections=store.max_connections,
        ca_file=store.tls.ca,
        verify=store.tls.verify,
    )


def network(config: GatewayConfig) -> NetworkUpstream:
    """What calls providers, as ``config`` says."""
    limits, upstream = config.limits, config.upstream
    return NetworkUpstream(
        Timeouts(limits.connect_timeout, limits.first_byte_timeout, limits.idle_timeout),
        upstream.transport,
        proxy=upstream.proxy,
        http2=upstream.http2,
        max_connections=upstream.max_connections,
        max_connections_per_host=upstream.max_connections_per_host,
        max_idle_connections=upstream.max_idle_connections,
        keep_alive=upstream.keep_alive,
    )


def as_kept(config: GatewayConfig, plugins: Sequence[Plugin]) -> GatewayConfig:
    """The configuration with each plugin's block as the plugin kept it, without secrets that it dropped."""
    kept = {plugin.name: plugin.config for plugin in plugins}
    specs = tuple(
        spec.model_copy(update={"config": kept[spec.name]}) if spec.name in kept else spec for spec in config.plugins
    )
    return config.model_copy(update={"plugins": specs})

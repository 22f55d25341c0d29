"""Opening: from a ``backend:`` block to the backend that it means."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from helicone_gw import ConfigError, Gateway, GatewayConfig
from helicone_gw_cache.backends.base import Backend
from helicone_gw_cache.backends.config import BackendConfig
from helicone_gw_cache.backends.disk import DiskBackend
from helicone_gw_cache.backends.memory import MemoryBackend
from helicone_gw_cache.backends.redis import RedisBackend

NO_REDIS: Final = "backend.url: store:// needs a Redis in the section store:, which says memory://"


def lacks_redis(config: BackendConfig, gateway: GatewayConfig) -> bool:
    """Whether entries are to be in the gateway's store, and that is no Redis."""
    return config.url == "store://" and gateway.store.url.startswith("memory:")


def open_backend(config: BackendConfig, gateway: Gateway, name: str) -> Backend:
    """The backend of ``config``, not started, for the plugin instance ``name``.

    Raises `ConfigError` for ``store://`` where the gateway's store is not a Redis: entries in a store without a bound
    in bytes would take all memory.
    """
    bounds = {"max_entry": int(config.max_entry), "compress_above": int(config.compress_above)}
    if config.url == "memory://":
        return MemoryBackend(gateway.clock, max_bytes=config.room, **bounds)
    if config.path is not None:
        return DiskBackend(
            Path(config.path),
            gateway.clock,
            gateway.log.bind(plugin=name),
            max_bytes=config.room,
            sweep=config.sweep,
            deadline=config.deadline,
            **bounds,
        )
    if lacks_redis(config, gateway.config):
        raise ConfigError([NO_REDIS])
    return RedisBackend(gateway.store.scope(name), gateway.clock, **bounds)

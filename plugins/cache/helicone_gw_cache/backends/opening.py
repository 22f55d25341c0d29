"""Opening: from a ``backend:`` block to the backend that it means."""

from __future__ import annotations

from typing import Any

from helicone_gw import Clock, ConfigError, Store
from helicone_gw_cache.backends.base import Backend
from helicone_gw_cache.backends.config import BackendConfig
from helicone_gw_cache.backends.memory import MemoryBackend


def open_backend(config: BackendConfig, *, clock: Clock, store: Store, log: Any) -> Backend:
    """The backend of ``config``, not started. ``store`` is the gateway's, scoped to the plugin's name."""
    bounds = {"max_entry": int(config.max_entry), "compress_above": int(config.compress_above)}
    if config.url == "memory://":
        return MemoryBackend(clock, max_bytes=config.room, **bounds)
    raise ConfigError([f"backend.url: {config.url} is not here yet"])

"""Backends: where entries are kept, in memory, on disk or in the gateway's store."""

from helicone_gw_cache.backends.base import Backend, Counters, Unreachable
from helicone_gw_cache.backends.config import BackendConfig
from helicone_gw_cache.backends.opening import NO_REDIS, lacks_redis, open_backend
from helicone_gw_cache.backends.selection import Group, Selection, Stats

__all__ = [
    "NO_REDIS",
    "Backend",
    "BackendConfig",
    "Counters",
    "Group",
    "Selection",
    "Stats",
    "Unreachable",
    "lacks_redis",
    "open_backend",
]

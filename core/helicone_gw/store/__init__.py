"""Store: counters and small shared values, the same interface in memory and on Redis."""

from helicone_gw.clock import Clock
from helicone_gw.errors import ConfigError
from helicone_gw.store.address import Address, parse_address
from helicone_gw.store.base import Argument, Call, LocalKeys, Operation, Results, Scoped, Store, StoreStats
from helicone_gw.store.memory import MemoryStore

__all__ = [
    "Address",
    "Argument",
    "Call",
    "LocalKeys",
    "MemoryStore",
    "Operation",
    "Results",
    "Scoped",
    "Store",
    "StoreStats",
    "open_store",
    "parse_address",
]


def open_store(
    url: str,
    clock: Clock,
    *,
    namespace: str,
    deadline: float,
    retry_after: float,
    max_connections: int,
    ca_file: str | None = None,
    verify: bool = True,
) -> Store:
    """The store at ``url``; nothing is connected to yet. Times are in seconds.

    Raises `ConfigError` when the package for it is not installed, or ``ca_file`` cannot be read.
    """
    address = parse_address(url)
    if address.kind == "memory":
        return MemoryStore(clock)
    try:
        from helicone_gw.store.redis import open_redis
    except ModuleNotFoundError as problem:
        if problem.name != "redis":
            raise
        raise ConfigError(["store.url: needs the package 'redis': pip install 'helicone-gw[redis]'"]) from None
    return open_redis(
        address,
        clock,
        namespace=namespace,
        deadline=deadline,
        retry_after=retry_after,
        max_connections=max_connections,
        ca_file=ca_file,
        verify=verify,
    )

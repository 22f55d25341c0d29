"""Store: counters and small shared values, the same interface in memory and on Redis."""

from helicone_gw.store.base import Argument, Call, LocalKeys, Operation, Results, Scoped, Store
from helicone_gw.store.memory import MemoryStore

__all__ = [
    "Argument",
    "Call",
    "LocalKeys",
    "MemoryStore",
    "Operation",
    "Results",
    "Scoped",
    "Store",
]

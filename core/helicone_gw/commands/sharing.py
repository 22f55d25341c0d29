"""Sharing: what the worker processes of one gateway have in common, and what each of them has for itself."""

from __future__ import annotations

from typing import NamedTuple

from helicone_gw.config import GatewayConfig
from helicone_gw.database import Database
from helicone_gw.engines.http1.limits import Limits
from helicone_gw.store import parse_address


class Part(NamedTuple):
    """A part of the gateway, and what several workers mean for it."""

    name: str
    how: str


class Sharing(NamedTuple):
    """Which parts of the gateway its workers share, which each has for itself, and what is dangerous about that."""

    shared: tuple[Part, ...]
    own: tuple[Part, ...]
    warnings: tuple[str, ...]


def sharing(config: GatewayConfig, database: Database) -> Sharing:
    """What ``server.workers`` processes with this configuration share. Nothing is connected to."""
    workers = config.server.workers
    store = parse_address(config.store.url)
    shared = [Part("port", "the system spreads connections; a client that keeps one talks to one worker")]
    own = []
    warnings = []
    if database.in_memory:
        own.append(Part("database", f"{database.url}: nobody sees the rows of another"))
        warnings.append(f"server.workers is {workers} and database.url {database.url}: each worker logs for itself")
    elif database.sqlite:
        shared.append(Part("database", f"{database.url}: one writes at a time, so use PostgreSQL for many"))
    else:
        shared.append(Part("database", database.url))
    if store.kind == "memory":
        own.append(Part("store", "memory://: counters, limits and small values"))
        own.append(Part("health", "which targets rest is told through the store: each finds out for itself"))
        warnings.append(f"server.workers is {workers} and store.url memory://: each worker counts for itself")
    else:
        shared.append(Part("store", f"{store.shown}: counters, limits and small values"))
        shared.append(Part("health", "which targets rest is told through the store"))
    upstream = config.upstream
    per_host = upstream.max_connections_per_host
    bound = f"up to {upstream.max_connections:,}" + ("" if per_host is None else f", {per_host:,} to one host")
    own.append(Part("provider connections", f"{bound}; {upstream.max_idle_connections:,} of them idle"))
    if store.kind != "memory":
        each = " to each node" if store.kind == "cluster" else ""
        own.append(Part("store connections", f"up to {config.store.max_connections:,}{each}"))
    own.append(Part("client connections", f"up to {Limits().connections:,}"))
    own.append(Part("what plugins remember", "in memory: averages, budgets, keys as last read"))
    return Sharing(tuple(shared), tuple(own), tuple(warnings))

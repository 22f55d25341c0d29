"""What all tests have in common: real servers of other projects, and how much is tried."""

from __future__ import annotations

import gc
import os

import pytest
from hypothesis import HealthCheck, settings

from tests.fixtures.certificates import believe_one
from tests.fixtures.chromium import axe, chromium
from tests.fixtures.gathering import arrange, read_in_turn
from tests.fixtures.postgres_server import _shared_postgres, own_postgres_server, postgres_url
from tests.fixtures.redis_server import _shared_redis, own_redis_server, redis_server

__all__ = [
    "_shared_postgres",
    "_shared_redis",
    "axe",
    "chromium",
    "own_postgres_server",
    "own_redis_server",
    "postgres_url",
    "redis_server",
]

# Where a property says nothing of its own: a quarter of hypothesis' hundred examples, so that the gate is short enough.
# A busy machine makes examples slowly, and is slow to run one now and then; that is no fault of what it runs.
settings.register_profile("gate", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("full", max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("full" if os.environ.get("HELICONE_GW_FULL") else "gate")

believe_one()

# Fifteen thousand tests are a million objects that stay. The cyclic garbage collector need not walk them while they are
# made, nor whenever a test asks it to look for what that test left behind.
gc.disable()


def pytest_configure(config: pytest.Config) -> None:
    """Several processes read the files of tests in turn."""
    read_in_turn(config)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them run the same list."""
    arrange(items)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Every test is known: what there is now, stays."""
    gc.collect()
    gc.freeze()
    # Every test makes gateways that are garbage soon after: it is too early to look at every seven hundred objects.
    gc.set_threshold(20_000, 50, 100)
    gc.enable()

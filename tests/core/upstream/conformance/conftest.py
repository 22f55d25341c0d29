"""The client that a test of this suite is run with, and those that it makes with options of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from helicone_gw.config import Transport
from tests.core.upstream.conformance.clients import Client


@pytest.fixture
def over(request: pytest.FixtureRequest) -> tuple[Transport, str]:
    """Transport and way that the test is run with."""
    transport, way = request.param
    return transport, way


@pytest.fixture
async def make(over: tuple[Transport, str]) -> AsyncIterator[Callable[..., Client]]:
    """Make a client over the transport that the test is run with: ``make(idle=0.05, max_connections=1)``."""
    made: list[Client] = []

    def make(**options: Any) -> Client:
        made.append(Client(*over, **options))
        return made[-1]

    yield make
    for client in made:
        await client.aclose()


@pytest.fixture
async def client(make: Callable[..., Client]) -> Client:
    """The client under test, with its defaults."""
    return make()

"""The client under test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from helicone_gw.upstream.client import NetworkUpstream, Timeouts


@pytest.fixture
async def upstream() -> AsyncIterator[NetworkUpstream]:
    made = NetworkUpstream(Timeouts(connect=5, first_byte=5, idle=5))
    yield made
    await made.aclose()

"""Recorded-like replies and streams, one file each in ``fixtures``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from helicone_gw.sse import EventSplitter

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture
def recorded() -> Callable[[str], list[bytes]]:
    """The events of a recorded stream."""

    def events(name: str) -> list[bytes]:
        splitter = EventSplitter(1 << 20)
        found = splitter.feed((FIXTURES / name).read_bytes())
        assert splitter.flush() == b""
        return found

    return events


@pytest.fixture
def reply_body() -> Callable[[str], bytes]:
    """A recorded unary reply."""
    return lambda name: (FIXTURES / name).read_bytes()

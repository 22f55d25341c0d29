"""Background work that a test does itself, when it wants it done."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from helicone_gw_alerts import working
from tests.plugins.alerts.running import Mailbox


@pytest.fixture(autouse=True)
def long_naps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``poll_every`` be as long as a test says, although no lease would last."""
    monkeypatch.setattr(working, "LONGEST_NAP", 1e9)


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    """A real mail server."""
    box = Mailbox()
    await box.start()
    yield box
    await box.close()

"""Background work that a test does itself, when it wants it done."""

from __future__ import annotations

import pytest

from helicone_gw_alerts import working


@pytest.fixture(autouse=True)
def long_naps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``poll_every`` be as long as a test says, although no lease would last."""
    monkeypatch.setattr(working, "LONGEST_NAP", 1e9)

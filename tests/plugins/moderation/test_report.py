"""What is noted of an exchange has a bound, and what refuses is noted beyond it."""

from __future__ import annotations

import pytest

from helicone_gw.testing import GatewayFactory
from helicone_gw_moderation.plan import Action, Hit
from helicone_gw_moderation.report import MOST, ModerationCounters, Report


def hit(label: str, action: Action) -> Hit:
    return Hit(0, 1, "finder", "keyword", label, action, "flagged", late=2)


@pytest.mark.virtual_time
async def test_entries_are_bounded_and_refusals_are_told(gateway: GatewayFactory) -> None:
    async with gateway([]) as running:
        await running.chat()
    (exchange,), counters = running.exchanges, ModerationCounters()
    report = Report(exchange, counters)
    for number in range(MOST + 5):
        report.add(hit(f"word_{number}", "shadow"), "input")
    assert exchange.annotations["threat"] is False
    assert len(exchange.annotations["threats"]) == MOST
    assert (counters.shadowed, counters.late) == (MOST + 5, MOST + 5)
    report.add(hit("refused", "block"), "input")
    assert exchange.annotations["threat"] is True
    assert exchange.annotations["threats"][-1]["label"] == "refused"

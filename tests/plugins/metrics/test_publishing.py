"""Workers of one gateway: whichever is asked, the page is the sum of all, and no sum is less than an earlier one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from helicone_gw.shared import making_shared_directory
from helicone_gw.testing import GatewayFactory
from tests.plugins.metrics.reading import config, page

pytestmark = pytest.mark.virtual_time


@pytest.fixture
def shared() -> Iterator[Path]:
    with making_shared_directory() as path:
        yield path


async def test_the_sum_of_two_whichever_is_asked(gateway: GatewayFactory, shared: Path) -> None:
    async with gateway(["metrics"]) as one, gateway(["metrics"]) as other:
        for _ in range(3):
            await one.chat()
        await other.chat(stream=True)
        # One that was just asked has told the others; one that was not, tells them within a second or so.
        assert (await page(one)).sum("requests_total") >= 3
        await asyncio.sleep(2)
        for running in (one, other):
            shown = await page(running)
            assert shown.sum("requests_total") == 4
            assert shown.sum("request_duration_seconds_count") == 4
            assert shown.sum("requests_total", stream="true") == 1


async def test_what_was_shown_is_never_taken_back(gateway: GatewayFactory, shared: Path) -> None:
    async with gateway(["metrics"]) as one, gateway(["metrics"]) as other:
        for count in range(1, 5):
            await one.chat()
            assert (await page(one)).sum("requests_total") >= count
            assert (await page(other)).sum("requests_total") >= count


async def test_one_that_stopped_still_counts_and_its_gauges_do_not(gateway: GatewayFactory, shared: Path) -> None:
    async with gateway(["metrics"]) as one:
        await one.chat()
    async with gateway(config(latency_buckets=[1, 7])) as other:
        await other.chat()
        shown = await page(other)
    assert shown.sum("requests_total") == 2
    assert shown.sum("request_duration_seconds_count") == 2
    assert len(shown.of("exchanges_active")) == 1
    assert sorted(shown.of("request_duration_seconds_bucket", provider="openai")) != []


async def test_a_directory_that_is_gone_costs_the_sum_and_not_the_page(gateway: GatewayFactory, shared: Path) -> None:
    async with gateway(["metrics"]) as running:
        await running.chat()
        for path in sorted(shared.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        shown = await page(running)
        assert shown.sum("requests_total") == 1
        assert (await page(running)).sum("metrics_share_failures_total") > 0
    assert os.listdir(shared) == []

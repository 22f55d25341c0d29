"""``/metrics`` of the real program with several workers: exact whichever answers, whatever became of the others."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import httpx
from running import Start

from tests.plugins.metrics.reading import Page

REQUESTS = 24
CHAT = {"model": "demo", "messages": [{"role": "user", "content": "Hello!"}]}


async def test_the_sum_is_exact_and_survives_a_killed_worker(start: Start) -> None:
    config = {"server": {"workers": 2}, "providers": {"demo": {}}, "plugins": ["logging", "metrics"]}
    async with start(config) as program:
        for number in range(REQUESTS):
            async with httpx.AsyncClient(trust_env=False) as fresh:
                body = {**CHAT, "stream": number % 2 == 0}
                assert (await fresh.post(program.url + "/v1/chat/completions", json=body)).status_code == 200
        await _until_everybody_says(program.url, REQUESTS)
        victim = next(iter(_workers(program.process.pid)))
        await asyncio.sleep(5)  # a worker that dies younger than this is taken for one that cannot live
        os.kill(victim, signal.SIGKILL)
        async with asyncio.timeout(30):
            while victim in _workers(program.process.pid) or len(_workers(program.process.pid)) < 2:
                await asyncio.sleep(0.1)
        await _until_everybody_says(program.url, REQUESTS)
        program.signal(signal.SIGTERM)
        assert await program.ended() == 0


async def _until_everybody_says(url: str, count: int) -> None:
    """Ask over connections of their own, so that every worker is asked, until ten answers in a row are ``count``."""
    in_a_row = 0
    async with asyncio.timeout(60):
        while in_a_row < 10:
            try:
                async with httpx.AsyncClient(trust_env=False) as fresh:
                    page = Page((await fresh.get(url + "/metrics")).text)
            except httpx.TransportError:  # connections of a worker that was killed
                continue
            total = page.sum("requests_total")
            assert total <= count
            assert page.sum("request_duration_seconds_count") == total
            in_a_row = in_a_row + 1 if total == count else 0
            await asyncio.sleep(0.1)
    assert page.sum("requests_total", stream="true") == count / 2


def _workers(parent: int) -> set[int]:
    found = set()
    for task in Path(f"/proc/{parent}/task").iterdir():
        for child in (task / "children").read_text().split():
            try:
                command = Path(f"/proc/{child}/cmdline").read_bytes()
            except OSError:
                continue
            if b"resource_tracker" not in command:
                found.add(int(child))
    return found

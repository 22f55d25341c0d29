"""A gateway in a process of its own, and a handle on it."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

EXECUTABLE = Path(sys.executable).with_name("helicone-gw")
BODY = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}


@dataclass
class Program:
    """A running gateway."""

    process: asyncio.subprocess.Process
    url: str
    config: Path
    log: Path

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self, within: float = 30) -> int:
        async with asyncio.timeout(within):
            return await self.process.wait()

    def output(self) -> str:
        return self.log.read_text()


Start = Callable[..., AbstractAsyncContextManager[Program]]

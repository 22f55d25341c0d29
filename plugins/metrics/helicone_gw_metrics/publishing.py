"""Publishing: this worker's figures, left for the others every second, and the sum of all that is shown."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from helicone_gw_metrics.board import Board, decode, encode
from helicone_gw_metrics.snapshot import Snapshot, merged, snapshot
from helicone_gw_metrics.tally import Tally

if TYPE_CHECKING:
    from helicone_gw import Clock, Measurement

INTERVAL = 1.0
"""Seconds between two snapshots, at least: what a worker counted since is lost with it when it is killed."""

SHARE = 0.01
"""Most of a worker's time that snapshots may take; where they are large, they are fewer."""

_NUMBERS = itertools.count(1)
T = TypeVar("T")


async def _in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Run ``function`` in a thread, and be over when that is: who is cancelled leaves no writer behind."""
    running = asyncio.ensure_future(asyncio.to_thread(function, *arguments))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise


class Publishing:
    """What one worker shows. ``directory`` is where the workers leave their snapshots; ``None``: there are no others.

    ``figures`` gives the measurements of now.
    """

    def __init__(
        self,
        tally: Tally,
        figures: Callable[[], Iterable[Measurement]],
        directory: Path | None,
        clock: Clock,
        log: Any,
    ) -> None:
        self._tally = tally
        self._figures = figures
        self._clock = clock
        self._log = log
        self._pid = os.getpid()
        # A reload makes another one in the same process, while this one's last exchanges still end.
        self._number = next(_NUMBERS)
        self._board = None if directory is None else Board(directory, self.worker)
        self._one_at_a_time = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._left = b""
        self.failures = 0
        """How often a snapshot could not be left, or those of the others not be read."""

    @property
    def worker(self) -> str:
        """A name of this worker that no other of this machine has."""
        return f"{self._pid}-{self._number}"

    def mine(self) -> Snapshot:
        """The figures of this worker, a copy that is counted on no further."""
        return decode(encode(self._snapshot()))

    async def start(self) -> None:
        """Begin to leave snapshots, and tidy up after those that are gone."""
        if self._board is None:
            return
        try:
            await asyncio.to_thread(self._board.fold, self._tally.latency, self._tally.first_token)
        except OSError as problem:
            self._failed(problem)
        self._task = asyncio.create_task(self._run(self._board), name="metrics.publishing")

    async def stop(self) -> None:
        """Leave the last snapshot."""
        if self._task is not None and self._board is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None
            await self._leave(self._board, final=True)

    async def page(self, accept: str) -> tuple[bytes, str]:
        """The sum of all workers as the scraper prefers it, with its content type."""
        async with self._one_at_a_time:
            mine = self._snapshot()
            # The page may be long: other requests need not wait for it.
            return await _in_thread(self._page, encode(mine), accept)

    def _page(self, data: bytes, accept: str) -> tuple[bytes, str]:
        from helicone_gw_metrics.exposition import families, page  # the first scrape is early enough

        shown = [decode(data)]
        if self._board is not None:
            try:
                self._board.publish(data)
                shown += self._board.others()
            except OSError as problem:
                self._failed(problem)
        return page(families(merged(shown, self._tally.latency, self._tally.first_token)), accept)

    async def _run(self, board: Board) -> None:
        while True:
            began = self._clock.monotonic()
            await self._leave(board)
            await self._clock.sleep(max(INTERVAL, (self._clock.monotonic() - began) / SHARE))

    async def _leave(self, board: Board, *, final: bool = False) -> None:
        async with self._one_at_a_time:
            data = encode(self._snapshot(final=final))
            if data == self._left:
                return
            try:
                await _in_thread(board.publish, data)
                self._left = data
            except OSError as problem:
                self._failed(problem)

    def _snapshot(self, *, final: bool = False) -> Snapshot:
        return snapshot(self._tally, self._figures(), pid=self._pid, final=final)

    def _failed(self, problem: OSError) -> None:
        self.failures += 1
        if self.failures == 1:
            self._log.error("figures cannot be shared among workers", problem=problem.strerror)

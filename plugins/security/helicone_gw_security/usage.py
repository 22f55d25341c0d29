"""LastUsed: when keys were used last, kept in memory and written to the database now and then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

WRITE_EVERY = 60.0
"""Seconds between two writings: how late ``last_used_at`` may be, and what a gateway that is killed forgets."""

MAX_WAITING = 10_000
"""Keys whose times wait to be written; the use of further ones is not noted until then, and counted."""


class LastUsed:
    """The times of last uses that are not written yet. ``write`` takes them by key id, in epoch seconds."""

    def __init__(self, write: Callable[[Mapping[str, float]], Awaitable[None]]) -> None:
        self._write = write
        self._waiting: dict[str, float] = {}
        self.dropped = 0
        """Uses that found no room."""

    def __len__(self) -> int:
        return len(self._waiting)

    def used(self, id: str, now: float) -> None:
        """The key ``id`` was used at ``now``."""
        if id not in self._waiting and len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
            return
        self._waiting[id] = now

    async def flush(self) -> None:
        """Write what waits; what cannot be written waits on. Raises what ``write`` raises."""
        if not self._waiting:
            return
        taken, self._waiting = self._waiting, {}
        try:
            await self._write(taken)
        except BaseException:
            self._waiting = {**taken, **self._waiting}
            raise

"""Renewal: leases of exchanges under way are taken anew while they run, so that only a dead worker's end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from helicone_gw_ratelimit.concurrency import RENEW
from helicone_gw_ratelimit.rules import LEASES

if TYPE_CHECKING:
    from helicone_gw import Gateway, Store
    from helicone_gw_ratelimit.limits import Claim

BATCH: Final = 1000
"""Leases that are renewed in one round trip."""


class Renewal:
    """The leases of this worker. ``lease`` is their length in seconds; each is renewed three times within it."""

    def __init__(self, store: Store, gateway: Gateway, lease: float) -> None:
        self._store = store
        self._clock = gateway.clock
        self._log = gateway.log
        self._lease = lease
        self._held: dict[tuple[str, str], None] = {}
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._held)

    def began(self, claims: Sequence[Claim]) -> None:
        """An exchange with these claims is under way."""
        for claim in claims:
            if claim.kind is LEASES:
                self._held[claim.keys[0], str(claim.arguments[1])] = None
                if self._task is None:
                    self._task = asyncio.get_running_loop().create_task(self._renew(), name="ratelimit.renew")

    def ended(self, claims: Sequence[Claim]) -> None:
        """It is no longer."""
        for claim in claims:
            if claim.kind is LEASES:
                self._held.pop((claim.keys[0], str(claim.arguments[1])), None)

    async def close(self) -> None:
        """Stop renewing."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _renew(self) -> None:
        while True:
            await self._clock.sleep(self._lease / 3)
            held = list(self._held)
            for start in range(0, len(held), BATCH):
                by_key: dict[str, list[str]] = {}
                for key, holder in held[start : start + BATCH]:
                    if (key, holder) in self._held:
                        by_key.setdefault(key, []).append(holder)
                calls: list[Any] = [
                    (RENEW, (key,), (int(self._lease * 1_000_000), *holders)) for key, holders in by_key.items()
                ]
                try:
                    await self._store.run_all(calls)
                except Exception as problem:
                    # They end by themselves if the store stays away, and others are let in: better than nobody. And
                    # whatever it was, the leases of the exchanges to come are renewed.
                    self._log.warning("leases cannot be renewed", problem=type(problem).__name__)

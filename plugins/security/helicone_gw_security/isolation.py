"""Isolation: organisations that share a provider's key neither use nor see one another's objects there.

What a provider keeps belongs to its key, not to whoever called with it; so whose an object is, is remembered when it is
made (`Notes`, `Ledger`), and asked whenever a request names one (`Guard`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError

from helicone_gw import Measurement
from helicone_gw_security.cached import STALE_AFTER
from helicone_gw_security.guard import Guard
from helicone_gw_security.notes import KEEPS_NOTHING, Notes

if TYPE_CHECKING:
    from helicone_gw import Exchange, Gateway, Request
    from helicone_gw_security.ledger import Ledger
    from helicone_gw_security.objects_config import ObjectsConfig
    from helicone_gw_security.store import KeyTable


class Isolation:
    """Decides for one gateway; ``keys`` are asked which organisations there are."""

    def __init__(self, config: ObjectsConfig, ledger: Ledger, gateway: Gateway, keys: KeyTable) -> None:
        clock, catalogue = gateway.clock, gateway.catalogue

        def at(url: str) -> str:
            known = catalogue.provider_for_url(url)
            return known.name if known is not None else urlsplit(url).hostname or ""

        self._config = config
        self._clock = clock
        self._log = gateway.log
        self._keys = keys
        self._watching: asyncio.Task[None] | None = None
        self._ledger = ledger
        self.organizations: set[str] = set()
        self.notes = Notes(config, ledger, clock)
        self.guard = Guard(config, ledger, at)

    @property
    def active(self) -> bool:
        """Whether requests are looked at."""
        return len(self.organizations) > 1 if self._config.isolate == "auto" else self._config.isolate

    async def start(self, organizations: Iterable[str]) -> None:
        """Begin, with the ``organizations`` that the configuration names. Raises SQLAlchemy's errors."""
        self.organizations = {*organizations, *await self._keys.organizations()}
        self._ledger.start()
        if not self.active and self._config.isolate == "auto":
            self._watching = asyncio.create_task(self._watch_organizations(), name="security.organizations")

    async def close(self) -> None:
        """Write what is to be remembered, and stop."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
        await self._ledger.close()

    def measurements(self) -> Iterator[Measurement]:
        """What is counted here."""
        yield Measurement(
            "security_objects_refused",
            "counter",
            "Requests that named what is not their organisation's.",
            self.guard.refused,
        )
        lost = self._ledger.dropped + self._ledger.forgotten
        yield Measurement(
            "security_objects_forgotten", "counter", "Objects at providers whose owner is not remembered.", lost
        )

    async def _watch_organizations(self) -> None:
        # Once there are several, that stays so while the process lives.
        while not self.active:
            await self._clock.sleep(STALE_AFTER)
            try:
                self.organizations |= await self._keys.organizations()
            except (SQLAlchemyError, OSError, TimeoutError) as problem:
                self._log.warning("organisations cannot be read", problem=type(problem).__name__)

    def listing(self, exchange: Exchange) -> Request | None:
        """The request for a list as it is asked for where the list is filtered afterwards."""
        return self.notes.listing(exchange) if self.active else None

    def check(self, exchange: Exchange) -> Awaitable[None] | None:
        """Refuse what names another's object, as `Guard.check` does, and have shown what may be made.

        ``None``: that is done; else it is when this was awaited.
        """
        if self.active:
            self.notes.watch(exchange)
            return self.guard.check(exchange)
        if exchange.key is not None:
            # There may be a second organisation one day. Responses are soon forgotten anyhow, and many.
            operation = exchange.request.operation
            if operation not in KEEPS_NOTHING and operation != "responses":
                exchange.read_answer()
        return None

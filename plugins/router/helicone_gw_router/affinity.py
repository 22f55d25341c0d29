"""Affinity: ids that a target made (responses, files, batches, containers) lead back to the target and key that did."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from helicone_gw import Target

if TYPE_CHECKING:
    from helicone_gw import Store


class Memory:
    """Which target made which id, in the gateway's store: bounded there, and forgotten after ``ttl`` seconds."""

    def __init__(self, store: Store, name: str, ttl: float) -> None:
        self._store = store
        self._name = name
        self._ttl = ttl

    async def remember(self, owner: str, id: str, target: Target) -> None:
        """``target`` made ``id`` for ``owner``."""
        value = json.dumps([target.provider, target.base_url, target.deployment]).encode()
        await self._store.set(self._key(owner, id), value, self._ttl)

    async def find(self, owner: str, ids: list[str]) -> tuple[str, str | None, str | None] | None:
        """Provider, address and deployment of the target that made the first of ``ids`` that is known."""
        for each in ids:
            value = await self._store.get(self._key(owner, each))
            if value is not None:
                provider, base_url, deployment = json.loads(value)
                return provider, base_url, deployment
        return None

    def _key(self, owner: str, id: str) -> str:
        return f"{self._name}:made:{owner}:{id}"

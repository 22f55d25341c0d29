"""Texts: whole texts, of requests and of answers that are not streamed, looked through and changed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from helicone_gw_moderation.plan import Hit, Plan
from helicone_gw_moderation.vault import Vault
from helicone_gw_moderation.window import Window

IN_A_THREAD = 100_000
"""Characters from which on they are looked through beside the event loop."""


class Looked:
    """What was found in some texts, and those that change, with what they become."""

    __slots__ = ("changes", "hits")

    def __init__(self) -> None:
        self.hits: list[Hit] = []
        self.changes: dict[str, str] = {}

    def change(self, text: str) -> str:
        """What a text becomes."""
        return self.changes.get(text, text)

    @property
    def blocking(self) -> Hit | None:
        """The first hit for which all of it is refused."""
        return next((hit for hit in self.hits if hit.action == "block"), None)


async def look(plan: Plan, texts: Sequence[str], *, vault: Vault | None = None, values: Vault | None = None) -> Looked:
    """Look through ``texts``; see `Window` for the vaults."""
    if sum(map(len, texts)) < IN_A_THREAD:
        return _look(plan, texts, vault, values)
    return await asyncio.to_thread(_look, plan, texts, vault, values)


def _look(plan: Plan, texts: Sequence[str], vault: Vault | None, values: Vault | None) -> Looked:
    looked = Looked()
    for text in dict.fromkeys(texts):
        window = Window(plan, vault=vault, values=values)
        window.feed(text)
        looked.hits += window.decide(final=True)
        after = window.changed(0, text)
        if after != text:
            looked.changes[text] = after
    return looked

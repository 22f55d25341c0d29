"""Texts: whole texts, of requests and of answers that are not streamed, looked through and changed."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Sequence

from cachetools import LRUCache

from helicone_gw_moderation.plan import Hit, Plan
from helicone_gw_moderation.vault import Vault
from helicone_gw_moderation.window import Window

IN_A_THREAD = 100_000
"""Characters from which on they are looked through beside the event loop."""


class Looked:
    """What was found in some texts, and those that change, with what they become."""

    __slots__ = ("changes", "clean", "hits", "joined")

    def __init__(self) -> None:
        self.clean: list[str] = []
        """Texts in which nothing was found."""
        self.hits: list[Hit] = []
        self.changes: dict[str, str] = {}
        self.joined: dict[str, str] = {}
        """What parts became before they were looked through, for what was split over them."""

    def change(self, text: str) -> str:
        """What a text becomes."""
        text = self.joined.get(text, text)
        return self.changes.get(text, text)

    @property
    def changed(self) -> bool:
        """Whether any text becomes another."""
        return bool(self.changes or self.joined)

    @property
    def blocking(self) -> Hit | None:
        """The first hit for which all of it is refused."""
        return next((hit for hit in self.hits if hit.action == "block"), None)


class Clean:
    """Texts in which a plan found nothing, the last ``size`` of them, by their hashes.

    A conversation that goes on brings all that was said before along each time.
    """

    __slots__ = ("_known", "hits")

    def __init__(self, size: int) -> None:
        self.hits = 0
        self._known: LRUCache[bytes, bool] = LRUCache(size)

    def without(self, plan: Plan, texts: Sequence[str]) -> dict[str, bytes]:
        """Those of ``texts`` that are to be looked through, each once, with what to call it afterwards."""
        left: dict[str, bytes] = {}
        for text in texts:
            name = hashlib.sha256(b"%d:" % plan.number + text.encode("utf-8", "surrogatepass")).digest()
            if self._known.get(name):
                self.hits += 1
            else:
                left[text] = name
        return left

    def add(self, name: bytes) -> None:
        """Remember that nothing was found."""
        self._known[name] = True


async def look(
    plan: Plan,
    texts: Sequence[str],
    *,
    vault: Vault | None = None,
    values: Vault | None = None,
    clean: Clean | None = None,
) -> Looked:
    """Look through ``texts``, but for those known to be ``clean``; see `Window` for the vaults."""
    names = dict.fromkeys(texts, b"") if clean is None or vault is not None else clean.without(plan, texts)
    if sum(map(len, names)) < IN_A_THREAD:
        looked = look_now(plan, names, vault, values)
    else:
        looked = await asyncio.to_thread(look_now, plan, names, vault, values)
    if clean is not None:
        for text in looked.clean:
            if names[text]:
                clean.add(names[text])
    return looked


def look_now(plan: Plan, texts: Iterable[str], vault: Vault | None = None, values: Vault | None = None) -> Looked:
    """Look through ``texts`` on the spot; see `look`."""
    looked = Looked()
    for text in texts:
        window = Window(plan, vault=vault, values=values)
        window.feed(text)
        hits = window.decide(final=True)
        looked.hits += hits
        if not hits:
            looked.clean.append(text)
        after = window.changed(0, text)
        if after != text:
            looked.changes[text] = after
    return looked

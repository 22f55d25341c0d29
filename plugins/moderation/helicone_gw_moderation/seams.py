"""Seams: what is split over two parts or more that a model reads as one text, and found in none of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from helicone_gw_moderation.plan import Hit, Plan
from helicone_gw_moderation.texts import IN_A_THREAD, Clean, Looked
from helicone_gw_moderation.vault import Vault, mask

AROUND = 320
"""Characters to each side of a seam that are looked at."""


class _Piece(NamedTuple):
    """Of a part, what stands at ``at`` of it, and at ``start`` of all pieces together."""

    part: int
    at: int
    start: int
    text: str


class Run:
    """Parts that follow one another, with ``text``: what stands around their seams."""

    def __init__(self, parts: Sequence[str]) -> None:
        self._parts = parts
        self._pieces: list[_Piece] = []
        self.text = ""
        for number, part in enumerate(parts):
            if len(part) <= 2 * AROUND:
                self._add(number, 0, part)
            else:
                self._add(number, 0, part[:AROUND])
                self.text += "\n\n"
                self._add(number, len(part) - AROUND, part[-AROUND:])

    def _add(self, part: int, at: int, text: str) -> None:
        self._pieces.append(_Piece(part, at, len(self.text), text))
        self.text += text

    def look(self, plan: Plan, values: Vault) -> tuple[list[Hit], dict[str, str]]:
        """What is found across seams, and what parts become where it is redacted: the first has the placeholder."""
        hits: list[Hit] = []
        cuts: list[tuple[int, int, int, str]] = []
        done = 0
        for hit in plan.find(self.text):
            within = [each for each in self._pieces if each.start < hit.end and hit.start < each.start + len(each.text)]
            if len({each.part for each in within}) < 2:
                continue
            hits.append(hit)
            if hit.action != "redact" or hit.start < done:
                continue
            done = hit.end
            value = self.text[hit.start : hit.end]
            said = values.placeholder(hit.label, value) if hit.restore else mask(hit.label)
            for each in within:
                start, end = max(hit.start - each.start, 0), min(hit.end - each.start, len(each.text))
                cuts.append((each.part, each.at + start, each.at + end, said))
                said = ""
        changed: dict[str, str] = {}
        for number, part in enumerate(self._parts):
            own = [cut for cut in cuts if cut[0] == number]
            after = part
            for _, start, end, said in reversed(own):
                after = after[:start] + said + after[end:]
            if own:
                changed[part] = after
        return hits, changed


async def look_at_seams(plan: Plan, runs: Sequence[Sequence[str]], values: Vault, clean: Clean) -> Looked:
    """What is found across the seams of several, and what their parts become (`Looked.joined`)."""
    looked = Looked()
    if plan.local and runs:
        if sum(len(part) for run in runs for part in run) < IN_A_THREAD:
            _look(plan, runs, values, clean, looked)
        else:
            await asyncio.to_thread(_look, plan, runs, values, clean, looked)
    return looked


def _look(plan: Plan, runs: Sequence[Sequence[str]], values: Vault, clean: Clean, looked: Looked) -> None:
    for parts in runs:
        run = Run(parts)
        for name in clean.without(plan, [f"\0seams\0{run.text}"]).values():
            hits, changes = run.look(plan, values)
            looked.hits += hits
            looked.joined |= changes
            if not hits:
                clean.add(name)

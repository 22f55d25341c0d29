"""Trials: hits that are asked again in the background, how their answers compare, and what follows."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from helicone_gw import StashKey
from helicone_gw_semantic_cache.embedding import Embedder
from helicone_gw_semantic_cache.index import Index
from helicone_gw_semantic_cache.pending import Trial
from helicone_gw_semantic_cache.truth import Meter, Tally, Verdict, compare

if TYPE_CHECKING:
    from helicone_gw import Exchange, Gateway
    from helicone_gw_semantic_cache.config import MeterConfig

COMPARED = 8_000
"""Characters of an answer that are embedded for the comparison."""

PATIENCE = 10.0
"""Seconds that a comparison waits for its vectors: no client waits for it."""

REPORT_EVERY = 100
"""Samples between two lines in the log."""


class Trials:
    """Asks again, compares, and takes out what was wrong. ``name`` is the plugin's."""

    def __init__(
        self, gateway: Gateway, config: MeterConfig, name: str, index: Index, embedder: Embedder, meter: Meter
    ) -> None:
        self._gateway = gateway
        self._config = config
        self._name = name
        self._index = index
        self._embedder = embedder
        self.meter = meter
        self.marks: StashKey[Trial] = StashKey(f"{name}.trial")
        """Marks the exchange of a hit that is asked again."""
        self._in_flight = 0

    def ask_again(self, exchange: Exchange, trial: Trial) -> None:
        """Ask the provider what ``exchange`` was answered from the cache, through every layer and for no client."""
        counts = self.meter.counts
        if self._in_flight >= self._config.max_in_flight:
            counts.skipped += 1
            return
        name, hit = self._name, trial.hit

        def mark(copy: Exchange) -> None:
            copy.stash[self.marks] = trial
            copy.annotate(f"{name}.status", "asked again")
            copy.annotate(f"{name}.reference_id", hit)

        try:
            task = self._gateway.repeat(exchange, mark)
        except RuntimeError:
            counts.skipped += 1
            return
        counts.sampled += 1
        self._in_flight += 1
        task.add_done_callback(partial(self._asked, trial))

    def _asked(self, trial: Trial, task: asyncio.Task[None]) -> None:
        self._in_flight -= 1
        if not trial.judged:  # refused, failed, or answered by a layer outside
            self.judge(trial, "unknown")

    def begin(self, trial: Trial, served: str, fresh: str) -> None:
        """Compare two answers in the background."""
        trial.judged = True
        try:
            self._gateway.background.spawn(self._compare(trial, served, fresh), f"{self._name}: compare two answers")
        except RuntimeError:
            self.judge(trial, "unknown")

    async def _compare(self, trial: Trial, served: str, fresh: str) -> None:
        verdict = compare(served, fresh, None, self._config.same_answer)
        if verdict == "unknown":
            texts = [served[:COMPARED], fresh[:COMPARED]]
            vectors = await self._embedder(texts, "meter", timeout=PATIENCE)
            similarity = None if vectors is None else float(vectors[0] @ vectors[1])
            verdict = compare(served, fresh, similarity, self._config.same_answer)
        self.judge(trial, verdict)

    def judge(self, trial: Trial, verdict: Verdict) -> None:
        """Count a verdict, take a wrong answer out, and stop what is wrong too often."""
        trial.judged = True
        meter, now, log = self.meter, self._gateway.clock.now(), self._gateway.log
        meter.count(verdict)
        if verdict == "other":
            self._index.discard(trial.key, trial.entry)
            log.warning(
                "semantic cache: a hit was answered otherwise when it was asked again",
                plugin=self._name,
                request_id=trial.hit,
                reference_id=trial.entry.kept.request_id,
                model=trial.label,
                similarity=round(trial.similarity, 4),
            )
        for key, what in ((trial.key, "scope"), (trial.label, "model")):
            if meter.heard(key, verdict, now):
                log.error(
                    "semantic cache: too many wrong hits; it stops for a while",
                    plugin=self._name,
                    what=what,
                    model=trial.label,
                    seconds=self._config.stop_for,
                    **_told(meter.tally(key) or Tally()),
                )
        if verdict != "unknown" and meter.all.total % REPORT_EVERY == 0:
            log.info("semantic cache: hits that were asked again", plugin=self._name, **_told(meter.all))


def _told(tally: Tally) -> dict[str, float]:
    low, high = tally.interval
    return {
        "samples": tally.total,
        "wrong": tally.other,
        "rate": round(tally.other / tally.total, 4) if tally.total else 0.0,
        "from": round(low, 4),
        "to": round(high, 4),
    }

"""Judging: the judges of a plan asked side by side, within their time, their verdicts remembered."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence

from cachetools import TTLCache

from helicone_gw import Exchange, Gateway, GatewayError, PayloadTooLarge, Unavailable
from helicone_gw_moderation.config import ModerationConfig
from helicone_gw_moderation.judges import MOST_CATEGORIES, Judge, Verdict, make_judge
from helicone_gw_moderation.plan import STRENGTH, Check, Hit, Plan
from helicone_gw_moderation.report import ModerationCounters, Where, threat_unknown


class Judging:
    """All judges of the plugin. Verdicts are remembered by text, judge and organization; failures are not."""

    def __init__(self, config: ModerationConfig, gateway: Gateway, counters: ModerationCounters) -> None:
        self._configs = config.all_judges()
        self._judges: Mapping[str, Judge] = {
            name: make_judge(name, judge, gateway) for name, judge in self._configs.items()
        }
        self._policies = {name: judge.model_dump_json() for name, judge in self._configs.items()}
        self._counters = counters
        verdicts = config.verdicts
        self._known: TTLCache[bytes, Verdict] | None = None
        if verdicts.max_entries:
            self._known = TTLCache(verdicts.max_entries, verdicts.ttl, timer=gateway.clock.monotonic)

    def closed(self, plan: Plan) -> bool:
        """Whether nothing of ``plan`` may pass without a verdict."""
        return any(self._closed(check, name) for check in plan.judged for name in check.judges)

    def longest(self, plan: Plan) -> int:
        """Characters that its judges are given at once, at most."""
        return max(self._configs[name].max_characters for check in plan.judged for name in check.judges)

    def budget(self, plan: Plan) -> float:
        """Seconds after which every judge of ``plan`` has answered or failed."""
        return max(self._configs[name].timeout for check in plan.judged for name in check.judges) + 0.25

    async def judge(self, plan: Plan, texts: Sequence[str], where: Where, exchange: Exchange) -> list[Hit]:
        """What the judges of ``plan`` have against ``texts``.

        Raises `Unavailable` where one that fails closed, and whose verdict would be applied, has none.
        """
        text = "\n".join(texts)
        names = list(dict.fromkeys(name for check in plan.judged for name in check.judges))
        tasks = [asyncio.ensure_future(self._verdict(name, text, where, exchange)) for name in names]
        try:
            verdicts = dict(zip(names, await asyncio.gather(*tasks), strict=True))
        finally:
            for task in tasks:
                task.cancel()
        hits: list[Hit] = []
        for name, verdict in verdicts.items():
            checks = [check for check in plan.judged if name in check.judges]
            if verdict is None:
                if any(self._closed(check, name) for check in checks):
                    raise self._none(name, text, where)
            elif verdict.flagged:
                hits.append(_hit(name, verdict, max(checks, key=lambda check: STRENGTH[check.action])))
        return hits

    def _none(self, name: str, text: str, where: Where) -> GatewayError:
        config = self._configs[name]
        if where == "output" or len(pieces(text, config.max_characters)) <= config.max_questions:
            return no_verdict()
        return PayloadTooLarge(
            "The request has more text than the gateway's safety policy has judged.", code="too_long_to_moderate"
        )

    def _closed(self, check: Check, name: str) -> bool:
        return check.action == "block" and self._configs[name].on_failure == "closed"

    async def _verdict(self, name: str, text: str, where: Where, exchange: Exchange) -> Verdict | None:
        """The verdict on all of ``text``: of its pieces, side by side, one that flags is enough."""
        config = self._configs[name]
        asked = pieces(text, config.max_characters)
        whole = len(asked) <= config.max_questions
        found = await asyncio.gather(
            *[self._verdict_on(name, each, where, exchange) for each in asked[-config.max_questions :]]
        )
        flagged = [verdict for verdict in found if verdict is not None and verdict.flagged]
        if flagged:
            names = dict.fromkeys(name for verdict in flagged for name in verdict.categories)
            return Verdict(True, tuple(names)[:MOST_CATEGORIES])
        if not whole:
            threat_unknown(exchange)
            self._counters.no_verdict += 1
            exchange.annotate(f"moderation.judge.{name}.failed", "TooLong")
        return Verdict(False) if whole and None not in found else None

    async def _verdict_on(self, name: str, text: str, where: Where, exchange: Exchange) -> Verdict | None:
        if not text.strip():
            return Verdict(False)
        key = self._key(name, text, where, exchange)
        if self._known is not None and (known := self._known.get(key)) is not None:
            self._counters.remembered += 1
            return known
        self._counters.judged += 1
        try:
            verdict = await self._judges[name](text, where, exchange)
        except asyncio.CancelledError:
            threat_unknown(exchange)
            raise
        except Exception as problem:
            # Whatever goes wrong there is the absence of a verdict, and the judge's mode says what that means.
            threat_unknown(exchange)
            self._counters.no_verdict += 1
            exchange.annotate(f"moderation.judge.{name}.failed", type(problem).__name__)
            return None
        if self._known is not None:
            self._known[key] = verdict
        return verdict

    def _key(self, name: str, text: str, where: Where, exchange: Exchange) -> bytes:
        digest = hashlib.sha256()
        for part in (exchange.organization, name, self._policies[name], where, text):
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "big") + data)
        return digest.digest()


def pieces(text: str, size: int) -> list[str]:
    """``text`` in pieces of ``size`` characters, a tenth of which the next one has, too.

    They are counted from the beginning, so that a conversation that goes on keeps those that were judged before.
    """
    overlap = size // 10
    return [text[at : at + size] for at in range(0, max(len(text) - overlap, 1), size - overlap)]


def no_verdict() -> Unavailable:
    """What is said where a verdict is needed and not to be had."""
    return Unavailable(
        "The gateway's safety policy needs a verdict that is not to be had now. Please try again.",
        code="moderation_unavailable",
    )


def _hit(name: str, verdict: Verdict, check: Check) -> Hit:
    category = verdict.categories[0] if verdict.categories else "judged"
    label = ",".join(verdict.categories) or "judged"
    return Hit(0, 0, f"judge:{name}", category, label, check.action, check.code or "flagged")

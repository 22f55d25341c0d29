"""OpenAI's moderations as a judge (platform.openai.com, "Moderations"), and services of the same shape."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from helicone_gw import Asking, Exchange
from helicone_gw_moderation.config import ModerationsJudgeConfig
from helicone_gw_moderation.judges.base import JudgeFailed, Verdict, category_names


class _Result(Struct):
    flagged: bool
    categories: dict[str, Any] = {}
    category_scores: dict[str, Any] = {}


class _Answer(Struct):
    results: list[_Result]


_ANSWER = msgspec.json.Decoder(_Answer)


class ModerationsJudge:
    """Asks ``/moderations``, with the gateway's own key."""

    def __init__(self, name: str, config: ModerationsJudgeConfig, ask: Asking) -> None:
        self._config = config
        self._ask = ask
        self._purpose = f"moderation.judge.{name}"

    async def __call__(self, text: str, where: str, exchange: Exchange) -> Verdict:
        """See `Judge`."""
        config = self._config
        asked = await self._ask(
            "moderations",
            {"model": config.model, "input": text},
            purpose=self._purpose,
            timeout=config.timeout,
            provider=config.provider,
            exchange=exchange,
        )
        try:
            results = _ANSWER.decode(asked.body).results
        except msgspec.MsgspecError:
            results = []
        if not results:
            raise JudgeFailed("The answer has no results.")
        flagged, names = False, list[str]()
        for result in results:
            own = [name for name, said in result.categories.items() if said is True and name not in config.thresholds]
            scored = [
                name
                for name, least in config.thresholds.items()
                if isinstance(score := result.category_scores.get(name), int | float) and score >= least
            ]
            # With thresholds, the model's own opinion counts for the other categories only.
            flagged = flagged or bool(scored) or (result.flagged if not config.thresholds else bool(own))
            names += own + scored
        return Verdict(flagged, category_names(names) if flagged else ())

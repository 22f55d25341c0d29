"""A service of one's own as a judge: JSON there, JSON back; Presidio's analyzer among them."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import msgspec

from helicone_gw import Exchange
from helicone_gw_moderation.config import WebhookJudgeConfig
from helicone_gw_moderation.judges.base import JudgeFailed, Verdict, category_names

MAX_ANSWER = 1 << 20
"""Bytes of an answer that are read."""


class WebhookJudge:
    """Posts what is to be judged. Redirects are not followed."""

    def __init__(self, name: str, config: WebhookJudgeConfig, http: httpx.AsyncClient) -> None:
        self._name = name
        self._config = config
        self._http = http

    async def __call__(self, text: str, where: str, exchange: Exchange) -> Verdict:
        """See `Judge`."""
        async with asyncio.timeout(self._config.timeout):
            answer = await self._post(self._question(text, where, exchange))
        return self._presidio(answer) if self._config.format == "presidio" else _native(answer)

    def _question(self, text: str, where: str, exchange: Exchange) -> dict[str, Any]:
        if self._config.format == "presidio":
            return {"text": text, "language": self._config.language, "score_threshold": self._config.threshold}
        return {
            "judge": self._name,
            "text": text,
            "where": where,
            "request_id": exchange.request_id,
            "organization": exchange.organization,
        }

    async def _post(self, question: dict[str, Any]) -> Any:
        headers = {name: secret.get_secret_value() for name, secret in self._config.headers.items()}
        headers["content-type"] = "application/json"
        url = self._config.url.get_secret_value()
        content = msgspec.json.encode(question)
        async with self._http.stream("POST", url, content=content, headers=headers, follow_redirects=False) as response:
            if response.status_code != 200:
                raise JudgeFailed(f"The webhook answered {response.status_code}.")
            pieces, size = list[bytes](), 0
            async for piece in response.aiter_bytes():
                pieces.append(piece)
                size += len(piece)
                if size > MAX_ANSWER:
                    raise JudgeFailed("The webhook's answer is too large.")
        try:
            return msgspec.json.decode(b"".join(pieces))
        except (ValueError, RecursionError):
            raise JudgeFailed("The webhook's answer is not JSON.") from None

    def _presidio(self, answer: Any) -> Verdict:
        if not isinstance(answer, list) or not all(isinstance(each, dict) for each in answer):
            raise JudgeFailed("The webhook's answer is no list of Presidio's.")
        least = self._config.threshold
        found = [each for each in answer if isinstance(each.get("score"), int | float) and each["score"] >= least]
        return Verdict(bool(found), category_names(each.get("entity_type") for each in found))


def _native(answer: Any) -> Verdict:
    flagged = answer.get("flagged") if isinstance(answer, dict) else None
    if not isinstance(flagged, bool):
        raise JudgeFailed('The webhook\'s answer has no "flagged".')
    categories = answer.get("categories")
    return Verdict(flagged, category_names(categories) if flagged and isinstance(categories, list) else ())

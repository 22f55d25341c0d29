"""Any chat model as a judge, asked with a prompt of ``prompts.yaml``."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from msgspec import Struct
from ruamel.yaml import YAML

from helicone_gw import Asking, Exchange, wire_format
from helicone_gw_moderation.config import ChatJudgeConfig
from helicone_gw_moderation.judges.base import JudgeFailed, Verdict, category_names


class Template(Struct, frozen=True, forbid_unknown_fields=True):
    """One way to ask, as the data file says it."""

    user: str
    max_tokens: int
    system: str = ""
    flagged: str = ""
    clean: str = ""
    categories: str = ""
    number: str = ""
    policy: str = ""

    def messages(self, text: str, policy: str) -> list[dict[str, str]]:
        """What is sent. What is judged is put in last, so that nothing in it is taken for a place of ours."""
        system = self.system.replace("{policy}", policy or self.policy)
        messages = [{"role": "system", "content": system}] if system else []
        return [*messages, {"role": "user", "content": self.user.replace("{text}", text)}]

    def read(self, answer: str, threshold: float) -> Verdict:
        """The verdict in ``answer``. Raises `JudgeFailed` for what is none."""
        if self.number and (number := re.search(self.number, answer)):
            return Verdict(float(number[1]) >= threshold)
        if self.flagged and re.search(self.flagged, answer):
            found = re.findall(self.categories, answer) if self.categories else []
            return Verdict(True, category_names(found))
        if self.clean and re.search(self.clean, answer):
            return Verdict(False)
        raise JudgeFailed("The answer is no verdict.")


@cache
def templates() -> dict[str, Template]:
    """Those that there are, by name."""
    text = files("helicone_gw_moderation.judges").joinpath("prompts.yaml").read_text(encoding="utf-8")
    loaded: Any = YAML(typ="safe").load(text)
    return msgspec.convert(loaded, dict[str, Template])


class ChatJudge:
    """Asks a model, with the gateway's own key."""

    def __init__(self, name: str, config: ChatJudgeConfig, ask: Asking) -> None:
        self._config = config
        self._ask = ask
        self._template = templates()[config.prompt]
        self._purpose = f"moderation.judge.{name}"

    async def __call__(self, text: str, where: str, exchange: Exchange) -> Verdict:
        """See `Judge`."""
        config, template = self._config, self._template
        body = {
            "model": config.model,
            "messages": template.messages(text, config.policy),
            "temperature": 0,
            "max_tokens": template.max_tokens,
        }
        asked = await self._ask(
            "chat",
            body,
            purpose=self._purpose,
            timeout=config.timeout,
            provider=config.provider,
            exchange=exchange,
        )
        wire = wire_format("openai", "chat")
        assert wire is not None
        return template.read("\n".join(wire.reply_text(asked.body)), config.threshold)

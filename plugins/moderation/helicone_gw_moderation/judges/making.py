"""From a judge's configuration to the judge."""

from __future__ import annotations

from helicone_gw import Gateway
from helicone_gw_moderation.config import ChatJudgeConfig, ModerationsJudgeConfig, WebhookJudgeConfig
from helicone_gw_moderation.judges.base import Judge
from helicone_gw_moderation.judges.chat import ChatJudge
from helicone_gw_moderation.judges.moderations import ModerationsJudge
from helicone_gw_moderation.judges.webhook import WebhookJudge


def make_judge(
    name: str, config: ModerationsJudgeConfig | ChatJudgeConfig | WebhookJudgeConfig, gateway: Gateway
) -> Judge:
    """The judge of this name."""
    match config:
        case ModerationsJudgeConfig():
            return ModerationsJudge(name, config, gateway.ask)
        case ChatJudgeConfig():
            return ChatJudge(name, config, gateway.ask)
        case WebhookJudgeConfig():
            return WebhookJudge(name, config, gateway.http)

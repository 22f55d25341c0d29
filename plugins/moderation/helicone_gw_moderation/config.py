"""The configuration of ``moderation``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ByteSize, Field, SecretStr, model_validator

from helicone_gw import PluginConfig, PositiveSeconds, Size
from helicone_gw_moderation.detectors.config import DetectorsConfig
from helicone_gw_moderation.plan import Action, Code

Side = Literal["input", "output", "both"]
Failure = Literal["open", "closed"]
Prompt = Literal["llama-guard", "prompt-guard", "gpt-oss-safeguard", "yes-no"]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.\-]+$")]
Pattern = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1, le=10_000_000)]


class CheckConfig(PluginConfig):
    """What is looked for, where, and what is then done."""

    on: Side = Field(default="both", description="What the client sends, what the model answers, or both.")
    find: tuple[Name, ...] = Field(
        default=(), description="Categories (secret, pii, injection, jailbreak, keyword, ...), detectors or labels."
    )
    judges: tuple[Name, ...] = Field(default=(), description="Judges that are asked, by their names.")
    action: Action = Field(
        default="block",
        description="block: refuse; redact: a placeholder instead; flag: tell client and log; shadow: only the log.",
    )
    min_score: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.5, description="Least score of a finding; checksums make 1."
    )
    restore: bool = Field(default=True, description="Whether the answer has again what was redacted in the request.")
    code: Code | None = Field(
        default=None, description="Which refusal: threat (PROMPT_THREAT_DETECTED), flagged; by category if left out."
    )

    @model_validator(mode="after")
    def _checks_something(self) -> CheckConfig:
        if not self.find and not self.judges:
            raise ValueError("a check needs something to find, or judges")
        if self.judges and self.action == "redact":
            raise ValueError("judges say yes or no and cannot redact: let them block, flag or shadow")
        return self


class RuleConfig(PluginConfig):
    """Further checks for requests that fit one of each of the lists that are given."""

    models: tuple[Pattern, ...] = Field(default=(), description="Model strings as asked for, shell-style patterns.")
    routes: tuple[Pattern, ...] = Field(default=(), description="Named routes, shell-style patterns.")
    keys: tuple[Pattern, ...] = Field(default=(), description="Names of gateway keys, shell-style patterns.")
    checks: tuple[CheckConfig, ...] = Field(min_length=1)


class JudgeConfig(PluginConfig):
    """What all judges have."""

    timeout: PositiveSeconds = Field(default=2.0, description="Seconds that a verdict may take.")
    on_failure: Failure = Field(
        default="closed", description="When there is no verdict: open lets pass, closed refuses with 503."
    )
    max_characters: Count = Field(
        default=20_000, description="Of one question; a longer text is judged in pieces that overlap."
    )
    max_questions: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=10, description="Pieces of one text; a longer one has no verdict, unless its end is flagged."
    )


class ModerationsJudgeConfig(JudgeConfig):
    """OpenAI's moderations, or an API of the same shape."""

    kind: Literal["moderations"]
    model: str = "omni-moderation-latest"
    provider: str | None = Field(default="openai", description="Where to ask; none: where the model leads.")
    thresholds: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        default_factory=dict, description="Scores from which on a category counts, in place of the model's own opinion."
    )


class ChatJudgeConfig(JudgeConfig):
    """Any chat model as a classifier."""

    kind: Literal["chat"]
    model: str
    provider: str | None = Field(default=None, description="Where to ask; by default where the model leads.")
    prompt: Prompt = Field(default="yes-no", description="How it is asked, and its answer read.")
    policy: str = Field(
        default="", max_length=20_000, description="What is not allowed, in words, for prompts that take a policy."
    )
    threshold: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.5, description="Of models that answer with a number."
    )


class WebhookJudgeConfig(JudgeConfig):
    """A service of your own: it is sent JSON, and answers with JSON."""

    kind: Literal["webhook"]
    url: SecretStr = Field(description="Where it is; shown nowhere.")
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    format: Literal["native", "presidio"] = "native"
    language: str = Field(default="en", description="What Presidio is told of the language.")
    threshold: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.5, description="Least score of what Presidio finds."
    )


AnyJudge = Annotated[ModerationsJudgeConfig | ChatJudgeConfig | WebhookJudgeConfig, Field(discriminator="kind")]

MODERATIONS = "openai-moderations"
"""The judge that is there without any configuration."""


class HeadersConfig(PluginConfig):
    """What the client's own wishes stand for: checks that are added to those of the configuration."""

    moderations: tuple[CheckConfig, ...] = Field(
        default=(CheckConfig(on="input", judges=(MODERATIONS,), code="flagged"),),
        description="Helicone-Moderations-Enabled: true",
    )
    security: tuple[CheckConfig, ...] = Field(
        default=(CheckConfig(on="input", find=("injection", "jailbreak"), code="threat"),),
        description="Helicone-LLM-Security-Enabled (or Helicone-Prompt-Security-Enabled): true",
    )
    security_advanced: tuple[CheckConfig, ...] = Field(
        default=(CheckConfig(on="input", find=("injection", "jailbreak"), min_score=0.3, code="threat"),),
        description="Helicone-LLM-Security-Advanced: true, beside the former: judges belong here",
    )
    pii: tuple[CheckConfig, ...] = Field(
        default=(CheckConfig(on="both", find=("pii",), action="redact"),),
        description="Helicone-Peyeeye-Enabled: true",
    )


class StreamConfig(PluginConfig):
    """How long streams are held back, so that what is split over their events is found before it leaves."""

    hold: Annotated[float, Field(ge=0, le=60)] = Field(
        default=0.5,
        description="Seconds after which text leaves although more may belong to it, but for a last word that looks "
        "like a key, an address or a number.",
    )
    whole: bool = Field(default=False, description="Hold every checked answer until its end, however long it takes.")
    max_held: Size = Field(
        default=ByteSize(4 << 20), description="Of the events of one stream; then the text is decided as it stands."
    )
    judge_every: Count = Field(default=1000, description="Characters of an answer after which judges are asked again.")


class VerdictsConfig(PluginConfig):
    """Verdicts of judges that are remembered."""

    max_entries: Annotated[int, Field(ge=0, le=1_000_000)] = Field(default=10_000, description="0: none.")
    ttl: PositiveSeconds = 3600.0


class ModerationConfig(PluginConfig):
    """Configuration of ``moderation``."""

    checks: tuple[CheckConfig, ...] = Field(default=(), description="For every request.")
    rules: tuple[RuleConfig, ...] = Field(default=(), description="Further checks; those of all rules that fit count.")
    headers: HeadersConfig = Field(default_factory=HeadersConfig)
    detectors: DetectorsConfig = Field(default_factory=DetectorsConfig, description="Rules that are looked for.")
    judges: dict[Name, AnyJudge] = Field(default_factory=dict, description="Judges by name.")
    verdicts: VerdictsConfig = Field(default_factory=VerdictsConfig)
    stream: StreamConfig = Field(default_factory=StreamConfig)
    max_characters: Count = Field(
        default=4_000_000, description="Of a request that is looked through; a longer one is refused if it would be."
    )
    remembered: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=10_000, description="Texts in which nothing was found, by hash, that are not looked through again."
    )
    unread: Literal["pass", "refuse"] = Field(
        default="pass",
        description="Requests that cannot be looked through, where something would be refused or redacted.",
    )
    max_redacted: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=1000, description="Values of one request that its answer can have again; more are redacted for good."
    )

    @model_validator(mode="after")
    def _judges_exist(self) -> ModerationConfig:
        known = {*self.judges, MODERATIONS}
        for judge in (judge for check in self.all_checks() for judge in check.judges):
            if judge not in known:
                raise ValueError(f"there is no judge {judge!r}; those that there are: {', '.join(sorted(known))}")
        return self

    @property
    def asks_for_nothing(self) -> bool:
        """Whether there is a check only where a client asks for one, and all rules are those that the plugin has."""
        own = self.checks or self.rules or self.headers != HeadersConfig() or self.detectors != DetectorsConfig()
        return not own

    def all_checks(self) -> list[CheckConfig]:
        """Every check, whoever asks for it."""
        headers = self.headers
        checks = [*self.checks, *(check for rule in self.rules for check in rule.checks)]
        return [*checks, *headers.moderations, *headers.security, *headers.security_advanced, *headers.pii]

    def all_judges(self) -> dict[str, ModerationsJudgeConfig | ChatJudgeConfig | WebhookJudgeConfig]:
        """Every judge by name, the one of OpenAI's included."""
        return {MODERATIONS: ModerationsJudgeConfig(kind="moderations"), **self.judges}

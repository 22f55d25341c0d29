"""The plugin's configuration: `RouterConfig`, with named routes, rules and their conditions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from helicone_gw import BreakerPolicy, PluginConfig, PositiveSeconds
from helicone_gw_router.conditions import Moment, parse_days, parse_time
from helicone_gw_router.needs import Need

Strategy = Literal["cheapest", "priority", "weighted", "latency", "least_busy", "usage", "hash", "canary"]
Name = Annotated[str, Field(min_length=1, max_length=200)]


def _no_switch(value: object) -> object:
    # pydantic takes true for 1, which in a file of this kind is a slip of the pen.
    if isinstance(value, bool):
        raise ValueError("should be a number, not true or false")
    return value


def _time(text: str) -> str:
    parse_time(text)
    return text


def _days(text: str) -> str:
    parse_days(text)
    return text


Number = Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(_no_switch)]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False), BeforeValidator(_no_switch)]
Tokens = Annotated[int, Field(ge=0), BeforeValidator(_no_switch)]
Count = Annotated[int, Field(ge=1), BeforeValidator(_no_switch)]


class TimeConfig(PluginConfig):
    """A part of the day, and of the week."""

    start: Annotated[str, AfterValidator(_time)] = Field(
        default="00:00", alias="from", description='Beginning: "08:00".'
    )
    end: Annotated[str, AfterValidator(_time)] = Field(
        default="24:00", alias="to", description="End; before the beginning: on the next day."
    )
    days: Annotated[str, AfterValidator(_days)] = Field(default="mon-sun", description='Days: "mon-fri", "sat,sun".')
    zone: str = Field(default="UTC", description="Time zone, as in Europe/Zurich.")

    @model_validator(mode="after")
    def _zone_exists(self) -> TimeConfig:
        Moment(self.start, self.end, self.days, self.zone)
        return self


class When(PluginConfig):
    """Conditions, all of which must hold. Texts are shell-style patterns."""

    model: Name | None = Field(default=None, description="The model string as asked.")
    headers: dict[Name, str] = Field(default_factory=dict, description="Headers of the request.")
    properties: dict[Name, str] = Field(default_factory=dict, description="Helicone-Property-*.")
    user: str | None = Field(default=None, description="Helicone-User-Id, or the body's user.")
    key: str | None = Field(default=None, description="Name of the gateway key.")
    body: dict[Name, bool | int | float | str] = Field(
        default_factory=dict, description="Fields of the JSON body by path (response_format.type)."
    )
    needs: tuple[Need, ...] = Field(
        default=(), description="What the request needs of a model: tools, images, audio, ..., all of it."
    )
    min_tokens: Tokens | None = Field(default=None, description="The prompt has at least so many tokens (estimated).")
    max_tokens: Tokens | None = Field(default=None, description="The prompt has at most so many tokens (estimated).")
    stream: bool | None = Field(default=None, description="Whether the answer is to be streamed.")
    time: TimeConfig | None = Field(default=None, description="When it is asked.")


class TargetConfig(PluginConfig):
    """One choice of a route."""

    model: Name = Field(description="A model string: gpt-4o, gpt-4o/azure/east, openai/gpt-4o.")
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(_no_switch)] = Field(
        default=1.0, description="Its part of the traffic, relative to the others (weighted, hash, least_busy)."
    )
    percent: Percent | None = Field(default=None, description="Its part of the traffic in percent (canary).")
    priority: Number | None = Field(default=None, description="Lower ones go first (priority, cheapest).")
    when: When | None = Field(default=None, description="It is a choice only where this holds.")


class HedgeConfig(PluginConfig):
    """When a second target is asked beside a slow first one."""

    percentile: Annotated[float, Field(ge=50, lt=100, allow_inf_nan=False), BeforeValidator(_no_switch)] | None = Field(
        default=None, description="After that percentile of the first target's recent times to first byte."
    )
    after: PositiveSeconds | None = Field(
        default=None, description="After so many seconds; with percentile: while too few times are known."
    )

    @model_validator(mode="after")
    def _says_when(self) -> HedgeConfig:
        if self.percentile is None and self.after is None:
            raise ValueError("needs percentile or after")
        return self


class RouteConfig(PluginConfig):
    """A named route."""

    targets: Annotated[tuple[Name | TargetConfig, ...], Field(min_length=1, description="Its choices, in order.")]
    strategy: Strategy | None = Field(default=None, description="How one is chosen; default: the router's.")
    hedge: HedgeConfig | None = Field(default=None, description="Whether a second target is asked beside a slow one.")
    hash_on: Name = Field(
        default="session",
        description="What hash goes by: session, user, key, prompt, header:<name> or property:<name>.",
    )

    @model_validator(mode="after")
    def _shares(self) -> RouteConfig:
        given = [target.percent for target in self.targets if isinstance(target, TargetConfig)]
        percents = [percent for percent in given if percent is not None]
        if sum(percents) > 100:
            raise ValueError(f"the targets' percent add up to {sum(percents):g}, which is more than 100")
        if percents and self.strategy != "canary":
            raise ValueError("percent has a meaning with strategy canary alone; use weight")
        return self


class RuleConfig(PluginConfig):
    """A condition that leads to a named route."""

    when: When = Field(description="When it holds.")
    route: Name = Field(description="The route that is taken then.")


class HealthConfig(PluginConfig):
    """When a target that fails is left alone, and for how long; times in seconds."""

    failures: Count = Field(default=5, description="Failures in a row after which it is.")
    error_rate: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = Field(
        default=0.5, description="Share of failures in the window at which it is."
    )
    window: PositiveSeconds = Field(default=30.0, description="The window.")
    min_outcomes: Count = Field(default=20, description="Outcomes that the window must have.")
    rest: PositiveSeconds = Field(default=10.0, description="Its first rest; each failed probe doubles it.")
    max_rest: PositiveSeconds = Field(default=300.0, description="Its longest rest, also where Retry-After says more.")
    key_rest: PositiveSeconds = Field(default=300.0, description="Rest of a key that was refused.")

    def policy(self) -> BreakerPolicy:
        """As the core's health has it."""
        return BreakerPolicy(**self.model_dump())


class RouterConfig(PluginConfig):
    """Configuration of ``router``."""

    strategy: Strategy = Field(default="cheapest", description="How targets are ordered where a route does not say.")
    priorities: dict[Name, Number] = Field(
        default_factory=lambda: {"anthropic": 3.0, "openai": 3.0, "openrouter": 10.0},
        description="Providers' priorities, lower ones first; 4 where nothing is said. Before the price.",
    )
    routes: dict[Name, RouteConfig] = Field(
        default_factory=dict, description="Named routes: a model of that name, or the path /router/{name}/v1/..."
    )
    rules: tuple[RuleConfig, ...] = Field(
        default=(), description="Conditions that lead to named routes; the first that holds."
    )
    health: HealthConfig = Field(default_factory=HealthConfig, description="When targets are left alone.")
    remember: PositiveSeconds = Field(
        default=30 * 86_400.0, description="How long ids made by a target lead back to it, in seconds."
    )
    catalogue: bool = Field(default=True, description="Whether models are looked up in genai-prices' data.")

    @model_validator(mode="after")
    def _routes_exist(self) -> RouterConfig:
        for rule in self.rules:
            if rule.route not in self.routes:
                raise ValueError(f"a rule leads to route {rule.route!r}, which does not exist")
        for name in self.routes:
            if "," in name or name.startswith("!"):
                raise ValueError(f"the name of route {name!r} reads as a list of models")
        return self

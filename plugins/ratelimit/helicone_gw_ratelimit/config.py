"""The plugin's configuration: `RatelimitConfig`, with `LimitConfig` for each limit that is always in force."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from helicone_gw import PluginConfig, PositiveSeconds
from helicone_gw_ratelimit.budget_config import BudgetConfig
from helicone_gw_ratelimit.for_config import Count, ForConfig, RuleName, no_switch
from helicone_gw_ratelimit.policy import GLOBAL, Algorithm, is_name, parse_policy
from helicone_gw_ratelimit.queue_config import QueueConfig


def _policy(text: str) -> str:
    try:
        parse_policy(text)
    except ValueError as problem:
        raise ValueError(f"not a policy: {problem}") from None
    return text


def _policy_or_name(text: str) -> str:
    return text if is_name(text) else _policy(text)


PolicyText = Annotated[str, AfterValidator(_policy)]
PolicyOrName = Annotated[str, AfterValidator(_policy_or_name)]
Segment = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,128}$"), AfterValidator(str.lower)]


class LimitConfig(ForConfig):
    """One limit, in force for every request that it is for."""

    name: RuleName | None = Field(
        default=None, description="For counters, logs and the store; default: made of what the limit says."
    )
    policy: PolicyOrName | None = Field(
        default=None, description='How much per time: "100;w=60;u=request;s=user", or the name of one of `policies`.'
    )
    concurrency: Count | None = Field(default=None, description="How many requests may be under way at once.")
    segment: Segment = Field(
        default=GLOBAL,
        description="Whom `concurrency` is counted by: global, user, key, owner, or a property's name.",
    )
    algorithm: Algorithm | None = Field(default=None, description="As for all policies, if nothing is said.")
    queue: QueueConfig | None = Field(default=None, description="Wait for a while instead of being refused at once.")

    @model_validator(mode="after")
    def _one_thing(self) -> LimitConfig:
        if (self.policy is None) == (self.concurrency is None):
            raise ValueError("a limit has either a policy or a concurrency")
        if self.policy is not None and self.segment != GLOBAL:
            raise ValueError("a policy names its segment itself: 100;w=60;s=user")
        if self.concurrency is not None and self.algorithm is not None:
            raise ValueError("an algorithm is for policies")
        return self


class RatelimitConfig(PluginConfig):
    """Configuration of ``ratelimit``."""

    policies: dict[RuleName, PolicyText] = Field(
        default_factory=dict, description="Policies by name, for limits, and for clients that name one in the header."
    )
    limits: tuple[LimitConfig, ...] = Field(
        default=(), description="Limits that are always in force; all that are for a request have to admit it."
    )
    budgets: dict[RuleName, BudgetConfig] = Field(default_factory=dict, description="Budgets by name.")
    budget_write_every: PositiveSeconds = Field(
        default=1.0, description="Seconds between two writings of what was spent of budgets to the database."
    )
    key_budgets: bool = Field(
        default=False, description="Whether the budgets of gateway keys are counted, which takes the database."
    )
    client_policies: bool = Field(
        default=True, description="Whether Helicone-RateLimit-Policy limits the request that carries it."
    )
    strict: bool = Field(default=False, description="Answer 400 to a malformed policy instead of ignoring it.")
    algorithm: Algorithm = Field(default="token-bucket", description="How policies count, if they do not say.")
    output_tokens: Annotated[int, Field(ge=0, le=10_000_000), BeforeValidator(no_switch)] = Field(
        default=1024, description="Tokens to expect of an answer to a request that sets no maximum."
    )
    unknown_cost: Annotated[float, Field(ge=0, allow_inf_nan=False, le=1_000_000), BeforeValidator(no_switch)] = Field(
        default=0.0, description="Cents to count for a request that nobody knows the price of."
    )
    tokenizer: Literal["auto", "estimate"] = Field(
        default="auto", description="Count tokens with splintr-rs where it is installed, or always estimate them."
    )
    lease: PositiveSeconds = Field(
        default=60.0, description="Seconds after which requests of a worker that died are no longer under way."
    )

    @model_validator(mode="after")
    def _names_are_known(self) -> RatelimitConfig:
        for index, limit in enumerate(self.limits):
            if limit.policy is not None and is_name(limit.policy) and limit.policy not in self.policies:
                raise ValueError(f"limits.{index}: no policy is named {limit.policy!r}")
        names = [limit.name for limit in self.limits if limit.name]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two limits are named {twice[0]!r}")
        if both := sorted(set(names) & set(self.budgets)):
            raise ValueError(f"a limit and a budget are named {both[0]!r}")
        return self

"""The plugin's configuration: `CacheConfig`, with `RuleConfig` for single models and routes and `FlightsConfig`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field

from helicone_gw import PluginConfig, PositiveSeconds, Seconds, Size
from helicone_gw_cache.backends import BackendConfig

WEEK = 604_800.0
YEAR = 31_536_000.0
"""The longest lifetime of an entry, in seconds."""
MOST_BUCKETS = 20

Replay = Literal["instant", "paced"]
Share = Literal["key", "owner"]


def _no_switch(value: object) -> object:
    # pydantic takes true for 1, which in a file of this kind is a slip of the pen.
    if isinstance(value, bool):
        raise ValueError("should be a number, not true or false")
    return value


def _fact(text: str) -> str:
    kind, colon, name = text.partition(":")
    if text in ("user", "session", "key"):
        return text
    if kind in ("header", "property") and colon and name.strip():
        return f"{kind}:{name.strip().lower()}"
    raise ValueError("should be user, session, key, header:<name> or property:<name>")


Fact = Annotated[str, AfterValidator(_fact)]
Lifetime = Annotated[float, Field(ge=0, le=YEAR, allow_inf_nan=False), BeforeValidator(_no_switch)]
Buckets = Annotated[int, Field(ge=1, le=MOST_BUCKETS), BeforeValidator(_no_switch)]
Count = Annotated[int, Field(ge=1, le=1_000_000), BeforeValidator(_no_switch)]
Pattern = Annotated[str, Field(min_length=1)]


class RuleConfig(PluginConfig):
    """How requests for certain models, or through certain routes, are cached; what is left out is as for all.

    A rule is meant for a request that fits one of ``models`` (where there are any) and one of ``routes`` (likewise).
    """

    models: tuple[Pattern, ...] = Field(default=(), description="Model strings as asked for, shell-style patterns.")
    routes: tuple[Pattern, ...] = Field(
        default=(), description="Named routes, shell-style patterns, addressed by path or as the model."
    )
    enabled: bool | None = Field(default=None, description="Cache without being asked to.")
    ttl: Lifetime | None = Field(default=None, description="Lifetime of an entry, in seconds.")
    bucket_size: Buckets | None = Field(default=None, description="Answers kept per question.")
    replay: Replay | None = None
    stale_while_revalidate: Lifetime | None = None
    stale_if_error: Lifetime | None = None
    single_flight: bool | None = Field(default=None, description="Whether identical requests wait for one call.")


class FlightsConfig(PluginConfig):
    """Identical requests at the same time: one calls, the others wait for its answer."""

    enabled: bool = Field(default=True, description="Off: each of them makes its own call.")
    max_flights: Count = Field(
        default=1000, description="Calls that others may join; beyond, requests are by themselves."
    )
    max_waiters: Count = Field(default=1000, description="Requests that join one call; further ones make their own.")
    max_bytes: Size = Field(
        default=ByteSize(8 << 20), description="Of one streamed answer that are held; a longer one is not stored."
    )
    max_total: Size = Field(
        default=ByteSize(256 << 20), description="Of all streamed answers under way that are held, together."
    )
    wait: PositiveSeconds = Field(default=300.0, description="Longest wait for somebody else's answer to begin.")


class CacheConfig(PluginConfig):
    """Configuration of ``cache``."""

    enabled: bool = Field(
        default=False, description="Cache requests that do not ask for it (Helicone-Cache-Enabled: true), too."
    )
    ttl: Lifetime = Field(
        default=WEEK, description="Lifetime of an entry in seconds, unless Cache-Control says another."
    )
    bucket_size: Buckets = Field(default=1, description="Answers kept per question; a hit is one of them by chance.")
    seed: str | None = Field(default=None, description="Another one is another cache.")
    ignore_keys: tuple[Pattern, ...] = Field(
        default=(), description="Top-level keys of the JSON body that make no difference."
    )
    share: Share = Field(
        default="key", description='Who shares entries: each gateway key has its own, or all keys of one "owner" do.'
    )
    vary: tuple[Fact, ...] = Field(
        default=(),
        description="What else makes a difference: user, session, key, header:<name>, property:<name>.",
    )
    replay: Replay = Field(
        default="instant", description="How streams come back: at once, or paced as they came first."
    )
    longest_gap: Seconds = Field(default=10.0, description="Longest pause in a paced replay, in seconds.")
    stale_while_revalidate: Lifetime = Field(
        default=0.0, description="Seconds after its lifetime in which an entry is still served, and asked for anew."
    )
    stale_if_error: Lifetime = Field(
        default=0.0, description="Seconds after its lifetime in which an entry is served when no provider answers."
    )
    max_refreshes: Count = Field(default=32, description="Entries that are asked for anew at the same time.")
    store_fallbacks: bool = Field(
        default=False, description="Store what another provider or model answered than the one asked first, too."
    )
    single_flight: FlightsConfig = Field(default_factory=FlightsConfig)
    backend: BackendConfig = Field(default_factory=BackendConfig, description="Where entries are kept.")
    rules: tuple[RuleConfig, ...] = Field(
        default=(), description="Other settings for models and routes; the first rule that fits."
    )

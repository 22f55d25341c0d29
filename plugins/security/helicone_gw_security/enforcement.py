"""Whether somebody enforces what a key is limited to: one that nobody holds to its limits is not served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helicone_gw import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from helicone_gw import GatewayConfig, GatewayKey, KeyRing


def check_enforced(key: GatewayKey, ring: KeyRing | None) -> None:
    """Raise `Unavailable` where ``key`` has limits or budgets and no plugin of the gateway enforces them."""
    if ring is None or (key.limits and not ring.limits_enforced):
        raise Unavailable(
            f"Key {key.name!r} has limits, and nothing in this gateway enforces them: it needs the plugin ratelimit.",
            code="limits_not_enforced",
        )
    if key.budgets and not ring.budgets_enforced:
        raise Unavailable(
            f"Key {key.name!r} has budgets, and nothing in this gateway enforces them: it needs the plugin ratelimit "
            "with key_budgets.",
            code="limits_not_enforced",
        )


def unenforced(keys: Iterable[GatewayKey], config: GatewayConfig) -> Iterator[str]:
    """Which of ``keys`` would be refused under ``config``, and what they need, a line each."""
    enforcing = [spec.config for spec in config.plugins if spec.plugin == "ratelimit"]
    named = list(keys)
    limited = sorted(key.name for key in named if key.limits) if not enforcing else []
    if limited:
        yield f"keys with limits, and no plugin ratelimit: {', '.join(limited)}. Their requests are answered with 503"
    if not any(getattr(each, "key_budgets", False) for each in enforcing):
        spending = sorted(key.name for key in named if key.budgets)
        if spending:
            yield (
                f"keys with budgets, and no ratelimit with key_budgets: {', '.join(spending)}. Their requests are "
                "answered with 503"
            )
